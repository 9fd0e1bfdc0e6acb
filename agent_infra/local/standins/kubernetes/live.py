"""A live object beside the inputs that it was made from."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

from agent_infra.local.standins.server import Properties

#: What an API server adds to every object and no program says.
_SERVERS_OWN: Final = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


def state(live: Properties, inputs: Properties) -> Properties:
    """What the engine keeps: the live object, and a Secret's `stringData` beside the `data` it became."""
    kept = live
    if isinstance(live.get("metadata"), dict):
        kept = {**live, "metadata": {k: v for k, v in live["metadata"].items() if k != "managedFields"}}
    plain = inputs.get("stringData")
    if live.get("kind") == "Secret" and isinstance(plain, dict):
        data = live.get("data") or {}
        merged = dict(data) if isinstance(data, dict) else {}
        for key, value in plain.items():
            if key not in merged or "stringData" in live:
                merged[key] = _encoded(value)
        kept = {**kept, "data": merged, "stringData": plain}
    return kept


def program(live: Properties) -> Properties:
    """The inputs that would make an object that no program made: what an import takes over."""
    metadata = {key: value for key, value in live["metadata"].items() if key not in _SERVERS_OWN}
    annotations = {k: v for k, v in (metadata.pop("annotations", None) or {}).items() if k != _LAST_APPLIED}
    if annotations:
        metadata["annotations"] = annotations
    return {**{key: value for key, value in live.items() if key != "status"}, "metadata": metadata}


def seen_through(inputs: Properties, live: Properties) -> Properties:
    """The inputs as the live object has them: what others added is left out, what they changed is in."""
    found: Properties = _narrowed(inputs, live)
    plain = inputs.get("stringData")
    if live.get("kind") == "Secret" and isinstance(plain, dict) and "stringData" not in live:
        data = live.get("data") or {}
        found["stringData"] = {key: _decoded(data[key]) for key in plain if key in data}
    return found


def _narrowed(wanted: Any, live: Any) -> Any:
    if isinstance(wanted, dict) and isinstance(live, dict):
        narrowed = {}
        for key, value in wanted.items():
            if key in live:
                narrowed[key] = _narrowed(value, live[key])
            elif value in ({}, [], None, ""):
                narrowed[key] = value  # an API server drops what is empty
        return narrowed
    if isinstance(wanted, list) and isinstance(live, list) and len(wanted) == len(live):
        return [_narrowed(one, other) for one, other in zip(wanted, live, strict=True)]
    return live


def _encoded(value: Any) -> Any:
    return base64.b64encode(value.encode()).decode() if isinstance(value, str) else value


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value).decode()
    except (binascii.Error, UnicodeDecodeError):
        return value

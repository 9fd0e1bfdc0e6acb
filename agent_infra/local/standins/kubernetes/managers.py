"""Who manages an object's fields, as the official plugin keeps it.

It makes an object by a plain POST, whose fields belong to the manager `pulumi-kubernetes`, and changes it
by server-side apply under a name of the resource's own, which its state holds. Before the first apply the
fields of the first name are handed over to the second, and kubectl's with them.
"""

from __future__ import annotations

import secrets
from typing import Any, Final

from agent_infra.local.standins.server import Properties

#: Whoever makes an object.
MAKER: Final = "pulumi-kubernetes"
#: Where the state holds the resource's own name.
KEY: Final = "__fieldManager"
ANNOTATION: Final = "pulumi.com/patchFieldManager"

_TAKEN_OVER: Final = frozenset(
    {
        (MAKER, "Update"),
        ("kubectl", "Apply"),
        ("kubectl", "Update"),
        ("before-first-apply", "Update"),
        ("pulumi-resource-kubernetes", "Update"),
    }
)


def name(inputs: Properties, state: Properties) -> str:
    """The resource's own name: what its annotation says, what its state holds, or a new one."""
    annotations = (inputs.get("metadata") or {}).get("annotations") or {}
    said = annotations.get(ANNOTATION) if isinstance(annotations, dict) else None
    return str(said or state.get(KEY) or f"{MAKER}-{secrets.token_hex(4)}")


def taken_over(live: Properties) -> bool:
    """Whether an apply finds fields of those that it takes over."""
    return any(map(_ours, live["metadata"].get("managedFields") or ()))


def handed_over(live: Properties, to: str) -> list[Properties] | None:
    """The JSON patch that hands over what is taken over, or None where there is nothing."""
    entries = live["metadata"].get("managedFields") or []
    given = [entry for entry in entries if _ours(entry)]
    if not given:
        return None
    kept = [entry for entry in entries if not _ours(entry)]
    own = next(
        (each for each in kept if (each.get("manager"), each.get("operation")) == (to, "Apply")),
        {**given[0], "manager": to, "operation": "Apply", "fieldsV1": {}},
    )
    fields = own["fieldsV1"]
    for entry in given:
        fields = _merged(fields, entry.get("fieldsV1") or {})
    others = [entry for entry in kept if entry is not own]
    return [
        {"op": "replace", "path": "/metadata/managedFields", "value": [*others, {**own, "fieldsV1": fields}]},
        # Refused where somebody has changed the object meanwhile.
        {
            "op": "replace",
            "path": "/metadata/resourceVersion",
            "value": live["metadata"]["resourceVersion"],
        },
    ]


def _ours(entry: Properties) -> bool:
    who = (entry.get("manager"), entry.get("operation"))
    return who in _TAKEN_OVER and not entry.get("subresource")


def _merged(one: Any, other: Any) -> Any:
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return one
    return {key: _merged(one.get(key, {}), other.get(key, {})) for key in {**one, **other}}

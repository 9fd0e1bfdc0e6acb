"""What an object's annotations ask of the wait, as the official plugin reads them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from jsonpath_ng.exceptions import JSONPathError
from jsonpath_ng.ext.parser import parse

from agent_infra.local.standins.kubernetes.awaiting.verdicts import (
    Ready,
    Rule,
    Scene,
    Verdict,
    Waiting,
    section,
    seen,
)
from agent_infra.local.standins.server import Properties, StandinError

SKIP: Final = "pulumi.com/skipAwait"
SECONDS: Final = "pulumi.com/timeoutSeconds"
WAIT_FOR: Final = "pulumi.com/waitFor"

#: Kinds whose deletion is not waited for either where SKIP is said.
_SKIPS_DELETION: Final = frozenset(
    {
        ("v1", "Namespace"),
        ("v1", "Pod"),
        ("v1", "ReplicationController"),
        ("apps/v1", "DaemonSet"),
        ("apps/v1", "Deployment"),
        ("apps/v1", "StatefulSet"),
        ("batch/v1", "Job"),
    }
)


def skips(inputs: Properties) -> bool:
    return _said(inputs, SKIP) == "true"


def skips_deletion(inputs: Properties) -> bool:
    return skips(inputs) and (inputs.get("apiVersion"), inputs.get("kind")) in _SKIPS_DELETION


def seconds(inputs: Properties, *, timeout: float, default: float) -> float:
    """How long the wait may take: by the resource's `customTimeouts`, its annotation, or its kind.

    An annotation that is no whole number is as good as none, as it is to the official plugin.
    """
    if timeout > 0:
        return timeout
    said = _said(inputs, SECONDS)
    return float(said) if said.isascii() and said.isdigit() else default


def rule(inputs: Properties) -> Rule | None:
    """The rule that the annotation WAIT_FOR makes, None where there is none.

    Raises:
        StandinError: it is none of the forms that the official plugin takes.
    """
    said = _said(inputs, WAIT_FOR)
    if not said:
        return None
    try:
        listed = json.loads(said)
    except ValueError:
        listed = said
    wanted = [_expectation(each) for each in (listed if isinstance(listed, list) else [said])]
    if not wanted:
        raise _wrong(said)

    def judge(scene: Scene) -> Verdict:
        # The official plugin asks it of conditions alone: in a path it may find what was there before.
        if "observedGeneration" in section(scene.object, "status") and not seen(scene.object):
            return Waiting("waiting for the controller to see the change")
        missing = [each for each in wanted if not each.met(scene.object)]
        if not missing:
            return Ready()
        said = str(section(scene.object, "status").get("message") or "").strip()
        problems = (f"its status says: {said}",) if said else ()
        return Waiting(f"waiting for {missing[0].text}{missing[0].found(scene.object)}", problems)

    return Rule(judge)


@dataclass(frozen=True)
class _Expectation:
    text: str
    condition: str | None = None
    path: Any = None
    value: str | None = None
    """What is wanted there; None: anything."""

    def met(self, object: Properties) -> bool:
        if self.condition is not None:
            found = section(object, "status").get("conditions") or ()
            return any(
                str(each.get("type")).lower() == self.condition.lower()
                and str(each.get("status")).lower() == str(self.value).lower()
                for each in found
            )
        values = self._values(object)
        return bool(values) if self.value is None else self.value in values

    def found(self, object: Properties) -> str:
        """What is there in place of a wanted value."""
        values = [] if self.condition is not None else self._values(object)
        return f" (found {', '.join(map(repr, values))})" if values else ""

    def _values(self, object: Properties) -> list[str]:
        return [_shown(match.value) for match in self.path.find(object)]


def _expectation(said: Any) -> _Expectation:
    form, _, rest = str(said).partition("=")
    if form == "condition" and rest:
        type, _, status = rest.partition("=")
        return _Expectation(str(said), condition=type, value=status or "True")
    if form == "jsonpath" and rest.startswith("{") and "}" in rest:
        path, _, after = rest[1:].rpartition("}")
        if not after or after.startswith("="):
            try:
                # kubectl's root is implied.
                found = parse("$" + path.removeprefix("$"))
            except (JSONPathError, ValueError, TypeError) as error:
                raise _wrong(said) from error
            return _Expectation(str(said), path=found, value=after[1:] or None)
    raise _wrong(said)


def _wrong(said: Any) -> StandinError:
    return StandinError(
        f"metadata.annotations[{WAIT_FOR!r}] is {said!r}; allowed: condition=<type>[=<status>], "
        "jsonpath={<path>}[=<value>], or a JSON list of these"
    )


def _shown(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool | dict | list) or value is None else str(value)


def _said(inputs: Properties, name: str) -> str:
    annotations = section(inputs, "metadata", "annotations")
    return str(annotations.get(name) or "").strip()

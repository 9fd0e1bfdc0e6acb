"""What a rule of readiness sees, and what it may say; pure values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from agent_infra.local.standins.kubernetes.kinds import Kind
from agent_infra.local.standins.server import Properties

#: The official plugin's, where neither the resource nor its annotation says another; seconds.
DEFAULT_SECONDS: Final = 600.0

_STEP: Final = re.compile(r"^\[\d/\d\] ")

POD: Final = Kind("", "v1", "Pod")
EVENT: Final = Kind("", "v1", "Event")


@dataclass(frozen=True)
class Ready:
    """It is what its program wants it to be."""


@dataclass(frozen=True)
class Waiting:
    """It is on its way: what is waited for, with the step such as `[1/2]`, and what stands in the way."""

    message: str
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failed:
    """Waiting longer is of no use."""

    message: str
    problems: tuple[str, ...] = ()


Verdict = Ready | Waiting | Failed


def without_step(message: str) -> str:
    """For when there is no next one."""
    return _STEP.sub("", message)


@dataclass(frozen=True)
class Related:
    """Objects that a rule looks at beside its own: in the same namespace, unless they belong to none."""

    kind: Kind
    labels: str = ""
    """A label selector."""
    name: str = ""


@dataclass(frozen=True)
class Scene:
    """An object and what belongs to it, at one moment."""

    object: Properties
    before: Properties | None = None
    """As it was before this update; None: it is new."""
    related: Mapping[str, Sequence[Properties]] = field(default_factory=dict)
    """By the kind's name."""
    quiet: float = math.inf
    """For how long the related ones have not changed, in seconds."""
    balancers: bool = True
    """Whether something in the cluster gives load balancers their addresses."""

    def owned(self, kind: str, owner: Properties | None = None) -> list[Properties]:
        """The related ones that the object controls, or that `owner` does."""
        uid = (owner or self.object)["metadata"].get("uid")
        return [
            found
            for found in self.related.get(kind, ())
            if any(each.get("uid") == uid for each in found["metadata"].get("ownerReferences") or ())
        ]


def nothing(_object: Properties) -> list[Related]:
    """The object says everything itself."""
    return []


@dataclass(frozen=True)
class Rule:
    """How an object of a kind is known to be ready."""

    judge: Callable[[Scene], Verdict]
    related: Callable[[Properties], list[Related]] = nothing
    seconds: float = DEFAULT_SECONDS
    also_read: bool = True
    """Whether a refresh asks too, as the official plugin's does for some kinds."""


def section(object: Properties, *path: str) -> Properties:
    """A part of an object, empty where it is not there."""
    found: Any = object
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def condition(object: Properties, type: str) -> Properties:
    """One of `status.conditions`, empty where there is none of the type."""
    conditions = section(object, "status").get("conditions") or []
    return next((each for each in conditions if each.get("type") == type), {})


def is_true(object: Properties, type: str) -> bool:
    return condition(object, type).get("status") == "True"


def told(condition: Properties) -> str:
    """A condition in one line: its reason and its message."""
    parts = (condition.get("reason"), condition.get("message"))
    return ": ".join(str(part).strip() for part in parts if part)


def name_of(object: Properties) -> str:
    return str(object["metadata"]["name"])


def seen(object: Properties) -> bool:
    """Whether the controller has acted on what the object says now."""
    generation = int(object["metadata"].get("generation", 0))
    # Argo Rollouts writes it as a text.
    observed = str(section(object, "status").get("observedGeneration", -1))
    return observed.lstrip("-").isdecimal() and int(observed) >= generation


def selector(labels: Properties) -> str:
    """A label selector's object as the API's query parameter has it."""
    parts = [f"{key}={value}" for key, value in (labels.get("matchLabels") or {}).items()]
    for each in labels.get("matchExpressions") or ():
        key, values = each["key"], ",".join(each.get("values") or ())
        parts.append(
            {
                "In": f"{key} in ({values})",
                "NotIn": f"{key} notin ({values})",
                "Exists": key,
                "DoesNotExist": f"!{key}",
            }[each["operator"]]
        )
    return ",".join(parts)


def pods_of(object: Properties) -> list[Related]:
    """The pods that a workload's selector finds."""
    return [Related(POD, labels=selector(section(object, "spec", "selector")))]


def distinct(problems: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(problem for problem in problems if problem))

"""The engine's stream of events, reduced to what a person or a program wants to follow."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from pulumi.automation.events import EngineEvent, StepEventMetadata

_MARKUP = re.compile(r"<\{%.*?%\}>")
#: The engine's notice that it uses the stand-ins, which is the point of them.
_STANDIN_USED = re.compile(r"using pulumi-resource-[\w-]+ from \$PATH at .*/\.agent-infra/")
#: What the engine says after the errors that tell why.
_NO_NEWS = re.compile(
    r"update (failed|cancell?ed)|an unhandled error occurred: program exited with non-zero exit code: 1"
)
_REASONS = re.compile(r"\d+ errors? occurred:\n\t\* ")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Event:
    """One thing that happened."""

    def as_json(self) -> dict[str, Any]:
        """The event as an object for `--json`, with its `kind`."""
        return {"kind": type(self).__name__.lower(), **asdict(self)}


@dataclass(frozen=True)
class Phase(Event):
    """A part of the work began, such as the start of the data services."""

    message: str
    seconds: float | None = None
    """Roughly how long it takes, where that is known."""


@dataclass(frozen=True)
class Step(Event):
    """A resource is being changed (`done` false) or has been."""

    op: str
    """`create`, `update`, `delete`, `replace`, `same`, `read`, `refresh`, ..."""
    type: str
    name: str
    urn: str
    done: bool
    failed: bool = False


@dataclass(frozen=True)
class Diagnostic(Event):
    """Something the engine, a plugin or the program had to say."""

    severity: str
    """`info`, `warning` or `error`."""
    message: str
    urn: str | None = None

    @property
    def named(self) -> str:
        """The message with the name of the resource that it is about."""
        return f"{_name(self.urn)}: {self.message}" if self.urn else self.message


@dataclass(frozen=True)
class Progress(Event):
    """What is going on with a resource now; an empty message takes the one before away."""

    message: str
    name: str
    urn: str


@dataclass(frozen=True)
class Finished(Event):
    """The engine is done: how many resources went which way."""

    changes: dict[str, int]


Listener = Callable[[Event], None]


def translate(event: EngineEvent) -> Event | None:
    """The engine's event as one of ours, or None where nobody would miss it."""
    if event.resource_pre_event:
        return _step(event.resource_pre_event.metadata, done=False)
    if event.res_outputs_event:
        return _step(event.res_outputs_event.metadata, done=True)
    if event.res_op_failed_event:
        return _step(event.res_op_failed_event.metadata, done=True, failed=True)
    if event.diagnostic_event:
        diagnostic = event.diagnostic_event
        message = _in_lines(plain(diagnostic.message))
        if diagnostic.severity != "debug" and diagnostic.ephemeral and diagnostic.urn:
            return Progress(message, _name(diagnostic.urn), diagnostic.urn)
        if not message or diagnostic.severity == "debug" or diagnostic.ephemeral:
            return None
        if _STANDIN_USED.match(message) or _NO_NEWS.fullmatch(message):
            return None
        severity = "info" if diagnostic.severity.startswith("info") else diagnostic.severity
        return Diagnostic(severity, message, diagnostic.urn or None)
    if event.summary_event:
        changes = {_value(op): count for op, count in event.summary_event.resource_changes.items()}
        return Finished(changes)
    return None


def plain(message: str) -> str:
    """A message without the engine's colour marks."""
    return _ANSI.sub("", _MARKUP.sub("", message)).strip()


def _name(urn: str) -> str:
    return urn.rsplit("::", 1)[-1]


def _in_lines(message: str) -> str:
    """A resource's several reasons without the engine's count and bullets."""
    found = _REASONS.match(message)
    return "\n  ".join(re.split(r"\n+\t\* ", message[found.end() :])) if found else message


def _step(metadata: StepEventMetadata, *, done: bool, failed: bool = False) -> Step:
    return Step(
        op=_value(metadata.op),
        type=metadata.type,
        name=_name(metadata.urn),
        urn=metadata.urn,
        done=done,
        failed=failed,
    )


def _value(op: Any) -> str:
    return str(getattr(op, "value", op))

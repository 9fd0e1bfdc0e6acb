"""The wait itself: until an object is ready or gone, its time is over, or the user ends the run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from agent_infra.local.standins import engine
from agent_infra.local.standins.kubernetes.api_client import ApiClient
from agent_infra.local.standins.kubernetes.awaiting import events
from agent_infra.local.standins.kubernetes.awaiting.verdicts import (
    Failed,
    Ready,
    Related,
    Rule,
    Scene,
    Verdict,
    Waiting,
    without_step,
)
from agent_infra.local.standins.kubernetes.awaiting.watching import Watches, place
from agent_infra.local.standins.kubernetes.kinds import Kind
from agent_infra.local.standins.server import Properties, StandinError

#: So often it is looked whether the user has ended the run; nothing is asked of the cluster. Seconds.
_TICK: Final = 0.2
#: A problem that lasts for so long is shown while the wait goes on.
_SHOWN_AFTER: Final = 5.0


class NotReady(Exception):
    """The wait is over and the object is not ready."""

    def __init__(self, message: str, reasons: Sequence[str], live: Properties) -> None:
        super().__init__(message)
        self.reasons = list(reasons)
        self.live = live


def until_ready(
    client: ApiClient,
    kind: Kind,
    live: Properties,
    rule: Rule,
    *,
    before: Properties | None,
    seconds: float,
) -> Properties:
    """The object once it is ready. `live` is as the change left it, `before` as it was before.

    Raises:
        NotReady: it failed, its time is over, or the user has ended the run.
    """
    call = engine.current()
    metadata = live["metadata"]
    looked_at = [Related(kind, name=metadata["name"]), *rule.related(live)]
    began, since = time.monotonic(), datetime.now(UTC)
    verdict: Verdict = Waiting("waiting for the API server")
    with Watches(client, metadata.get("namespace"), looked_at) as watches:
        while True:
            now = time.monotonic()
            found = watches.first()
            if watches.complete and found is not None and _is_newer(found, live):
                live = found
                verdict = rule.judge(Scene(live, before, watches.others(), now - watches.changed))
            elif watches.complete and found is None:
                verdict = Failed("it was deleted while it was waited for")
            match verdict:
                case Ready():
                    call.status("")
                    return live
                case Failed():
                    break
                case Waiting() if watches.complete:
                    call.status(_progress(verdict, now - began))
            over = began + seconds - now
            if over <= 0 or call.cancelled.is_set():
                # One that only had to settle is taken as it is.
                verdict = rule.judge(Scene(live, before, watches.others())) if watches.complete else verdict
                if isinstance(verdict, Ready):
                    call.status("")
                    return live
                break
            watches.wait(min(over, _TICK))
        related = [each for listed in watches.others().values() for each in listed]
    call.status("")
    cancelled = call.cancelled.is_set()
    raise _told(client, kind, live, verdict, related, seconds=seconds, cancelled=cancelled, began=since)


def judged(client: ApiClient, live: Properties, rule: Rule) -> tuple[str, ...] | None:
    """Why an object is not ready at this moment, None where it is."""
    found: dict[str, list[Properties]] = {}
    for each in rule.related(live):
        path, query = place(client, live["metadata"].get("namespace"), each)
        found.setdefault(each.kind.name, []).extend(client.call("GET", path, query)["items"])
    verdict = rule.judge(Scene(live, live, found))
    return None if isinstance(verdict, Ready) else (without_step(verdict.message), *verdict.problems)


def until_gone(client: ApiClient, kind: Kind, live: Properties, *, seconds: float) -> None:
    """Returns when the object, or the one that has its name, is no longer the one that it was.

    Raises:
        StandinError: its time is over, or the user has ended the run.
    """
    call = engine.current()
    metadata = live["metadata"]
    began = time.monotonic()
    with Watches(client, metadata.get("namespace"), [Related(kind, name=metadata["name"])]) as watches:
        while True:
            left = watches.first()
            if watches.complete and (left is None or left["metadata"].get("uid") != metadata.get("uid")):
                call.status("")
                return
            over = began + seconds - time.monotonic()
            held = ", ".join((left or live)["metadata"].get("finalizers") or ["none"])
            if over <= 0 or call.cancelled.is_set():
                break
            if time.monotonic() - began > 1:
                call.status(f"waiting for its end (finalizers: {held})")
            watches.wait(min(over, _TICK))
    call.status("")
    ended = "when the run was cancelled" if call.cancelled.is_set() else f"{seconds:.0f} s after its deletion"
    raise StandinError(
        f"{kind.name} {metadata['name']!r} is still there {ended} (finalizers: {held}): "
        "what owns them must run; the garbage collector, which owns foregroundDeletion, is part of "
        "kube-controller-manager. The annotation pulumi.com/deletionPropagationPolicy: background does "
        "without it."
    )


def _is_newer(found: Properties, live: Properties) -> bool:
    """Whether the watch has come to where the change left the object, or further."""
    if found["metadata"].get("uid") != live["metadata"].get("uid"):
        return True
    return bool(found["metadata"].get("generation", 0) >= live["metadata"].get("generation", 0))


def _progress(verdict: Waiting, elapsed: float) -> str:
    if verdict.problems and elapsed >= _SHOWN_AFTER:
        return f"{verdict.message}; {verdict.problems[0]}"
    return verdict.message


def _told(
    client: ApiClient,
    kind: Kind,
    live: Properties,
    verdict: Waiting | Failed,
    related: Sequence[Properties],
    *,
    seconds: float,
    cancelled: bool,
    began: datetime,
) -> NotReady:
    name, why = live["metadata"]["name"], without_step(verdict.message)
    if isinstance(verdict, Failed):
        message = f"{kind.name} {name!r} is not ready: {why}"
    else:
        when = "when the run was cancelled" if cancelled else f"after {seconds:.0f} s"
        message = f"{kind.name} {name!r} is not ready {when}: {why}"
    # Somebody who ends the run does not want to wait for more.
    said = [] if cancelled else events.last(client, [live, *related], since=began, told=verdict.problems)
    return NotReady(message, [*verdict.problems, *said], live)

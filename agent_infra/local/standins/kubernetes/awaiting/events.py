"""The last warnings of a cluster about the objects of a wait that failed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from agent_infra.local.standins.kubernetes.api_client import ApiClient
from agent_infra.local.standins.kubernetes.awaiting.verdicts import EVENT
from agent_infra.local.standins.server import Properties, StandinError

_SHOWN: Final = 5
_LISTED: Final = 500
#: The cluster's clock and this one may differ, and its times are whole seconds.
_CLOCKS: Final = timedelta(seconds=5)


def last(
    client: ApiClient, objects: Sequence[Properties], *, since: datetime, told: Sequence[str]
) -> list[str]:
    """In the order that they happened in; none where the cluster does not tell."""
    namespace = objects[0]["metadata"].get("namespace")
    if not namespace:
        return []
    query = {"fieldSelector": "type=Warning", "limit": str(_LISTED)}
    try:
        listed = client.call("GET", client.path(EVENT, namespace), query)["items"]
    except StandinError:
        return []
    return lines(
        listed, {object["metadata"].get("uid") for object in objects}, since=since - _CLOCKS, told=told
    )


def lines(
    events: Sequence[Properties], uids: set[str | None], *, since: datetime, told: Sequence[str]
) -> list[str]:
    """Those about the objects, the newest few: of each reason the last, and what is not told already."""
    own = [
        each
        for each in events
        if (each.get("involvedObject") or {}).get("uid") in uids and _when(each) >= since
    ]
    own.sort(key=_when)
    said: dict[tuple[str, str], str] = {}
    for each in own:
        about, reason = each["involvedObject"], str(each.get("reason"))
        name = str(about.get("name"))
        if any(f"{name}: " in problem and f" {reason}: " in problem for problem in told):
            continue
        said.pop((name, reason), None)
        text = str(each.get("message")).removeprefix("(combined from similar events): ").strip()
        said[name, reason] = f"event of {str(about.get('kind')).lower()} {name}: {reason}: {text}"
    return list(said.values())[-_SHOWN:]


def _when(event: Properties) -> datetime:
    series = event.get("series") or {}
    said = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return datetime.fromisoformat(said) if said else datetime.min.replace(tzinfo=UTC)

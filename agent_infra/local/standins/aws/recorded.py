"""The life of a resource that is only recorded: its inputs, its id and the outputs made from templates."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from agent_infra.local.standins.aws.cloud import ACCOUNT, PARTITION, Cloud
from agent_infra.local.standins.aws.table import Row
from agent_infra.local.standins.aws.values import filled
from agent_infra.local.standins.server import Properties, StandinError


def create(cloud: Cloud, row: Row, inputs: Properties, defaults: dict[str, str]) -> tuple[str, Properties]:
    """Records it; a second one of the same id is refused, as AWS would."""
    values = {
        "account": ACCOUNT,
        "partition": PARTITION,
        "region": cloud.region,
        "now": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "uuid": str(uuid.uuid4()),
        "hex": uuid.uuid4().hex[:17],
        **inputs,
    }
    outputs: Properties = {}
    for name, template in row.outputs.items():
        outputs[name] = filled(template, {**values, **outputs})
    id = filled(row.id, {**values, **outputs})
    if cloud.records.get(row.type, id) is not None:
        raise StandinError(f"{row.type} {id} exists already; import it, or give it another name.")
    if row.more:
        outputs.update(row.more(cloud, id, {}, values))
    state = {**inputs, **outputs, "region": cloud.region}
    if "tags" in row.known:
        state["tagsAll"] = {**defaults, **(inputs.get("tags") or {})}
    cloud.records.put(row.type, id, state)
    return id, state


def update(
    cloud: Cloud, row: Row, id: str, state: Properties, news: Properties, tags: dict[str, str]
) -> Properties:
    """Replaces the recorded inputs."""
    live = cloud.records.get(row.type, id)
    if live is None:
        raise is_gone(row, id)
    kept = {key: value for key, value in live.items() if key not in row.known}
    state = {**kept, **news, "region": cloud.region}
    if "tags" in row.known:
        state["tagsAll"] = tags
    cloud.records.put(row.type, id, state)
    return state


def is_gone(row: Row, id: str, reason: str = "") -> StandinError:
    """What an update says of a resource that somebody else deleted."""
    why = f" ({reason})" if reason else ""
    return StandinError(
        f"{row.type} {id} is gone{why}: run `agent-infra refresh`, then `agent-infra up` makes it anew."
    )

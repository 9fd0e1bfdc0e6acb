"""The part of a pod's spec that says where it runs."""

from __future__ import annotations

from typing import Any

from agent_infra.fleet.names import ComponentKind, Names
from agent_infra.fleet.placement_args import ARCHITECTURE, CAPACITY, Placement, Toleration

_WHEN = {"prefer": "ScheduleAnyway", "require": "DoNotSchedule"}


def placed(
    placement: Placement, names: Names, kind: ComponentKind, *, architecture: str | None = None
) -> dict[str, Any]:
    """Spread over zones and nodes, and what else was chosen; `architecture` is the built image's."""
    chosen = {
        ARCHITECTURE: placement.architecture or architecture,
        CAPACITY: placement.capacity,
    }
    selector = {
        **{label: value for label, value in chosen.items() if value is not None},
        **placement.node_selector,
    }
    spread: list[dict[str, Any]] = [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": _WHEN[said],
            "labelSelector": {"matchLabels": names.selector(kind)},
        }
        for key, said in (
            ("topology.kubernetes.io/zone", placement.zones),
            ("kubernetes.io/hostname", placement.nodes),
        )
    ]
    if placement.min_zones is not None:
        spread[0]["minDomains"] = placement.min_zones
    found = {
        "topologySpreadConstraints": spread,
        "priorityClassName": placement.priority_class,
        "nodeSelector": selector,
        "tolerations": [_toleration(each) for each in placement.tolerations],
        "affinity": dict(placement.affinity),
    }
    return {name: value for name, value in found.items() if value}


def _toleration(said: Toleration) -> dict[str, Any]:
    found = {
        "key": said.key,
        "operator": said.operator,
        "value": said.value if said.operator == "Exists" else said.value or "",
        "effect": said.effect,
        "tolerationSeconds": said.seconds,
    }
    return {name: value for name, value in found.items() if value is not None}

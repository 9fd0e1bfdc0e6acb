"""Which pods go before which, in an environment's cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import pulumi
import pulumi_kubernetes as kubernetes
from pydantic import AfterValidator, Field

from agent_infra.component import Args
from agent_infra.fleet.exposure_args import ObjectName


def _not_kubernetes_own(name: str) -> str:
    if name.startswith("system-"):
        raise ValueError("names with system- in front are Kubernetes' own; choose another")
    return name


PriorityClassName = Annotated[ObjectName, AfterValidator(_not_kubernetes_own)]


class PriorityClassSettings(Args):
    """A PriorityClass, which fleets name in `placement.priority_class`."""

    value: int = Field(ge=-2_147_483_648, le=1_000_000_000)
    """Pods with a higher one are placed first; those without a class have 0. Another value makes a new class,
    and pods get it when they are replaced."""
    preempts: bool = True
    """Whether pods with a lower value are ended where there is no room. These get their time to end, but only
    that: a task whose pod goes is begun again."""


def priority_classes(
    name: str, classes: Mapping[str, PriorityClassSettings], opts: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    """The classes; they belong to the cluster and not to a namespace."""
    # Kubernetes refuses another value, and there are no two of a name.
    replaced = pulumi.ResourceOptions(
        replace_on_changes=["value", "preemptionPolicy"], delete_before_replace=True
    )
    return [
        kubernetes.scheduling.v1.PriorityClass(
            f"{name}-{called}",
            metadata={"name": called, "labels": {"app.kubernetes.io/managed-by": "agent-infra"}},
            value=said.value,
            global_default=False,
            preemption_policy="PreemptLowerPriority" if said.preempts else "Never",
            description="Fleets of agents",
            opts=pulumi.ResourceOptions.merge(opts, replaced),
        )
        for called, said in classes.items()
    ]

"""CloudWatch alarms: what every component watches of itself, said the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from agent_infra.component import Args, Component, MaybeOutput

Statistic = Literal["Average", "Maximum", "Minimum", "SampleCount", "Sum"]


class Alarms(Args):
    """Whom a component's alarms tell. Each alarm costs about 0.10 USD a month."""

    notify: Sequence[MaybeOutput[str]] = ()
    """ARNs, such as an SNS topic's; told when an alarm begins and when it ends."""


@dataclass(frozen=True)
class Watch:
    """One metric and when it is wrong."""

    name: str
    """Short and with dashes, such as `oldest-message`."""
    metric: str
    threshold: float
    description: str
    """What is wrong then and what to do; whoever is woken up reads it."""
    statistic: Statistic = "Maximum"
    below: bool = False
    """Whether it is wrong below the threshold, not above it."""
    period: int = 60
    """Seconds that one data point covers."""
    periods: int = 5
    """How many of them in a row have to be wrong."""
    missing: Literal["notBreaching", "breaching", "ignore", "missing"] = "notBreaching"
    """What it means that there is no data."""


def watch(
    component: Component,
    watches: Sequence[Watch],
    *,
    alarms: Alarms | None,
    namespace: str,
    dimensions: Mapping[str, MaybeOutput[str]],
    suffix: str = "",
) -> list[aws.cloudwatch.MetricAlarm]:
    """An alarm for each watch; none where `alarms` is None.

    Args:
        component: whose they are; their names begin with its name.
        watches: what is watched.
        alarms: whom they tell.
        namespace: the metrics' own, such as `AWS/SQS`.
        dimensions: which queue, cluster or instance.
        suffix: keeps the names of one metric's alarms on several instances apart.
    """
    if alarms is None:
        return []
    notify = list(alarms.notify)
    made = []
    for item in watches:
        name = f"{component._name}-{item.name}{suffix}"
        made.append(
            aws.cloudwatch.MetricAlarm(
                name,
                alarm_description=item.description,
                namespace=namespace,
                metric_name=item.metric,
                dimensions=dict(dimensions),
                statistic=item.statistic,
                comparison_operator="LessThanThreshold" if item.below else "GreaterThanThreshold",
                threshold=item.threshold,
                period=item.period,
                evaluation_periods=item.periods,
                treat_missing_data=item.missing,
                alarm_actions=notify or None,
                ok_actions=notify or None,
                tags=component._tags(name),
                opts=pulumi.ResourceOptions(parent=component),
            )
        )
    return made

"""CloudWatch: alarms on metrics. They are kept and read back; nothing is measured, so none ever fires."""

from __future__ import annotations

from typing import Any

from agent_infra.local.standins.aws.table import (
    MOTO_DROPS,
    AutoName,
    Call,
    Input,
    Row,
    Setter,
    Tags,
    because,
)
from agent_infra.local.standins.aws.values import tag_list, tag_map
from agent_infra.local.standins.server import Properties


def _dimensions(listed: Any) -> dict[str, str] | None:
    return tag_map(listed, "Name") or None


def _dimension_list(dimensions: dict[str, str]) -> list[dict[str, str]]:
    return tag_list(dimensions, "Name")


def _checked(inputs: Properties) -> list[tuple[str, str]]:
    if "metricName" in inputs and not {"statistic", "extendedStatistic"} & inputs.keys():
        return [("statistic", "an alarm on `metricName` needs `statistic` or `extendedStatistic`.")]
    return []


_INPUTS = {
    "actionsEnabled": Input("ActionsEnabled", default=True),
    "alarmActions": Input("AlarmActions"),
    "alarmDescription": Input("AlarmDescription"),
    "comparisonOperator": Input("ComparisonOperator", required=True),
    "datapointsToAlarm": Input("DatapointsToAlarm"),
    "dimensions": Input("Dimensions", to=_dimension_list, back=_dimensions),
    "evaluationPeriods": Input("EvaluationPeriods", required=True),
    "extendedStatistic": Input("ExtendedStatistic"),
    "insufficientDataActions": Input("InsufficientDataActions"),
    "metricName": Input("MetricName"),
    "name": Input("AlarmName", replaces=True),
    "namespace": Input("Namespace"),
    "okActions": Input("OKActions"),
    "period": Input("Period"),
    "statistic": Input("Statistic"),
    "threshold": Input("Threshold"),
    "treatMissingData": Input("TreatMissingData", default="missing"),
    "unit": Input("Unit"),
}

ALARM = Row(
    type="aws:cloudwatch/metricAlarm:MetricAlarm",
    service="cloudwatch",
    inputs=_INPUTS,
    unsimulated=because(
        MOTO_DROPS,
        "evaluateLowSampleCountPercentiles evaluationCriteria evaluationInterval evaluationWindow "
        "metricQueries thresholdMetricId warmUpConfiguration",
    ),
    outputs={"arn": "AlarmArn"},
    create=Call("put_metric_alarm"),
    read=Call("describe_alarms", {"AlarmNames": ["{id}"]}, "MetricAlarms"),
    # The call that makes an alarm also changes it, always as a whole.
    setters=(
        Setter(
            "put_metric_alarm",
            {name: said.api for name, said in _INPUTS.items()},
            {"AlarmName": "{id}"},
            whole=True,
        ),
    ),
    delete=Call("delete_alarms", {"AlarmNames": ["{id}"]}),
    tags=Tags(
        Call("tag_resource", {"ResourceARN": "{arn}"}),
        Call("untag_resource", {"ResourceARN": "{arn}"}),
        Call("list_tags_for_resource", {"ResourceARN": "{arn}"}, "Tags"),
    ),
    autoname=AutoName(limit=255),
    prepare=_checked,
)

ROWS = (ALARM,)

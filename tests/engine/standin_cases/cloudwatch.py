"""Cases of the stand-in's cloudwatch rows."""

from __future__ import annotations

from tests.engine.standin_cases.case import NEW_TAGS, TAGS, Case

CASES: dict[str, Case] = {
    "aws:cloudwatch/logGroup:LogGroup": Case(
        lambda w: {"retentionInDays": 30, **TAGS},
        {"retentionInDays": 7, "kmsKeyId": "arn:aws:kms:eu-west-1:123456789012:key/logs", **NEW_TAGS},
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Case(
        lambda w: {
            "namespace": "AWS/SQS",
            "metricName": "ApproximateAgeOfOldestMessage",
            "dimensions": {"QueueName": "jobs"},
            "statistic": "Maximum",
            "comparisonOperator": "GreaterThanThreshold",
            "threshold": 600,
            "period": 60,
            "evaluationPeriods": 5,
            "treatMissingData": "notBreaching",
            **TAGS,
        },
        change={"threshold": 900, "alarmDescription": "late", **NEW_TAGS},
    ),
}

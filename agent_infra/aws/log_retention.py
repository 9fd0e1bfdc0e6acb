"""How long CloudWatch keeps logs: one of some numbers of days."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

#: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
RETENTION_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip


def _known(days: int) -> int:
    if days not in RETENTION_DAYS:
        near = min(RETENTION_DAYS, key=lambda each: (abs(each - days), -each))
        allowed = ", ".join(map(str, RETENTION_DAYS))
        raise ValueError(f"logs are kept for one of {allowed} days; say {near}")
    return days


RetentionDays = Annotated[int, AfterValidator(_known)]

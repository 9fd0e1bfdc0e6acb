"""How many pods of a kind run, and by what that is decided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from agent_infra.aws.keda_access import Prometheus
from agent_infra.component import Args
from agent_infra.fleet.schedules import Cron, TimeZone, shortest

#: What only KEDA does.
EVENT_TRIGGERS = ("queue_depth", "queue_age", "concurrency", "schedules", "prometheus")
#: What decides besides the CPU; it has no meaning where nothing is to be decided.
TRIGGERS = ("target_memory", *EVENT_TRIGGERS)
#: The HorizontalPodAutoscaler's own period: it looks this often.
SYNC_SECONDS = 15


class Schedule(Args):
    """Times at which at least so many pods run, such as office hours."""

    start: Cron
    """When it begins, as a cron expression: minute, hour, day of the month, month, day of the week."""
    end: Cron
    timezone: TimeZone = "UTC"
    """In which the two are meant, such as Europe/Berlin."""
    replicas: int = Field(ge=1, le=1000)
    """How many run at least; other triggers may ask for more."""

    @model_validator(mode="after")
    def _holds_for_a_while(self) -> Self:
        if self.start.split() == self.end.split():
            raise ValueError(f'start and end are both "{self.start}": it would never hold; say another end')
        return self

    @property
    def seconds(self) -> int:
        """The least time that it holds."""
        return shortest(self.start, self.end, self.timezone)


class PrometheusQuery(Args):
    """A query whose answer decides: one number."""

    query: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    """PromQL that yields one number. An empty answer is an error, which scales nothing: end the query with
    `or vector(0)` where nothing means none."""
    target: float = Field(ge=0.001, le=1e12, allow_inf_nan=False)
    """What the answer should be; the autoscaler counts in thousandths."""
    per_replica: bool = True
    """Whether the target is each replica's share of the answer, as for requests in flight. False: the answer
    itself should be at the target however many run, as for a latency."""
    activation: float = Field(default=0, ge=0, le=1e12, allow_inf_nan=False)
    """With `min: 0`: above what answer the first replica starts."""
    server: Prometheus | None = None
    """The cluster's own, as `keda.prometheus` says it, where it is not said."""


class Speed(Args):
    """How fast the number changes: up at once, down slowly."""

    up_percent: int = Field(default=100, ge=1, le=1000)
    """Of those that run: how many more in `up_seconds`, or `up_pods` where that is more."""
    up_pods: int = Field(default=4, ge=1, le=1000)
    up_seconds: int = Field(default=15, ge=1, le=1800)
    down_percent: int = Field(default=10, ge=1, le=100)
    """Of those that run: how many fewer in `down_seconds`; one at least."""
    down_seconds: int = Field(default=60, ge=1, le=1800)
    down_window: int | None = Field(default=None, ge=0, le=3600)
    """For how long fewer must be enough before any goes: 300 seconds, or as long as the longest task of
    workers up to an hour, where it is not said. With `min: 0` also how long the last one stays idle."""


class Replicas(Args):
    """How many pods run: from `min` to `max` an autoscaler decides; where they are equal there is none.

    The trigger that asks for most counts.
    """

    min: int = Field(default=3, ge=0, le=1000)
    """0: none where there is no work, which needs KEDA and a trigger that can wake the first."""
    max: int = Field(default=10, ge=1, le=1000)
    target_cpu: int | None = Field(default=70, ge=1, le=100)
    """The share of the CPU request, in percent, that the autoscaler aims at; null: not by it."""
    target_memory: int | None = Field(default=None, ge=1, le=100)
    """The same for memory. What a process has once taken it seldom gives back: it scales up, hardly down."""
    queue_depth: int | None = Field(default=None, ge=1, le=100_000)
    """Workers: tasks for each, waiting and in hand. Where it is not said and there is KEDA: as many as one
    works on at once (`worker.concurrency`). null: not by it."""
    queue_age: int | None = Field(default=None, ge=1, le=1_209_600)
    """Workers: the seconds that a task may wait before more start. SQS counts a task's age until it is done,
    so the trigger's target is this and `task_timeout` together."""
    count_delayed: bool = False
    """Workers: whether tasks that the queue still holds back (`delay_seconds`) count."""
    concurrency: int | None = Field(default=None, ge=1, le=10_000)
    """The API: requests in flight for each, as Prometheus knows them."""
    schedules: Sequence[Schedule] = ()
    prometheus: Sequence[PrometheusQuery] = ()
    speed: Speed = Speed()
    poll_seconds: int = Field(default=30, ge=5, le=600)
    """How often KEDA looks while none run, and at the queue's age; a look at the age costs 0.00001 USD."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}; lower min or raise max")
        return self

    @model_validator(mode="after")
    def _something_is_to_be_decided(self) -> Self:
        said = [name for name in TRIGGERS if getattr(self, name)]
        if self.min == self.max and said:
            raise ValueError(
                f"min and max are both {self.max}, so that {', '.join(said)} would decide nothing; raise max "
                "or leave them out"
            )
        return self

    @model_validator(mode="after")
    def _schedules_fit(self) -> Self:
        for index, schedule in enumerate(self.schedules):
            if not self.min < schedule.replicas <= self.max:
                raise ValueError(
                    f"schedules.{index}.replicas {schedule.replicas} is not above min {self.min} and up to "
                    f"max {self.max}; say a number between them"
                )
            if schedule.seconds < self.poll_seconds:
                raise ValueError(
                    f"schedules.{index} holds for {schedule.seconds} seconds, and KEDA looks every "
                    f"{self.poll_seconds}; say a later end, or fewer poll_seconds"
                )
        if len({schedule.model_dump_json() for schedule in self.schedules}) < len(self.schedules):
            raise ValueError("schedules has the same one twice; leave one out")
        return self

    @model_validator(mode="after")
    def _looks_often_enough(self) -> Self:
        window = self.speed.down_window
        least = max(SYNC_SECONDS, self.poll_seconds if self.min == 0 or self.queue_age else 0)
        if window is not None and 0 < window < least:
            raise ValueError(
                f"speed.down_window {window} is shorter than the {least} seconds from one look to the next; "
                f"say 0 or {least} and more"
            )
        return self

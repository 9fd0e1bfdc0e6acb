"""How a new revision of a fleet takes over from the one that runs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from agent_infra.component import Args, shaped

_Share = Annotated[float, Field(ge=0, le=1)]
_Ratio = Annotated[float, Field(ge=1, le=100)]
#: A value of an environment variable, which the cases are handed over in, may not be longer on Linux.
_LONGEST_CASES = 100_000


class CanaryStep(Args):
    """A share of the traffic for a time."""

    weight: int = Field(ge=1, le=99)
    """In percent. Without a controller it is made of whole pods, so that it is the least: one canary beside
    three stable pods has 25 %."""
    minutes: float = Field(gt=0, le=1440)


class EvaluationCase(Args):
    """One thing that the fleet's agent is asked, and how its answer is judged."""

    prompt: str = Field(min_length=1)
    contains: Sequence[str] = ()
    """What the answer must have in it, whatever the case of its letters."""
    excludes: Sequence[str] = ()
    """What it must not have in it."""

    @model_validator(mode="after")
    def _judges(self) -> Self:
        if not (self.contains or self.excludes):
            raise ValueError("any answer would do; say what it must have in `contains`, or not in `excludes`")
        return self


class Evaluation(Args):
    """A score, from 0 to 1, that the new revision has to reach before it gets any traffic."""

    cases: Sequence[EvaluationCase] = ()
    """What `agent-app evaluate` asks the fleet's agent; the score is the share of cases it passes."""
    agent: str | None = None
    """Which agent is asked; the fleet's first where it is not said."""
    command: Sequence[str] = ()
    """In place of `cases`: a command of the fleet's image. It prints the score as its last line, and ends
    with 0."""
    min_score: _Share = 0.8
    minutes: float = Field(default=15, gt=0, le=240)
    """How long it may take."""

    @model_validator(mode="after")
    def _something_to_judge(self) -> Self:
        if bool(self.cases) == bool(self.command):
            raise ValueError(
                "the score is that of `cases` or of a `command` of your own; say one of the two, such as "
                'cases: [{prompt: "What is 2 + 2?", contains: ["4"]}]'
            )
        if self.command and self.agent is not None:
            raise ValueError("`agent` is whom `cases` are asked; leave it out beside a `command`")
        long = sum(len(case.model_dump_json().encode()) for case in self.cases)
        if long > _LONGEST_CASES:
            raise ValueError(
                f"the cases are {long} bytes, and {_LONGEST_CASES} is the most; put them into the image and "
                "say a `command` that reads them"
            )
        return self


class Analysis(Args):
    """What the new revision is held against, all through its steps. None switches a bound off.

    A bound is judged from `min_requests` or `min_tasks` on; what never had as many is told at the end.
    """

    max_error_rate: _Share | None = 0.05
    """The share of its answers over HTTP that are errors of the service (5xx)."""
    max_latency_ratio: _Ratio | None = 1.5
    """The 95th percentile of its time to answer, over that of the stable pods in the same time."""
    max_latency_seconds: Annotated[float, Field(gt=0)] | None = None
    """The same percentile in itself."""
    max_task_failure_rate: _Share | None = 0.1
    """The share of its tasks that fail for good."""
    max_cost_ratio: _Ratio | None = 1.5
    """What a task or a request costs at the models' vendors, over what it costs the stable pods."""
    max_cost_per_task_usd: Annotated[float, Field(gt=0)] | None = None
    """The same in itself, in USD."""
    min_requests: int = Field(default=50, ge=1)
    min_tasks: int = Field(default=20, ge=1)
    evaluation: Evaluation | None = None
    prometheus_url: (
        Annotated[
            str, shaped(r"https?://[^\s@]+", "an address without a password, such as http://prometheus:9090")
        ]
        | None
    ) = None
    """Where Argo Rollouts finds the pods' metrics; a canary without it asks the pods themselves."""


class Rollout(Args):
    """How a new revision takes over.

    `rolling`: a pod of the new one is ready before one of the old one goes. `canary`: `up` itself first
    runs the new one beside the old one on a share of the traffic, and goes back where `analysis` says so;
    nothing has to be installed.
    """

    strategy: Literal["rolling", "canary"] = "rolling"
    steps: Sequence[CanaryStep] = (
        CanaryStep(weight=5, minutes=5),
        CanaryStep(weight=25, minutes=5),
        CanaryStep(weight=50, minutes=10),
    )
    analysis: Analysis = Analysis()
    revisions: int = Field(default=5, ge=1, le=50)
    """How many earlier revisions the cluster keeps without pods, to go back to at once."""

    @property
    def gradual(self) -> bool:
        """Whether two revisions serve side by side for long."""
        return self.strategy != "rolling"

    @model_validator(mode="after")
    def _steps_rise(self) -> Self:
        if not self.steps:
            raise ValueError("`steps` is empty; say at least one, such as {weight: 5, minutes: 5}")
        for before, after in pairwise(self.steps):
            if after.weight <= before.weight:
                raise ValueError(
                    f"`steps` go from {before.weight} % to {after.weight} %; each weight has to be above the "
                    "one before it"
                )
        return self

    @model_validator(mode="after")
    def _said_where_used(self) -> Self:
        unused = sorted({"steps", "analysis"} & self.model_fields_set)
        if self.strategy == "rolling" and unused:
            raise ValueError(
                f"`{'` and `'.join(unused)}` are for a canary, and the strategy is rolling; say "
                "strategy: canary, or leave them out"
            )
        prometheus = self.analysis.prometheus_url
        if self.strategy == "canary" and prometheus is not None:
            raise ValueError(
                "`analysis.prometheus_url` is for Argo Rollouts, and a canary asks the pods themselves; "
                "leave it out"
            )
        return self

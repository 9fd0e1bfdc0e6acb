"""Whether a canary's numbers are good enough beside the stable pods'; pure functions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agent_infra.fleet.canary.numbers import Numbers
from agent_infra.fleet.names import ComponentKind
from agent_infra.fleet.rollout_args import Analysis

#: Faster than this is fast enough: of times below it the ratio is that of a histogram's bounds.
_FAST_SECONDS = 0.1


@dataclass(frozen=True)
class Finding:
    """One number beside its bound; `value` is None where there is too little to judge by."""

    text: str
    value: float | None
    bound: float

    @property
    def bad(self) -> bool:
        return self.value is not None and self.value > self.bound


def pods_for(weight: int, stable: int) -> int:
    """How many canary pods have at least that share, in percent, of the traffic beside the stable ones."""
    return max(1, -(-weight * stable // (100 - weight)))


def real_weight(canary: int, stable: int) -> float:
    """The share that so many pods have, in percent."""
    return 100 * canary / (canary + stable)


def judge(kind: ComponentKind, canary: Numbers, stable: Numbers, analysis: Analysis) -> list[Finding]:
    """Every bound that is on for this kind of pods.

    A rate of failures that the stable pods have too is not the new revision's: it is bad only where it is
    above the bound and above theirs. Else no revision that mends what fails now could be rolled out.
    """
    found = _of_requests(canary, stable, analysis) if kind == "api" else _of_tasks(canary, stable, analysis)
    return list(found)


def _of_requests(canary: Numbers, stable: Numbers, analysis: Analysis) -> Iterator[Finding]:
    enough = canary.requests >= analysis.min_requests
    comparable = enough and stable.requests >= analysis.min_requests
    seen = f"{canary.requests} requests, {analysis.min_requests} are needed"
    if analysis.max_error_rate is not None:
        theirs = (stable.error_rate or 0.0) if comparable else 0.0
        yield _rate(
            "error rate",
            canary.error_rate if enough else None,
            max(analysis.max_error_rate, theirs),
            f"{canary.errors} of {canary.requests} requests" if enough else seen,
        )
    if analysis.max_latency_seconds is not None:
        yield _seconds(
            "95th percentile of the time to answer",
            canary.p95_seconds if enough else None,
            analysis.max_latency_seconds,
            seen,
        )
    if analysis.max_latency_ratio is not None:
        yield _ratio(
            "95th percentile of the time to answer over the stable pods'",
            canary.p95_seconds if comparable else None,
            None if stable.p95_seconds is None else max(stable.p95_seconds, _FAST_SECONDS),
            analysis.max_latency_ratio,
            unit="s",
            seen=seen,
        )
    if analysis.max_cost_ratio is not None:
        yield _ratio(
            "cost of a request over the stable pods'",
            _per(canary.cost_usd, canary.posts, analysis.min_requests),
            _per(stable.cost_usd, stable.posts, analysis.min_requests),
            analysis.max_cost_ratio,
            unit="USD",
            seen=f"{canary.posts} requests by POST, {analysis.min_requests} are needed",
        )


def _of_tasks(canary: Numbers, stable: Numbers, analysis: Analysis) -> Iterator[Finding]:
    enough = canary.tasks >= analysis.min_tasks
    seen = f"{canary.tasks} tasks, {analysis.min_tasks} are needed"
    cost = _per(canary.cost_usd, canary.tasks, analysis.min_tasks)
    if analysis.max_task_failure_rate is not None:
        theirs = (stable.task_failure_rate or 0.0) if stable.tasks >= analysis.min_tasks else 0.0
        yield _rate(
            "task failure rate",
            canary.task_failure_rate if enough else None,
            max(analysis.max_task_failure_rate, theirs),
            f"{canary.failed_tasks} of {canary.tasks} tasks" if enough else seen,
        )
    if analysis.max_cost_per_task_usd is not None:
        bound = analysis.max_cost_per_task_usd
        text = seen if cost is None else f"{cost:.4g} USD, {bound:.4g} is allowed"
        yield Finding(f"cost per task: {text}", cost, bound)
    if analysis.max_cost_ratio is not None:
        yield _ratio(
            "cost of a task over the stable pods'",
            cost,
            _per(stable.cost_usd, stable.tasks, analysis.min_tasks),
            analysis.max_cost_ratio,
            unit="USD",
            seen=seen,
        )


def _per(cost: float, units: int, least: int) -> float | None:
    return cost / units if units >= least else None


def _rate(what: str, value: float | None, bound: float, seen: str) -> Finding:
    text = seen if value is None else f"{value:.3f} ({seen}), {bound:.3f} is allowed"
    return Finding(f"{what}: {text}", value, bound)


def _seconds(what: str, value: float | None, bound: float, seen: str) -> Finding:
    text = seen if value is None else f"{value:.3g} s, {bound:.3g} is allowed"
    return Finding(f"{what}: {text}", value, bound)


def _ratio(
    what: str, ours: float | None, theirs: float | None, bound: float, *, unit: str, seen: str
) -> Finding:
    if ours is None or not theirs:
        # Nothing to compare with: the stable pods took no time or no money, or had too little to do.
        text = seen if ours is None else "the stable pods have nothing to compare with"
        return Finding(f"{what}: {text}", None, bound)
    value = ours / theirs
    text = f"{value:.2f} ({ours:.3g} {unit} to {theirs:.3g} {unit}), {bound:.2f} is allowed"
    return Finding(f"{what}: {text}", value, bound)

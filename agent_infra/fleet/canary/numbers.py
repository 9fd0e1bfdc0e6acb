"""What pods' /metrics say of a stretch of time; pure but for what it remembers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

#: Asked by the cluster and not by people.
_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
_COUNTED = frozenset(
    {
        "agent_app_http_requests_total",
        "agent_app_http_request_seconds_bucket",
        "agent_app_tasks_total",
        "agent_app_llm_cost_usd_total",
    }
)
#: The outcomes of a task that ended; all others are tried again or somebody else's.
_SUCCEEDED, _FAILED = "succeeded", "failed"

#: One time series: its name and its labels.
Series = tuple[str, tuple[tuple[str, str], ...]]
Counters = dict[Series, float]


def counters(text: str) -> Counters:
    """Those of a page in Prometheus' text format that a canary is judged by."""
    from prometheus_client.parser import text_string_to_metric_families

    return {
        (sample.name, tuple(sorted(sample.labels.items()))): float(sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name in _COUNTED and sample.labels.get("route") not in _PROBES
    }


@dataclass(frozen=True)
class Numbers:
    """What some pods did."""

    requests: int = 0
    errors: int = 0
    """Of the requests: those answered with 5xx."""
    posts: int = 0
    """Of the requests: those that may have asked a model."""
    tasks: int = 0
    """Tasks that ended, well or for good badly."""
    failed_tasks: int = 0
    cost_usd: float = 0.0
    buckets: Mapping[float, float] = field(default_factory=dict)
    """By upper bound in seconds: how many requests took no longer."""

    @property
    def error_rate(self) -> float | None:
        return self.errors / self.requests if self.requests else None

    @property
    def task_failure_rate(self) -> float | None:
        return self.failed_tasks / self.tasks if self.tasks else None

    @property
    def p95_seconds(self) -> float | None:
        return quantile(self.buckets, 0.95)


def quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """A percentile out of a histogram, as Prometheus' `histogram_quantile` has it; None where it is empty.

    Within a bucket it takes values to be spread evenly; beyond the last bound it says that bound.
    """
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0
    if total <= 0:
        return None
    rank = share * total
    below, lower = 0.0, 0.0
    for bound in bounds:
        count = buckets[bound]
        if count >= rank:
            if math.isinf(bound):
                return lower
            inside = count - below
            return lower + (bound - lower) * ((rank - below) / inside if inside > 0 else 1.0)
        below, lower = count, bound
    return lower


class Tally:
    """Adds up what pods count, from now on, over pods that come, go and start anew."""

    def __init__(self) -> None:
        self._last: dict[str, Counters] = {}
        self._sums: Counters = {}

    def begin(self, pages: Mapping[str, str]) -> None:
        """What these pods counted until now is left out."""
        self._last.update({pod: counters(page) for pod, page in pages.items()})

    def add(self, pages: Mapping[str, str]) -> None:
        """Takes a look; a pod that was not there at the beginning counts from its start."""
        for pod, page in pages.items():
            now = counters(page)
            before = self._last.get(pod, {})
            for series, value in now.items():
                earlier = before.get(series, 0.0)
                # A counter that fell is one of a process that was started anew.
                grown = value - earlier if value >= earlier else value
                self._sums[series] = self._sums.get(series, 0.0) + grown
            self._last[pod] = now

    def numbers(self) -> Numbers:
        found = dict.fromkeys(("requests", "errors", "posts", "tasks", "failed"), 0.0)
        cost, buckets = 0.0, dict[float, float]()
        for (name, labels), value in self._sums.items():
            of = dict(labels)
            if name == "agent_app_http_requests_total":
                found["requests"] += value
                found["errors"] += value if of.get("status", "").startswith("5") else 0
                found["posts"] += value if of.get("method") == "POST" else 0
            elif name == "agent_app_tasks_total" and of.get("outcome") in (_SUCCEEDED, _FAILED):
                found["tasks"] += value
                found["failed"] += value if of.get("outcome") == _FAILED else 0
            elif name == "agent_app_llm_cost_usd_total":
                cost += value
            elif name == "agent_app_http_request_seconds_bucket":
                bound = float(of["le"])
                buckets[bound] = buckets.get(bound, 0.0) + value
        return Numbers(
            requests=round(found["requests"]),
            errors=round(found["errors"]),
            posts=round(found["posts"]),
            tasks=round(found["tasks"]),
            failed_tasks=round(found["failed"]),
            cost_usd=cost,
            buckets=buckets,
        )

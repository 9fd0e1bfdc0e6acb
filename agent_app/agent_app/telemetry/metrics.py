"""What /metrics shows. Each service has a registry of its own, so that two can live in one process."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

#: From a cached answer to the slowest model's.
_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """The counters, one attribute each; labels are of few values, never ids."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        registry = self.registry
        self.requests = Counter(
            "agent_app_http_requests",
            "HTTP requests answered",
            ("method", "route", "status"),
            registry=registry,
        )
        self.request_seconds = Histogram(
            "agent_app_http_request_seconds",
            "Time to answer",
            ("method", "route"),
            registry=registry,
            buckets=_SECONDS,
        )
        self.requests_in_flight = Gauge(
            "agent_app_http_requests_in_flight", "HTTP requests being answered", registry=registry
        )
        self.requests_limited = Counter(
            "agent_app_http_requests_limited", "HTTP requests beyond their owner's limit", registry=registry
        )
        self.tasks = Counter(
            "agent_app_tasks",
            "Deliveries: succeeded, retried, failed, cancelled, duplicate, handed_back, lost, malformed",
            ("agent", "outcome"),
            registry=registry,
        )
        self.task_seconds = Histogram(
            "agent_app_task_seconds", "Time a task ran", ("agent",), registry=registry, buckets=_SECONDS
        )
        self.tasks_in_flight = Gauge("agent_app_tasks_in_flight", "Tasks running here", registry=registry)
        self.deletion_costs = Counter(
            "agent_app_deletion_costs",
            "Times the pod's deletion cost was to be told to Kubernetes: told, failed",
            ("outcome",),
            registry=registry,
        )
        self.queue_age = Histogram(
            "agent_app_queue_age_seconds",
            "How long a task had been in the queue when a worker took it",
            ("queue",),
            registry=registry,
            buckets=_SECONDS,
        )
        self.llm_requests = Counter(
            "agent_app_llm_requests", "Calls of a model", ("model", "outcome"), registry=registry
        )
        self.llm_tokens = Counter(
            "agent_app_llm_tokens", "Tokens by direction", ("model", "direction"), registry=registry
        )
        self.llm_request_seconds = Histogram(
            "agent_app_llm_request_seconds",
            "Time of one call of a model, streams to their end",
            ("model",),
            registry=registry,
            buckets=_SECONDS,
        )
        self.llm_cost = Counter(
            "agent_app_llm_cost_usd", "Money that calls of models took", ("agent", "model"), registry=registry
        )
        self.llm_budget_refusals = Counter(
            "agent_app_llm_budget_refusals", "Calls that a budget refused", ("scope",), registry=registry
        )
        self.llm_budget_used = Gauge(
            "agent_app_llm_budget_used_ratio",
            "Of the fleet's or an agent's monthly budget: what is spent or set aside, as last known here",
            ("scope", "name"),
            registry=registry,
        )
        self.cache_requests = Counter(
            "agent_app_cache_requests",
            "Answers and embeddings looked up: hit, similar, miss",
            ("cache", "outcome"),
            registry=registry,
        )
        self.llm_limit_waits = Histogram(
            "agent_app_llm_limit_wait_seconds",
            "How long calls waited for their model's limits",
            ("model",),
            registry=registry,
            buckets=_SECONDS,
        )
        self.spans = Counter(
            "agent_app_spans", "Spans of traces: sent, lost", ("outcome",), registry=registry
        )
        self.cache_failures = Counter(
            "agent_app_history_cache_failures", "Times Redis failed and Postgres answered", registry=registry
        )
        self.answer_cache_failures = Counter(
            "agent_app_answer_cache_failures", "Times Redis failed and a model was asked", registry=registry
        )

    def exposition(self) -> bytes:
        """The Prometheus text format, version 0.0.4."""
        return generate_latest(self.registry)

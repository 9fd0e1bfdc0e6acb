"""What decides how many pods of a kind run, and what about that is impossible: pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent_infra.aws.keda_access import KedaAccess
from agent_infra.fleet.ceiling import Ceiling, ceiling
from agent_infra.fleet.connections import QueueConnection
from agent_infra.fleet.llm_args import ModelLimits, whole_name
from agent_infra.fleet.merge import merge
from agent_infra.fleet.names import ComponentKind
from agent_infra.fleet.options import FleetOptions, Worker
from agent_infra.fleet.scaling_args import EVENT_TRIGGERS, Replicas

#: Where the window is not said: Kubernetes' own, or the longest task, up to the most that Kubernetes takes.
_WINDOW_SECONDS = 300
_LONGEST_WINDOW_SECONDS = 3600
_QUEUE_URL = re.compile(r"https?://[^/?#]+/[^/?#]+/[^/?#]+")
_QUEUE_ARN = re.compile(r"arn:aws[a-z-]*:sqs:[a-z0-9-]+:\d{12}:[^:*?]+")
_WAYS_TO_KEDA = (
    "install it with `cluster: {keda: {}}`, or name the one that is there: `keda: {install: false}` of a "
    "cluster, `keda={}` of an AgentFleet alone"
)


@dataclass(frozen=True)
class Situation:
    """What the choice of triggers depends on."""

    kind: ComponentKind
    keda: KedaAccess | None
    has_queue: bool
    worker_concurrency: int
    task_timeout: int
    #: Where it is known; one that is yet to be made is not.
    queue: QueueConnection | None = None


@dataclass(frozen=True)
class Plan:
    """What decides; what is None does not."""

    replicas: Replicas
    """With `max` lowered to what the model's limits keep busy."""
    by_keda: bool
    """Whether KEDA's ScaledObject decides; else a plain HorizontalPodAutoscaler does."""
    queue_depth: int | None
    queue_age: int | None
    """In seconds, from a task's sending to its end."""
    down_window: int

    @property
    def scales(self) -> bool:
        """Whether an autoscaler decides at all."""
        return self.replicas.max > self.replicas.min

    @property
    def polled(self) -> bool:
        """Whether it matters how often KEDA itself looks."""
        return self.replicas.min == 0 or self.queue_age is not None


def plan(replicas: Replicas, situation: Situation) -> Plan:
    """What decides in this situation; `problems` says whether it can."""
    depth = _queue_depth(replicas, situation)
    age = None if replicas.queue_age is None else replicas.queue_age + situation.task_timeout
    by_events = depth is not None or any(getattr(replicas, name) for name in EVENT_TRIGGERS)
    least = situation.task_timeout if situation.kind == "worker" else 0
    derived = min(max(_WINDOW_SECONDS, least), _LONGEST_WINDOW_SECONDS)
    said = replicas.speed.down_window
    return Plan(
        replicas=replicas,
        by_keda=situation.keda is not None and by_events,
        queue_depth=depth,
        queue_age=age,
        down_window=derived if said is None else said,
    )


def _queue_depth(replicas: Replicas, situation: Situation) -> int | None:
    if "queue_depth" in replicas.model_fields_set:
        return replicas.queue_depth
    # One message for each of the tasks that a worker does at once: none of them waits, no worker idles.
    by_itself = situation.kind == "worker" and situation.has_queue and situation.keda is not None
    return situation.worker_concurrency if by_itself else None


def problems(replicas: Replicas, situation: Situation) -> Iterator[str]:
    """What Kubernetes or KEDA would refuse, or take and never act on."""
    if replicas.min == replicas.max:
        return
    if situation.keda is None:
        wanting = [name for name in EVENT_TRIGGERS if getattr(replicas, name)]
        if replicas.min == 0:
            wanting.insert(0, "min 0")
        if wanting:
            yield f"{', '.join(wanting)} needs KEDA, and the cluster has none; {_WAYS_TO_KEDA}"
            return
    yield from _of_another_kind(replicas, situation)
    yield from _inert(replicas, situation)
    yield from _unmeasured(replicas, situation)


def _of_another_kind(replicas: Replicas, situation: Situation) -> Iterator[str]:
    about_queues = [name for name in ("queue_depth", "queue_age", "count_delayed") if getattr(replicas, name)]
    if situation.kind == "api" and about_queues:
        yield (
            f"{', '.join(about_queues)} is about the workers' queue, and these pods take no tasks; say it "
            "under worker.replicas"
        )
    elif about_queues and not situation.has_queue:
        yield f"{', '.join(about_queues)} needs a queue, and there is none; connect `queue`, or leave it out"
    if situation.kind == "worker" and replicas.concurrency:
        yield (
            "concurrency is about the API's requests in flight; leave it out: queue_depth counts the tasks "
            "in hand too"
        )


def _inert(replicas: Replicas, situation: Situation) -> Iterator[str]:
    decided = plan(replicas, situation)
    wakes = [decided.queue_depth, decided.queue_age, replicas.schedules, replicas.prometheus]
    if replicas.min == 0 and not any(wakes):
        if situation.kind == "api":
            yield (
                "min 0 would answer nobody: with no pod there is no CPU and no request in flight to start "
                "one by; say 1, or add `schedules` for when it must answer, or a `prometheus` query of "
                "what stands before it"
            )
        else:
            yield (
                "min 0 has nothing that starts the first worker; say 1, or add queue_depth, queue_age, "
                "`schedules` or a `prometheus` query"
            )
    if not any((replicas.target_cpu, replicas.target_memory, replicas.concurrency, *wakes)):
        yield (
            f"nothing decides between min {replicas.min} and max {replicas.max}; add a trigger such as "
            "target_cpu: 70, or say min and max alike"
        )
    if replicas.count_delayed and decided.queue_depth is None and situation.kind == "worker":
        yield "count_delayed is about queue_depth, which is null; leave one of the two out"


def _unmeasured(replicas: Replicas, situation: Situation) -> Iterator[str]:
    server = situation.keda.prometheus if situation.keda else None
    if server is None:
        wanting = ["concurrency"] if replicas.concurrency else []
        wanting += [f"prometheus.{n}" for n, query in enumerate(replicas.prometheus) if query.server is None]
        if wanting:
            yield (
                f"{', '.join(wanting)} asks a Prometheus server, and none is known; say it in `keda: "
                "{prometheus: {url: http://prometheus.monitoring:9090}}`"
            )
    decided = plan(replicas, situation)
    if situation.queue is None or (decided.queue_depth is None and decided.queue_age is None):
        return
    url, arn = situation.queue.url, situation.queue.arn
    if isinstance(url, str) and not _QUEUE_URL.fullmatch(url):
        yield (
            f"KEDA cannot read the queue's name out of {url!r}; say its whole URL, such as "
            "https://sqs.eu-central-1.amazonaws.com/123456789012/tasks"
        )
    if isinstance(arn, str) and not _QUEUE_ARN.fullmatch(arn):
        yield (
            f"KEDA is told the queue's region and name by its ARN, and {arn!r} has none; say the whole one, "
            "such as arn:aws:sqs:eu-central-1:123456789012:tasks"
        )


def ceiling_of(options: FleetOptions, worker: Worker, kind: ComponentKind) -> Ceiling | None:
    """The most replicas of a kind that the models' limits keep busy; None where nothing bounds them.

    Of the API's it is known only where `concurrency` says what each has in flight. Of several models the one
    counts that keeps most busy: it may be the one that does the work.
    """
    at_once = worker.concurrency if kind == "worker" else options.replicas.concurrency
    if at_once is None:
        return None
    task = options.usual_task
    said = "seconds" in task.model_fields_set
    found = [
        ceiling(
            requests_per_minute=limits.requests_per_minute,
            tokens_per_minute=limits.tokens_per_minute,
            concurrency=at_once,
            seconds_per_task=task.seconds if said else min(task.seconds, options.task_timeout),
            calls_per_task=task.calls,
            tokens_per_call=task.tokens_per_call,
        )
        for limits in _limits(options)
    ]
    bounds = [bound for bound in found if bound is not None]
    return max(bounds, key=lambda bound: bound.replicas) if len(bounds) == len(found) else None


def _limits(options: FleetOptions) -> list[ModelLimits]:
    """Those of each model that the fleet's agents ask first."""
    own = next(iter(options.llm.models), None)
    models = {agent.model or own for agent in options.agents.values()} or {own}
    return [options.llm.limits_of(None if model is None else whole_name(model)) for model in models]


def replicas_of(options: FleetOptions, worker: Worker, kind: ComponentKind) -> Replicas:
    """How many pods of a kind run, with `max` lowered to what the model's limits keep busy."""
    said = options.replicas if kind == "api" else worker.replicas
    bound = ceiling_of(options, worker, kind)
    if bound is None or bound.replicas >= said.max:
        return said
    # A copy keeps what was said and what was not; a lowered max may meet min, which then is the number.
    return said.model_copy(update={"max": max(bound.replicas, said.min, 1)})


def over_ceiling(options: FleetOptions, worker: Worker, kind: ComponentKind) -> Iterator[str]:
    """What asks for more replicas than the model's limits keep busy, and cannot just be lowered."""
    said = options.replicas if kind == "api" else worker.replicas
    bound = ceiling_of(options, worker, kind)
    if bound is None:
        return
    fix = (
        f"the model's {bound.bound_by} a minute keep {bound.replicas} busy; say fewer, raise the limit, or "
        "say what a task does in `usual_task`"
    )
    if said.min > bound.replicas:
        yield f"min {said.min} is too many: {fix}"
    for index, schedule in enumerate(said.schedules):
        if schedule.replicas > bound.replicas:
            yield f"schedules.{index}.replicas {schedule.replicas} is too many: {fix}"


def missing_requests(
    replicas: Replicas, resources: Mapping[str, Any], *, container: str, extra_pod_spec: Mapping[str, Any]
) -> Iterator[str]:
    """A share of a request that there is not: the autoscaler would never scale by it."""
    mine: Any = {"resources": resources}
    for one in _containers(extra_pod_spec, "containers"):
        mine = merge(mine, one) if one.get("name") == container else mine
    left = mine["resources"] or {}
    for name, target in (("cpu", replicas.target_cpu), ("memory", replicas.target_memory)):
        # Where only a limit is said Kubernetes asks for as much.
        asked = any((left.get(part) or {}).get(name) for part in ("requests", "limits"))
        if target is not None and not asked and replicas.max > replicas.min:
            yield (
                f"target_{name} is a share of the {name} that a pod asks for, and extra_pod_spec takes that "
                f"away; leave it in, or say target_{name}: null"
            )


def has_sidecars(extra_pod_spec: Mapping[str, Any], *, container: str) -> bool:
    """Whether other containers run beside the fleet's: by their names and requests nobody knows anything."""
    beside = [
        *_containers(extra_pod_spec, "containers"),
        *(
            one
            for one in _containers(extra_pod_spec, "initContainers")
            if one.get("restartPolicy") == "Always"
        ),
    ]
    return any(one.get("name") != container for one in beside)


def _containers(extra_pod_spec: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Those that are known; what is yet to be known, or is no list, is others' to judge."""
    said = extra_pod_spec.get(key)
    return [one for one in said if isinstance(one, Mapping)] if isinstance(said, list | tuple) else []

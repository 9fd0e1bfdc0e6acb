"""Whether a fleet can be scaled as it says: asked when its arguments or the settings are read."""

from __future__ import annotations

from collections.abc import Iterator

from agent_infra.aws.keda_access import KedaAccess
from agent_infra.fleet import scaling_plan
from agent_infra.fleet.connections import QueueConnection
from agent_infra.fleet.fleet_contract import CONTAINER
from agent_infra.fleet.names import ComponentKind
from agent_infra.fleet.options import FleetOptions, Worker


def scaling_problems(
    options: FleetOptions,
    worker: Worker | None,
    *,
    keda: KedaAccess | None,
    queue: QueueConnection | bool | None,
) -> list[tuple[str, str]]:
    """What Kubernetes or KEDA would refuse, or take and never act on: where, and what in a sentence.

    `queue` may be True for one that is yet to be made.
    """
    return [
        (path, problem)
        for kind, path in _kinds(worker)
        for problem in _problems(options, worker or Worker(), kind, keda=keda, queue=queue)
    ]


def _kinds(worker: Worker | None) -> Iterator[tuple[ComponentKind, str]]:
    yield "api", "replicas"
    if worker is not None:
        yield "worker", "worker.replicas"


def _problems(
    options: FleetOptions,
    worker: Worker,
    kind: ComponentKind,
    *,
    keda: KedaAccess | None,
    queue: QueueConnection | bool | None,
) -> Iterator[str]:
    said = options.replicas if kind == "api" else worker.replicas
    resources = options.resources if kind == "api" else worker.resources
    situation = scaling_plan.Situation(
        kind=kind,
        keda=keda,
        has_queue=bool(queue),
        worker_concurrency=worker.concurrency,
        task_timeout=options.task_timeout,
        queue=None if isinstance(queue, bool) else queue,
    )
    yield from scaling_plan.problems(said, situation)
    yield from scaling_plan.over_ceiling(options, worker, kind)
    yield from scaling_plan.missing_requests(
        said,
        {
            "requests": {"cpu": resources.cpu, "memory": resources.memory},
            "limits": {"cpu": resources.cpu_limit, "memory": resources.memory_limit},
        },
        container=CONTAINER,
        extra_pod_spec=options.extra_pod_spec,
    )

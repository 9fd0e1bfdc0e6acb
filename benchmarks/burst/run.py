"""One trace, given to all arms at the same time on one control plane."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.burst import kubelet as kubelets
from benchmarks.burst import metrics_api
from benchmarks.burst.accounts import Record, Sample, Task
from benchmarks.burst.api import Api, ApiError, connected
from benchmarks.burst.arms import SECRETS, Arm, contract, queue_name
from benchmarks.burst.compress import Clock, compressed
from benchmarks.burst.kubelet import Kubelet
from benchmarks.burst.provider import Bucket, Window
from benchmarks.burst.trace import Arrival, Shape
from benchmarks.burst.worker import Ground, Worker, note
from tests.app.sqs_fake import SqsFake

_SAMPLE_SECONDS = 2.0
#: Vendors look at shorter times than a minute: 60 requests a minute may be one a second.
_VENDOR_HOLDS_SECONDS = 15.0
_SETTLED_SECONDS = 180.0
_TOLD_EVERY_SECONDS = 120.0


@dataclass(frozen=True)
class Plan:
    """What is the same for all arms."""

    shape: Shape
    factor: int
    limit: int
    """The vendor's, in calls a minute."""
    start_seconds: float = 20
    """From a pod's place on a node to its first task: its image is pulled and its process starts."""


@dataclass(frozen=True)
class _Running:
    arm: Arm
    ground: Ground
    kubelet: Kubelet


async def run(
    plan: Plan, trace: Sequence[Arrival], kubeconfig: Path, arms: Sequence[Arm], *, port: int
) -> dict[str, Record]:
    """What happened to each arm; their queues answer KEDA at that port."""
    clock = Clock(plan.factor)
    fake = SqsFake()
    async with fake.running(port), connected(kubeconfig) as api, contextlib.AsyncExitStack() as parts:
        keeping = await parts.enter_async_context(kubelets.nodes(api))
        running = [_prepared(plan, trace, api, clock, fake, arm) for arm in arms]
        metrics = metrics_api.MetricsApi(clock, lambda: _used(running))
        await parts.enter_async_context(metrics_api.serving(api, metrics))
        for each in running:
            await parts.enter_async_context(_deployed(api, each, plan.factor))
        await _settled(running, keeping)
        clock.start()
        for each in running:
            each.kubelet.begin()
        async with asyncio.TaskGroup() as group:
            group.create_task(_send(running, trace, clock))
            group.create_task(_watch(running, plan.shape, clock))
        for each in running:
            each.ground.record.paid_seconds = each.kubelet.paid_seconds()
        # What the pods' own end does to their tasks from here on is no part of it.
        return {each.arm.name: copy.deepcopy(each.ground.record) for each in running}


def _prepared(
    plan: Plan, trace: Sequence[Arrival], api: Api, clock: Clock, fake: SqsFake, arm: Arm
) -> _Running:
    ground = Ground(
        clock=clock,
        queue=fake.queue(queue_name(arm.name)),
        vendor=Bucket(plan.limit, holds=_VENDOR_HOLDS_SECONDS),
        record=Record(),
        seconds=[arrival.seconds for arrival in trace],
        visibility=contract().visibility,
        busy_share=arm.busy_share,
        hold=arm.hold,
        window=Window(plan.limit) if arm.shares_limit else None,
    )
    kubelet = Kubelet(
        api, clock, arm, lambda: Worker(ground), ground.failures, start_seconds=plan.start_seconds
    )
    return _Running(arm, ground, kubelet)


@contextlib.asynccontextmanager
async def _deployed(api: Api, running: _Running, factor: int) -> AsyncIterator[None]:
    """The arm's objects and its kubelet."""
    namespace = running.arm.namespace
    path = f"/api/v1/namespaces/{namespace}"
    metadata = {"name": namespace, "labels": running.arm.labels}
    await api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    for name, keys in SECRETS.items():
        secret = {"name": name, "namespace": namespace}
        values = dict.fromkeys(keys, "local")
        await api.apply({"apiVersion": "v1", "kind": "Secret", "metadata": secret, "stringData": values})
    for manifest in running.arm.manifests:
        await api.apply(compressed(manifest, factor))
    living = asyncio.create_task(running.kubelet.run())
    living.add_done_callback(lambda task: note(task, running.ground.failures))
    try:
        yield
    finally:
        # First the ScaledObjects: KEDA's finalizer wants what they name.
        scaled = f"/apis/keda.sh/v1alpha1/namespaces/{namespace}/scaledobjects"
        with contextlib.suppress(ApiError):
            await api.call("DELETE", scaled)
        await api.gone(path)
        # The pods still have what they have in hand, and the time for it.
        async with asyncio.timeout(_SETTLED_SECONDS + contract().grace / factor):
            while await _there(api, path):  # noqa: ASYNC110 - the API server tells nobody else
                await asyncio.sleep(0.5)
        await _ended(living)


async def _settled(running: Sequence[_Running], keeping: asyncio.Task[None]) -> None:
    """Until every arm has its least number of pods at work.

    Raises:
        SystemExit: an arm does not come so far.
    """
    least = {"seed": 3, "keda": 0, "fleet": 1}
    until = asyncio.get_running_loop().time() + _SETTLED_SECONDS
    while True:
        counts = {each.arm.name: (len(each.kubelet.workers()), each.kubelet.paid) for each in running}
        if all(both == (least[name.partition("-")[0]],) * 2 for name, both in counts.items()):
            return
        if keeping.done():
            keeping.result()
        _check(running)
        if asyncio.get_running_loop().time() > until:
            raise SystemExit(f"after {_SETTLED_SECONDS:.0f} s the arms have (at work, paid): {counts}")
        await asyncio.sleep(0.5)


async def _send(running: Sequence[_Running], trace: Sequence[Arrival], clock: Clock) -> None:
    for number, arrival in enumerate(trace):
        await clock.sleep(max(0.0, arrival.at - clock.now()))
        for each in running:
            each.ground.record.tasks.append(Task(clock.now()))
            each.ground.queue.send(str(number), {}, 0)


async def _watch(running: Sequence[_Running], shape: Shape, clock: Clock) -> None:
    told = 0.0
    while (now := clock.now()) < shape.horizon:
        for each in running:
            queue = each.ground.queue.described()
            each.ground.record.samples.append(
                Sample(
                    at=now,
                    paid=each.kubelet.paid,
                    ready=len(each.kubelet.workers()),
                    waiting=int(queue["ApproximateNumberOfMessages"]),
                    in_hand=int(queue["ApproximateNumberOfMessagesNotVisible"]),
                )
            )
        if now >= told:
            told += _TOLD_EVERY_SECONDS
            seen = [(each.arm.name, each.ground.record.samples[-1]) for each in running]
            shown = "  ".join(f"{name} {sample.paid} pods, {sample.waiting} waiting" for name, sample in seen)
            print(f"{now / 60:5.1f} min  {shown}", flush=True)
        _check(running)
        await clock.sleep(_SAMPLE_SECONDS)


def _check(running: Sequence[_Running]) -> None:
    """Ends a run in which the benchmark itself has failed."""
    if failures := [failure for each in running for failure in each.ground.failures]:
        raise BaseExceptionGroup("the benchmark failed", failures)


def _used(running: Sequence[_Running]) -> Mapping[tuple[str, str], tuple[float, str]]:
    return {
        (each.arm.namespace, name): (worker.cpu_share(), "agent")
        for each in running
        for name, worker in each.kubelet.workers().items()
    }


async def _there(api: Api, path: str) -> bool:
    try:
        await api.call("GET", path)
    except ApiError as error:
        if error.status == 404:
            return False
        raise
    return True


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

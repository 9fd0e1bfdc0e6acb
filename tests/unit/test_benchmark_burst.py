"""The arithmetic of `benchmarks.burst`: the trace, the vendor's limit, the objects, the accounts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.burst.accounts import Figures, Record, Refusal, Sample, Task, figures, verdicts
from benchmarks.burst.arms import arms
from benchmarks.burst.compress import FACTORS, Clock, compressed
from benchmarks.burst.provider import Bucket, Window, retry_seconds, slots_kept_busy
from benchmarks.burst.trace import LONGEST_SECONDS, MEAN_SECONDS, SHORTEST_SECONDS, Burst, Shape, draw
from benchmarks.burst.worker import Ground, Worker
from tests.app.sqs_fake import SqsFake

SHAPE = Shape(seconds=100, horizon=200, a_second=0.5, bursts=(Burst(at=20, tasks=10, seconds=5),))


def _figures(*tasks: Task, samples: tuple[Sample, ...] = (), refusals: tuple[Refusal, ...] = ()) -> Figures:
    record = Record(tasks=list(tasks), samples=list(samples), refusals=list(refusals), paid_seconds=600)
    return figures(record, SHAPE, task_timeout=60, sustained=40)


def test_the_same_seed_draws_the_same_trace_and_another_one_another() -> None:
    assert draw(SHAPE, 1) == draw(SHAPE, 1)
    assert draw(SHAPE, 1) != draw(SHAPE, 2)


def test_a_trace_is_in_order_and_holds_its_bursts() -> None:
    trace = draw(Shape(), 7)
    assert [arrival.at for arrival in trace] == sorted(arrival.at for arrival in trace)
    for burst in Shape().bursts:
        assert sum(burst.at <= arrival.at <= burst.end for arrival in trace) >= burst.tasks
    assert all(SHORTEST_SECONDS <= arrival.seconds <= LONGEST_SECONDS for arrival in trace)


def test_tasks_take_as_long_on_average_as_is_said() -> None:
    seconds = [arrival.seconds for arrival in draw(Shape(seconds=20_000), 3)]
    assert sum(seconds) / len(seconds) == pytest.approx(MEAN_SECONDS, rel=0.05)


def test_a_vendor_answers_as_many_calls_as_it_says_and_then_as_they_come_back() -> None:
    bucket = Bucket(60)
    assert [bucket.take(0) for _ in range(61)].count(True) == 60
    assert bucket.take(1)
    assert not bucket.take(1.5)
    shallow = Bucket(60, holds=15)
    assert [shallow.take(0) for _ in range(61)].count(True) == 15


@given(st.lists(st.floats(0, 30), max_size=300), st.integers(1, 50))
def test_who_keeps_to_the_window_is_never_refused(pauses: list[float], limit: int) -> None:
    bucket, window, now = Bucket(limit), Window(limit), 0.0
    for pause in pauses:
        now += pause
        while wait := window.admit(now):
            now += wait
        assert bucket.take(now)


@given(st.integers(0, 30), st.floats(0, 1))
def test_refused_calls_are_tried_again_within_seconds(attempt: int, chance: float) -> None:
    assert 0.375 <= retry_seconds(attempt, chance) <= 8


def test_a_limit_keeps_as_many_tasks_going_as_make_its_calls() -> None:
    assert slots_kept_busy(400, calls=4, seconds=60) == 100


def test_waiting_ends_at_the_first_start_and_at_the_horizon_where_there_is_none() -> None:
    found = _figures(Task(sent=10, starts=[15, 90], done=100), Task(sent=10))
    assert (found.waiting_p50, found.waiting_p99) == (190, 190)
    assert (found.redone, found.not_done, found.lost) == (1, 1, 0)


def test_a_task_cut_off_is_lost_where_it_is_not_done_within_its_own_limit() -> None:
    in_time = Task(sent=0, starts=[0, 30], cuts=[20], done=50)
    late = Task(sent=0, starts=[0, 80], cuts=[20], done=100)
    never = Task(sent=0, starts=[0], cuts=[20])
    found = _figures(in_time, late, never, Task(sent=0, starts=[0], done=59))
    assert (found.cut_off, found.lost, found.redone, found.not_done) == (3, 2, 2, 1)


def test_a_refusal_counts_against_scaling_where_the_pods_take_more_than_the_limit_sustains() -> None:
    found = _figures(Task(0), refusals=(Refusal(at=1, slots=40), Refusal(at=2, slots=44)))
    assert (found.refused, found.refused_by_scaling) == (2, 1)


def test_a_burst_has_drained_when_nothing_waits_after_its_last_task() -> None:
    def sample(at: float, waiting: int) -> Sample:
        return Sample(at=at, paid=2, ready=2, waiting=waiting, in_hand=8)

    found = _figures(Task(0), samples=(sample(22, 0), sample(30, 4), sample(40, 0), sample(50, 1)))
    assert (found.drain_seconds, found.most_replicas, found.replica_minutes) == (15, 2, 10)
    assert _figures(Task(0), samples=(sample(30, 4),)).drain_seconds == 175


def test_what_is_to_be_reached_is_judged_by_each_arm_that_it_names() -> None:
    def arm(waited: float, paid: float, **counts: int) -> Figures:
        record = Record(tasks=[Task(0, starts=[waited], done=waited)], paid_seconds=60 * paid)
        found = figures(record, SHAPE, task_timeout=60, sustained=40)
        return Figures(**{**vars(found), **counts})

    good = {"seed": arm(90, 10), "keda": arm(10, 50), "fleet": arm(30, 50)}
    assert all(reached for _, reached in verdicts(good).values())
    bad = {"seed": arm(80, 10), "keda": arm(10, 40), "fleet": arm(30, 50, cut_off=1, refused_by_scaling=1)}
    assert not any(reached for _, reached in verdicts(bad).values())


@pytest.mark.parametrize("factor", FACTORS)
def test_all_times_of_the_objects_are_divided_by_the_same_factor(factor: int) -> None:
    hpa = compressed({"kind": "HorizontalPodAutoscaler", "spec": {}}, factor)
    assert hpa["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 300 // factor
    assert [policy["periodSeconds"] for policy in hpa["spec"]["behavior"]["scaleUp"]["policies"]] == [
        15 // factor,
        15 // factor,
    ]
    said = {"minReplicaCount": 0, "cooldownPeriod": 60}
    scaled = compressed({"kind": "ScaledObject", "spec": said}, factor)["spec"]
    assert (scaled["pollingInterval"], scaled["cooldownPeriod"]) == (30 // factor, 60 // factor)
    assert scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] == hpa["spec"]["behavior"]
    pods = {"kind": "Deployment", "spec": {"template": {"spec": {}}}}
    assert compressed(pods, factor)["spec"]["template"]["spec"] == {
        "terminationGracePeriodSeconds": 30 // factor
    }


def test_the_arms_differ_in_how_they_scale_and_take_the_same_tasks_at_once() -> None:
    sides = {arm.name: arm for arm in arms("http://127.0.0.1:5000", 400)}
    kinds = {name: {manifest["kind"] for manifest in arm.manifests} for name, arm in sides.items()}
    assert kinds["seed"] == {"Deployment", "Service", "HorizontalPodAutoscaler"}
    assert kinds["keda"] == {"Deployment", "Service", "ScaledObject", "TriggerAuthentication"}
    assert {"Deployment", "ScaledObject", "PodDisruptionBudget"} <= kinds["fleet"]
    assert kinds["fleet"] == kinds["fleet-busy"] and kinds["seed"] == kinds["seed-busy"]
    (worker,) = [manifest for manifest in sides["fleet"].manifests if manifest["kind"] == "Deployment"]
    assert worker["metadata"]["name"] == sides["fleet"].deployment == "agent-worker"
    assert worker["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 335
    (scaled,) = [manifest for manifest in sides["fleet"].manifests if manifest["kind"] == "ScaledObject"]
    (queue,) = [each for each in scaled["spec"]["triggers"] if each["type"] == "aws-sqs-queue"]
    assert queue["metadata"]["queueURL"] == "http://127.0.0.1:5000/123456789012/tasks-fleet"
    assert queue["metadata"]["awsEndpoint"] == "http://127.0.0.1:5000"


def _ground(*seconds: float, limit: int = 6000) -> Ground:
    """So many tasks in the queue, at a thousand times the speed."""
    record = Record(tasks=[Task(0) for _ in seconds])
    ground = Ground(
        clock=Clock(1000),
        queue=SqsFake().queue("tasks"),
        vendor=Bucket(limit),
        record=record,
        seconds=list(seconds),
        visibility=360,
        busy_share=1.0,
    )
    for number in range(len(seconds)):
        ground.queue.send(str(number), {}, 0)
    return ground


async def _until(held: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not held():  # noqa: ASYNC110 - what is awaited is a number
            await asyncio.sleep(0.001)


async def test_a_worker_told_to_end_finishes_what_it_has_and_takes_nothing_more() -> None:
    ground = _ground(*[100.0] * 5)
    worker = Worker(ground)
    await _until(lambda: worker.in_hand == 4)
    assert ground.slots == 4
    await worker.end(grace=3000)
    assert [task.done is not None for task in ground.record.tasks] == [True, True, True, True, False]
    assert not ground.record.tasks[4].starts
    assert ground.slots == 0
    assert not ground.failures


async def test_what_a_worker_has_at_the_end_of_its_grace_is_cut_off_and_stays_in_the_queue() -> None:
    ground = _ground(20.0, 5000.0)
    worker = Worker(ground)
    await _until(lambda: worker.in_hand == 2)
    short, long = ground.record.tasks
    await _until(lambda: short.done is not None)
    await worker.end(grace=20)
    assert not short.cuts
    assert long.cuts and long.done is None
    assert ground.queue.described()["ApproximateNumberOfMessagesNotVisible"] == "1"


async def test_refused_calls_are_counted_and_made_again() -> None:
    ground = _ground(20.0, limit=2)
    worker = Worker(ground)
    await _until(lambda: len(ground.record.refusals) >= 2)
    assert {refusal.slots for refusal in ground.record.refusals} == {4}
    await _until(lambda: ground.record.tasks[0].done is not None)
    assert ground.record.calls == 4
    await worker.end(grace=30)


async def test_a_workers_cpu_is_that_of_its_tasks_since_the_last_look() -> None:
    ground = _ground(*[10_000.0] * 2)
    worker = Worker(ground)
    await _until(lambda: worker.in_hand == 2)
    worker.cpu_share()
    await ground.clock.sleep(20)
    assert worker.cpu_share() == pytest.approx(0.05 + 0.95 / 2, abs=0.01)
    await worker.end(grace=0)

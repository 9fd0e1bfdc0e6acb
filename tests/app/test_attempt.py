"""Cancelling, resuming and settling tasks, on the stores in memory."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from agent_app.agents.context import Context
from agent_app.llm.call import BudgetExhausted, LimitReached, LlmProblem
from agent_app.problems import Problem
from agent_app.settings import Settings
from agent_app.settings.agents import AgentType
from agent_app.tasks import worker as workers
from agent_app.tasks.heartbeat import Heartbeat, Hold
from agent_app.tasks.lane import Lane, Parts
from agent_app.tasks.memory import MemoryQueue, MemoryTaskStore
from agent_app.tasks.queue import Delivery, Note
from agent_app.tasks.task import Ending, LeaseLost, Status
from pydantic import JsonValue

from agent_app import service

Work = Callable[[JsonValue, Context], Awaitable[JsonValue]]
work: Work


class Scripted:
    """Does what the test says."""

    def check(self, input: JsonValue) -> None:
        return

    async def run(self, input: JsonValue, context: Context) -> JsonValue:
        return await work(input, context)


agent = Scripted()


@asynccontextmanager
async def _working(script: Work, **settings: Any) -> AsyncIterator[service.Service]:
    global work  # noqa: PLW0603 (the agent is found by its import path)
    work = script
    agents = {"scripted": AgentType(agent="tests.app.test_attempt:agent")}
    made = Settings(agents=agents, poll_seconds=0, retry_seconds=0, max_attempts=3, **settings)
    async with service.opened(made) as parts:
        running = asyncio.create_task(parts.worker.run())
        try:
            yield parts
        finally:
            parts.worker.stop()
            await running


async def _ended(parts: service.Service, id: uuid.UUID, status: Status) -> Any:
    assert parts.submission is not None
    async with asyncio.timeout(10):
        while (task := await parts.submission.get("me", id)).status is not status:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return task


async def lane_is_done(store: MemoryTaskStore, id: uuid.UUID) -> None:
    async with asyncio.timeout(10):
        while (task := await store.get(id)) and task.status is not Status.FAILED:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def _submit(parts: service.Service, input: JsonValue = "x") -> uuid.UUID:
    assert parts.submission is not None
    return (await parts.submission.submit("me", None, input, None)).id


async def test_a_step_that_was_done_is_not_done_again() -> None:
    done: list[str] = []

    async def script(input: JsonValue, context: Context) -> JsonValue:
        async def effect() -> JsonValue:
            done.append("effect")
            return {"number": len(done)}

        kept = await context.step("effect", effect)
        if len(done) < 2 and not done.append("try"):  # type: ignore[func-returns-value]  # fails the first time
            raise RuntimeError
        return kept

    async with _working(script) as parts:
        task = await _ended(parts, await _submit(parts), Status.SUCCEEDED)
    assert done == ["effect", "try"]
    assert (task.result, task.attempts) == ({"number": 1}, 2)


async def test_a_running_task_that_is_cancelled_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "CANCEL_SECONDS", 0.02)
    stopped = asyncio.Event()

    async def script(input: JsonValue, context: Context) -> JsonValue:
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()
        return None

    async with _working(script) as parts:
        assert parts.submission is not None
        id = await _submit(parts)
        await _ended(parts, id, Status.RUNNING)
        assert (await parts.submission.cancel("me", id)).cancel_requested
        task = await _ended(parts, id, Status.CANCELLED)
        assert stopped.is_set()
        assert (await parts.submission.cancel("me", id)).status is Status.CANCELLED
    assert task.result is None


async def test_a_queued_task_that_is_cancelled_never_runs() -> None:
    ran: list[JsonValue] = []

    async def script(input: JsonValue, context: Context) -> JsonValue:
        ran.append(input)
        await asyncio.sleep(0.1)
        return None

    async with _working(script, worker_concurrency=1) as parts:
        assert parts.submission is not None
        first = await _submit(parts, "first")
        second = await _submit(parts, "second")
        assert (await parts.submission.cancel("me", second)).status is Status.CANCELLED
        await _ended(parts, first, Status.SUCCEEDED)
        await _ended(parts, await _submit(parts, "third"), Status.SUCCEEDED)
    assert ran == ["first", "third"]


async def test_a_tasks_problem_is_its_error_and_nobody_elses_to_see() -> None:
    async def script(input: JsonValue, context: Context) -> JsonValue:
        raise Problem(502, "The model is away.")

    async with _working(script) as parts:
        id = await _submit(parts)
        task = await _ended(parts, id, Status.FAILED)
        assert (task.error, task.attempts) == ("The model is away.", 3)
        assert parts.submission is not None
        with pytest.raises(Problem, match="no task"):
            await parts.submission.get("you", id)
        with pytest.raises(Problem, match="no result: it is failed"):
            await parts.submission.result("me", id)


async def test_a_result_that_cannot_be_kept_at_first_is_kept_later(monkeypatch: pytest.MonkeyPatch) -> None:
    finish, failures = MemoryTaskStore.finish, [OSError(), OSError()]

    async def flaky(self: MemoryTaskStore, task: Any, ending: Ending) -> bool:
        if failures:
            raise failures.pop()
        return await finish(self, task, ending)

    monkeypatch.setattr(MemoryTaskStore, "finish", flaky)

    async def script(input: JsonValue, context: Context) -> JsonValue:
        return "done"

    async with _working(script) as parts:
        task = await _ended(parts, await _submit(parts), Status.SUCCEEDED)
    assert (task.result, task.attempts) == ("done", 1)


async def test_a_step_of_an_attempt_that_lost_its_lease_is_not_kept() -> None:
    store = MemoryTaskStore()
    task, _ = await store.create("me", "a", 1, None)
    first = await store.claim(task.id, -1)
    second = await store.claim(task.id, 60)
    assert first is not None
    assert second is not None
    with pytest.raises(LeaseLost):
        await store.keep_step(first, "s", 1)
    assert await store.keep_step(second, "s", 2) == 2
    assert await store.keep_step(second, "s", 3) == 2


def test_what_is_not_a_note_is_none() -> None:
    note = Note(uuid.uuid4(), "r", {"traceparent": "00-1"})
    assert Note.load(note.dump()) == note
    for text in ("", "{", "[]", "7", '{"task_id": 1}', '{"task_id": "x"}', "[" * 100_000):
        assert Note.load(text) is None


async def test_a_cancel_that_meets_a_failing_try_is_not_forgotten() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def script(input: JsonValue, context: Context) -> JsonValue:
        begun.set()
        await go_on.wait()
        raise RuntimeError

    async with _working(script) as parts:
        assert parts.submission is not None
        id = await _submit(parts)
        await begun.wait()
        await parts.submission.cancel("me", id)
        go_on.set()
        assert (await _ended(parts, id, Status.CANCELLED)).attempts == 1


@pytest.mark.parametrize("raised", [SystemExit(3), asyncio.CancelledError()], ids=repr)
async def test_what_would_end_the_worker_fails_the_task_alone(raised: BaseException) -> None:
    async def script(input: JsonValue, context: Context) -> JsonValue:
        raise raised

    async with _working(script) as parts:
        task = await _ended(parts, await _submit(parts), Status.FAILED)
    assert task.attempts == 3


@pytest.mark.parametrize("kind", [LimitReached, LlmProblem])
async def test_a_task_whose_model_has_no_room_or_is_down_is_postponed_and_loses_no_try(
    kind: type[LlmProblem],
) -> None:
    limited = [kind(503, "Not now.", retry_after=0)] * 5

    async def script(input: JsonValue, context: Context) -> JsonValue:
        if limited:
            raise limited.pop()
        return "done"

    async with _working(script) as parts:
        task = await _ended(parts, await _submit(parts), Status.SUCCEEDED)
    assert (task.attempts, task.tries) == (6, 1)


@pytest.mark.parametrize("problem", [LlmProblem(502, "It failed."), BudgetExhausted(429, "It is spent.")])
async def test_a_model_that_failed_or_is_not_paid_for_costs_a_try(problem: LlmProblem) -> None:
    async def script(input: JsonValue, context: Context) -> JsonValue:
        raise problem

    async with _working(script) as parts:
        task = await _ended(parts, await _submit(parts), Status.FAILED)
    assert task.error == problem.detail


async def test_tries_that_never_ended_count_as_well() -> None:
    ran: list[JsonValue] = []

    async def script(input: JsonValue, context: Context) -> JsonValue:
        ran.append(input)
        return None

    async with _working(script) as parts:
        store = MemoryTaskStore()
        task, _ = await store.create("me", "scripted", "x", None)
        for _ in range(3):
            await store.claim(task.id, -1)  # whose workers died
        queue = MemoryQueue()
        lane = Lane(
            "lane",
            queue,
            Parts(store, parts.policies, parts.runs.context, None, parts.metrics, 0),
            agents=["scripted"],
            concurrency=1,
            max_attempts=3,
        )
        await queue.send(Note(task.id))
        stopping = asyncio.Event()
        running = asyncio.create_task(lane.run(stopping))
        await lane_is_done(store, task.id)
        stopping.set()
        await running
    assert not ran


async def test_a_step_keeps_what_postgres_can_hold_and_is_done_once_when_asked_for_twice_at_once() -> None:
    done: list[str] = []

    async def script(input: JsonValue, context: Context) -> JsonValue:
        async def effect() -> JsonValue:
            done.append("effect")
            await asyncio.sleep(0)
            return {"nul\x00": ["a\x00b", "half \ud800", "\\u0000"]}

        return list(await asyncio.gather(*(context.step("effect", effect) for _ in range(2))))

    async with _working(script) as parts:
        task = await _ended(parts, await _submit(parts), Status.SUCCEEDED)
    assert task.result == [{"nul": ["ab", "half ", "\\u0000"]}] * 2
    assert done == ["effect"]


async def test_a_result_that_cannot_be_kept_fails_the_task_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finish = MemoryTaskStore.finish

    async def picky(self: MemoryTaskStore, task: Any, ending: Ending) -> bool:
        if ending.status is Status.SUCCEEDED:
            raise ValueError
        return await finish(self, task, ending)

    monkeypatch.setattr(MemoryTaskStore, "finish", picky)

    async def script(input: JsonValue, context: Context) -> JsonValue:
        return "x"

    async with _working(script) as parts:
        task = await _ended(parts, await _submit(parts), Status.FAILED)
    assert task.error == "its result cannot be kept: ValueError"


async def test_what_outlasts_the_drain_is_handed_back_and_loses_no_try() -> None:
    begun = asyncio.Event()

    async def script(input: JsonValue, context: Context) -> JsonValue:
        begun.set()
        await asyncio.sleep(60)
        return None

    async with _working(script, drain_seconds=0) as parts:
        id = await _submit(parts)
        await begun.wait()
        parts.worker.stop()
        task = await _ended(parts, id, Status.QUEUED)
    assert (task.attempts, task.tries) == (1, 0)


async def test_a_lease_that_cannot_be_lengthened_is_tried_again_soon() -> None:
    answers: list[Any] = [OSError(), OSError(), False]
    store, queue = MemoryTaskStore(), MemoryQueue()

    async def extend(task: Any, lease: float) -> bool:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)

    store.extend = extend  # type: ignore[method-assign]
    task, _ = await store.create("me", "a", 1, None)
    async with asyncio.timeout(8):  # one heartbeat of 2 s and two of 1 s
        await Heartbeat(task, Delivery(Note(task.id), "1", 1), store, queue, Hold(6)).run()
    assert not answers


async def test_a_failed_task_is_begun_anew_by_a_message_sent_after_it_failed_alone() -> None:
    store = MemoryTaskStore()
    task, _ = await store.create("me", "a", 1, None)
    before = datetime.now(UTC)
    claimed = await store.claim(task.id, 60)
    assert claimed is not None
    await store.finish(claimed, Ending(Status.FAILED, error="x"))
    assert await store.claim(task.id, 60, sent=before) is None
    again = await store.claim(task.id, 60, sent=datetime.now(UTC) + timedelta(seconds=1))
    assert again is not None
    assert (again.attempts, again.tries) == (2, 1)


async def test_the_drain_limit_counts_from_when_the_process_was_told_to_end() -> None:
    begun = asyncio.Event()

    async def script(input: JsonValue, context: Context) -> JsonValue:
        begun.set()
        await asyncio.sleep(60)
        return None

    async with _working(script, drain_seconds=1.5) as parts:
        id = await _submit(parts)
        await begun.wait()
        began = asyncio.get_running_loop().time()
        parts.worker.told_to_end()
        await asyncio.sleep(1)  # requests that are answered first
        parts.worker.stop()
        await _ended(parts, id, Status.QUEUED)
        assert 1.4 < asyncio.get_running_loop().time() - began < 2.3

"""Cancelling, resuming and settling tasks, on the stores in memory."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from agent_app.agents.context import Context
from agent_app.problems import Problem
from agent_app.settings import Settings
from agent_app.settings.agents import AgentType
from agent_app.tasks import worker as workers
from agent_app.tasks.memory import MemoryTaskStore
from agent_app.tasks.queue import Note
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

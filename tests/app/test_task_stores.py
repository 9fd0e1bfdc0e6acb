"""What the stores of tasks promise: the one in Postgres, and the one in memory as far as it can."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from agent_app.problems import Unavailable
from agent_app.settings import Settings
from agent_app.state import database
from agent_app.state.database import Login, connected, is_away, open_engine
from agent_app.tasks.memory import MemoryTaskStore
from agent_app.tasks.postgres import PostgresTaskStore
from agent_app.tasks.task import Ending, Status, TaskStore
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.app import stack as stacks
from tests.app.stack import Stack

AGENTS = ["drill"]


@pytest.fixture
async def engine(stack: Stack) -> AsyncIterator[AsyncEngine]:
    url = stacks.admin_url(stack.postgres_port, stack.database)
    settings = Settings(database_url=SecretStr(url))
    made = open_engine(settings, Login(settings, None))
    yield made
    await made.dispose()


@pytest.fixture
async def durable(engine: AsyncEngine) -> PostgresTaskStore:
    return PostgresTaskStore(engine, "fleet")


@pytest.fixture(params=["memory", "postgres"])
def store(request: pytest.FixtureRequest) -> TaskStore:
    found: TaskStore = MemoryTaskStore() if request.param == "memory" else request.getfixturevalue("durable")
    return found


async def _made(store: TaskStore) -> uuid.UUID:
    task, _ = await store.create("me", "drill", {"name": "x"}, None)
    return task.id


async def _begun(store: TaskStore, id: uuid.UUID, lease: float = 60, **options: Any) -> Any:
    task = await store.claim(id, lease, **options)
    assert task is not None
    return task


async def test_what_somebody_else_has_sent_is_not_withdrawn(store: TaskStore) -> None:
    sent, unsent = await _made(store), await _made(store)
    assert await store.sent(sent)
    for id in (sent, unsent):
        await store.withdraw(id)
    assert await store.get(sent)
    assert await store.get(unsent) is None
    assert not await store.sent(unsent)


async def test_a_try_that_does_not_count_is_given_back(store: TaskStore) -> None:
    id = await _made(store)
    for counts, tries in ((False, 0), (True, 1), (True, 2)):
        task = await _begun(store, id)
        assert await store.finish(task, Ending(Status.QUEUED, counts=counts))
        now = await store.get(id)
        assert now is not None
        assert now.tries == tries
    assert (await _begun(store, id)).attempts == 4


async def test_a_cancel_between_two_tries_ends_the_task(store: TaskStore) -> None:
    id = await _made(store)
    task = await _begun(store, id)
    await store.cancel(id)
    assert await store.finish(task, Ending(Status.QUEUED, error="x"))
    now = await store.get(id)
    assert now is not None
    assert now.status is Status.CANCELLED


async def test_a_failed_task_is_begun_anew_by_what_was_sent_after_it_failed(store: TaskStore) -> None:
    id = await _made(store)
    before = datetime.now(UTC)
    await store.finish(await _begun(store, id), Ending(Status.FAILED))
    assert await store.claim(id, 60) is None
    assert await store.claim(id, 60, sent=before) is None
    task = await _begun(store, id, sent=datetime.now(UTC) + timedelta(seconds=1))
    assert (task.attempts, task.tries) == (2, 1)
    await store.finish(task, Ending(Status.SUCCEEDED, result=1))
    assert await store.claim(id, 60, sent=datetime.now(UTC) + timedelta(seconds=1)) is None


async def test_an_older_attempt_changes_nothing(store: TaskStore) -> None:
    id = await _made(store)
    older = await _begun(store, id, -1)
    newer = await _begun(store, id)
    assert not await store.extend(older, 60)
    assert not await store.finish(older, Ending(Status.SUCCEEDED, result="old"))
    assert await store.finish(newer, Ending(Status.SUCCEEDED, result="new"))
    now = await store.get(id)
    assert now is not None
    assert now.result == "new"


async def test_how_long_a_lease_lasts_is_told_by_the_stores_own_clock(store: TaskStore) -> None:
    id = await _made(store)
    await _begun(store, id, 60)
    now = await store.get(id)
    assert now is not None
    assert now.lease_seconds is not None
    assert 50 < now.lease_seconds <= 60


async def test_what_was_never_sent_is_found_once(durable: PostgresTaskStore) -> None:
    id, other = await _made(durable), await _made(durable)
    await durable.sent(other)
    assert not await durable.unsent(AGENTS, 60, 10)
    assert not await durable.unsent(["another"], 0, 10)
    found = await asyncio.gather(*(durable.unsent(AGENTS, 0, 10) for _ in range(3)))
    assert [task.id for several in found for task in several] == [id]


async def test_what_the_queue_lost_is_found_and_nothing_else(durable: PostgresTaskStore) -> None:
    waiting, running, dead, ended = [await _made(durable) for _ in range(4)]
    for id in (waiting, running, dead, ended):
        await durable.sent(id)
    await _begun(durable, running)
    await _begun(durable, dead, -30)
    await durable.finish(await _begun(durable, ended), Ending(Status.SUCCEEDED))
    nothing = timedelta(0)
    assert not await durable.stranded(AGENTS, nothing, 60, 10)
    assert not await durable.stranded(AGENTS, datetime.now(UTC) - timedelta(seconds=60), 0, 10)
    assert not await durable.stranded(AGENTS, timedelta(seconds=60), 0, 10)
    found = await durable.stranded(AGENTS, nothing, 0, 10)
    assert {task.id for task in found} == {waiting, dead}


async def test_a_database_that_does_not_answer_is_given_up_in_time(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "ANSWER_SECONDS", 0.2)
    with pytest.raises(Unavailable, match="The database"):
        async with connected(engine) as connection:
            await connection.execute(text("select pg_sleep(30)"))
    async with connected(engine) as connection:
        assert await connection.scalar(text("select 1")) == 1


async def test_a_server_that_became_a_reader_is_left(engine: AsyncEngine, durable: PostgresTaskStore) -> None:
    async with connected(engine) as connection:
        await connection.execute(text("set session characteristics as transaction read only"))
        await connection.commit()
    with pytest.raises(Exception, match="read-only") as raised:
        await _made(durable)
    assert is_away(raised.value)
    assert await _made(durable)

"""The pool of connections to Postgres gives out none that the server has ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
from agent_app.agents.context import Message
from agent_app.settings import Settings
from agent_app.state.database import Login, open_engine
from agent_app.state.history import Place
from agent_app.state.postgres_history import PostgresStore
from agent_app.state.tables import metadata
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.app.stores import Store, admin_url, postgres_server

PLACE = Place("me", "s")
SAID = [Message("user", "hello"), Message("assistant", "HELLO")]
SIZE = 3


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with postgres_server(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
async def engine(postgres: Store) -> AsyncIterator[AsyncEngine]:
    settings = Settings(database_url=SecretStr(admin_url(postgres.port)), database_pool_size=SIZE)
    engine = open_engine(settings, Login(settings, None))
    async with engine.connect() as connection:
        await connection.run_sync(metadata.create_all)
        await connection.execute(text("truncate sessions cascade"))
    yield engine
    await engine.dispose()


async def _backend(engine: AsyncEngine, *, seconds: float = 0) -> int:
    async with engine.connect() as connection:
        said = await connection.execute(text("select pg_backend_pid(), pg_sleep(:s)"), {"s": seconds})
        backend: int = said.one()[0]
        return backend


async def _fill(engine: AsyncEngine) -> set[int]:
    """Opens all connections; their backends."""
    return set(await asyncio.gather(*(_backend(engine, seconds=0.2) for _ in range(SIZE))))


async def test_a_restart_of_the_server_fails_no_read_and_no_write(
    postgres: Store, engine: AsyncEngine
) -> None:
    store = PostgresStore(engine, "fleet")
    before = await _fill(engine)
    await asyncio.to_thread(postgres.restart)
    await asyncio.gather(*(store.append(PLACE, SAID) for _ in range(2 * SIZE)))
    assert await store.turns(PLACE) == 2 * SIZE
    assert not before & await _fill(engine)


async def test_one_connection_that_the_server_ended_is_replaced(postgres: Store, engine: AsyncEngine) -> None:
    for backend in await _fill(engine):
        with psycopg.connect(admin_url(postgres.port), autocommit=True) as connection:
            connection.execute("select pg_terminate_backend(%s, 5000)", [backend])
        assert await PostgresStore(engine, "fleet").turns(PLACE) == 0


async def test_a_connection_with_a_notice_to_tell_is_kept(postgres: Store, engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("listen news"))
        backend = await connection.scalar(text("select pg_backend_pid()"))
    with psycopg.connect(admin_url(postgres.port), autocommit=True) as other:
        other.execute("notify news")
    assert await _backend(engine) == backend


async def test_a_healthy_connection_is_not_asked_whether_it_lives(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _fill(engine)
    asked: list[object] = []
    monkeypatch.setattr(engine.sync_engine.dialect, "do_ping", asked.append)
    assert await PostgresStore(engine, "fleet").turns(PLACE) == 0
    assert not asked


async def test_each_statement_is_committed_by_itself(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(
            text("insert into sessions (fleet, owner, id, turns) values ('f', 'o', 'i', 7)")
        )
    async with engine.connect() as other:
        assert await other.scalar(text("select turns from sessions where id = 'i'")) == 7

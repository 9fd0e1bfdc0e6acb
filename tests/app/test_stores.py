"""The stores break as a test asks, and come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from tests.app.stores import LOOPBACK, REDIS_PASSWORD, Store, admin_url, postgres_server, redis_server


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with postgres_server(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.mark.parametrize("restart", [Store.restart, Store.restart_after_kill])
def test_postgres_comes_back_on_its_port_with_what_was_committed(
    postgres: Store, restart: Callable[[Store], None]
) -> None:
    with psycopg.connect(admin_url(postgres.port), autocommit=True) as connection:
        connection.execute("create table if not exists kept (word text)")
        connection.execute("insert into kept values (%s)", [restart.__name__])
        restart(postgres)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")
    with psycopg.connect(admin_url(postgres.port)) as connection:
        kept = connection.execute("select word from kept").fetchall()
    assert (restart.__name__,) in kept


def test_redis_goes_and_comes_back_empty_on_its_port(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        port = server.port
        with redis.Redis(host=LOOPBACK, port=port, password=REDIS_PASSWORD) as client:
            client.set("word", "x")
            with server.gone(), pytest.raises(redis.ConnectionError):
                client.get("word")
            assert client.get("word") is None
            client.set("word", "y")
            server.gone_for(0.2)
            assert client.get("word") is None
        assert server.port == port

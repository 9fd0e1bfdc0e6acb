"""Toxiproxy really cuts, delays and swallows what goes to a Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis

from agent_infra.local.tools import acquire
from tests.app import toxiproxy as toxiproxies
from tests.app.processes import LOOPBACK, until
from tests.app.stores import REDIS_PASSWORD, redis_server
from tests.app.toxiproxy import Proxy, Toxiproxy


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toxiproxy]:
    with toxiproxies.toxiproxy(tmp_path_factory.mktemp("toxiproxy")) as running:
        yield running


@pytest.fixture(scope="module")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with redis_server(tmp_path_factory.mktemp("redis")) as store:
        yield store.port


@pytest.fixture
def proxy(server: Toxiproxy, redis_port: int) -> Iterator[Proxy]:
    yield server.proxy("redis", redis_port)
    server.delete("redis")


@pytest.fixture
def client(proxy: Proxy) -> Iterator[redis.Redis]:
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    with redis.Redis(
        host=LOOPBACK, port=proxy.port, password=REDIS_PASSWORD, socket_timeout=1, retry=Retry(NoBackoff(), 0)
    ) as opened:
        assert opened.ping()
        yield opened


def seconds_of_a_ping(client: redis.Redis) -> float:
    before = time.monotonic()
    client.ping()
    return time.monotonic() - before


def test_a_proxy_that_is_down_cuts_and_refuses_and_comes_back(proxy: Proxy, client: redis.Redis) -> None:
    with proxy.down():
        for _ in range(2):  # the connection that was open, and a new one
            with pytest.raises(redis.ConnectionError):
                client.ping()
    assert client.ping()


def test_latency_delays_until_it_is_removed(proxy: Proxy, client: redis.Redis) -> None:
    with proxy.toxic("latency", latency=300):
        assert 0.3 <= seconds_of_a_ping(client) < 1
    assert seconds_of_a_ping(client) < 0.3


def test_a_black_hole_swallows_what_is_sent(proxy: Proxy, client: redis.Redis) -> None:
    with proxy.toxic("timeout", stream="upstream", timeout=0):
        before = time.monotonic()
        with pytest.raises(redis.TimeoutError):
            client.set("word", "x")
        assert time.monotonic() - before >= 1
    assert client.get("word") is None


def test_a_reset_of_the_peer_breaks_a_connection_that_waits(proxy: Proxy, client: redis.Redis) -> None:
    broken: list[Exception] = []

    def wait() -> None:
        try:
            client.blpop(["nothing"], timeout=0.9)
        except redis.ConnectionError as error:
            broken.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.1)
    with proxy.toxic("reset_peer", timeout=0):
        waiting.join(5)
    assert broken


def test_a_reset_takes_all_toxics_away(server: Toxiproxy, proxy: Proxy, client: redis.Redis) -> None:
    proxy.add("latency", latency=5000)
    proxy.disable()
    server.reset()
    until(lambda: seconds_of_a_ping(client) < 1, 5, what="a ping")


def test_a_toxic_that_is_not_known_is_refused(proxy: Proxy) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        proxy.add("nonsense")


def test_the_server_is_built_once_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    made = toxiproxies.program()

    def build(*_: object, **__: object) -> None:
        raise AssertionError("it was built again")

    monkeypatch.setattr(acquire, "build", build)
    assert toxiproxies.program() == made
    assert "2.12.0" in str(made)


def test_what_cannot_be_built_says_why(tmp_path: Path) -> None:
    from agent_infra.local.environment import LocalError
    from agent_infra.local.tools.places import Places

    modules = tmp_path / "modules"
    module = modules / "toxiproxy"
    module.mkdir(parents=True)
    (module / "go.mod").write_text("module x\n\ngo 1.25\n\nrequire github.com/Shopify/toxiproxy/v2 v2.12.0\n")
    here = Places.of_this_machine()
    with pytest.raises(LocalError, match="go build"):
        toxiproxies.program(places=Places(cache=tmp_path / "cache", modules=modules, path=here.path))

"""Connections that say what is no HTTP, that dawdle, or that end before their answer does."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.app.conftest import PATIENCE
from tests.app.processes import until
from tests.app.stack import App, Stack, app
from tests.app.stub_llm import StubLlm


def _connect(app: App) -> socket.socket:
    host, _, port = app.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=30)


def _raw(app: App, data: bytes) -> bytes:
    """What comes back until the service closes the connection."""
    with _connect(app) as connection:
        connection.sendall(data)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer


@pytest.mark.parametrize(
    "head",
    [
        b"content-length: -1",
        b"content-length: " + b"9" * 5000,
        b"content-length: 5\r\ncontent-length: 6",
        b"transfer-encoding: gzip",
        b"x: a\x0bb",
        b"x : y",
    ],
)
def test_a_request_that_is_no_http_is_refused_and_the_connection_closed(served: App, head: bytes) -> None:
    answer = _raw(served, b"POST /v1/chat HTTP/1.1\r\nhost: x\r\nconnection: close\r\n" + head + b"\r\n\r\n")
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 "))


@pytest.mark.parametrize("piece", [b"y" * 65_536, b"x: y\r\n" * 10_000], ids=["one", "many"])
def test_headers_without_an_end_are_hung_up_on(served: App, piece: bytes) -> None:
    with _connect(served) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: ")
        with pytest.raises(ConnectionError):
            for _ in range(1000):
                connection.sendall(piece)


def test_what_is_no_http_at_all_is_refused(served: App) -> None:
    assert _raw(served, b"\x16\x03\x01\x02\x00garbage\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_a_request_with_two_lengths_is_refused_and_what_follows_is_no_request(served: App) -> None:
    """A proxy that goes by the other length would take what follows for this one's body (RFC 9112, 11.2)."""
    answer = _raw(
        served,
        b"POST /v1/chat HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 60\r\n"
        b"transfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
    )
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"GET /healthz HTTP/1.1\r\nho",
        b"POST /v1/chat HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{",
        b"POST /v1/chat HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n\r\n",
    ],
    ids=["nothing", "headers", "body", "refused body"],
)
def test_a_client_that_trickles_is_hung_up_on(served: App, beginning: bytes) -> None:
    with _connect(served) as connection:
        connection.sendall(beginning)
        connection.settimeout(0.2)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                if connection.recv(65536) == b"":
                    break
            except TimeoutError:
                connection.sendall(b" " if beginning else b"")
            except ConnectionError:
                break
        else:
            pytest.fail("the connection was held")


def test_a_connection_is_kept_for_the_next_request_and_for_a_long_answer(served: App) -> None:
    with httpx.Client(base_url=served.url) as client:
        streams = client.get("/healthz").extensions["network_stream"]
        port = streams.get_extra_info("client_addr")
        time.sleep(PATIENCE + 1)
        again = client.get("/healthz").extensions["network_stream"]
        assert again.get_extra_info("client_addr") == port


@pytest.fixture
async def stub() -> AsyncIterator[tuple[StubLlm, str]]:
    stub = StubLlm(delay=0, piece_delay=0.2)
    async with stub.running() as url:
        yield stub, url


async def test_a_client_that_leaves_amid_an_answer_ends_the_models_call(
    stub: tuple[StubLlm, str], tmp_path: Path
) -> None:
    provider, url = stub
    variables = {
        "AGENT_APP_MODEL": "openai:gpt-5-mini",
        "OPENAI_API_KEY": "sk-stub",
        "OPENAI_BASE_URL": f"{url}/v1",
    }
    with app(tmp_path, "serve", variables) as running:
        await asyncio.to_thread(running.ready)
        async with httpx.AsyncClient(base_url=running.url) as client:
            for _ in range(3):
                body = {"message": "on and on " * 100, "stream": True}
                async with client.stream("POST", "/v1/chat", json=body) as answer:
                    async for line in answer.aiter_lines():
                        if line.startswith("event: delta"):
                            break
            async with asyncio.timeout(10):
                while True:
                    shown = (await client.get("/metrics")).text
                    # The request for the metrics is itself one.
                    if provider.calls.concurrency == 0 and "agent_app_http_requests_in_flight 1.0" in shown:
                        break
                    await asyncio.sleep(0.05)
            assert (await client.get("/v1/sessions")).json() == {"sessions": []}
        assert '"level": "error"' not in running.log.read_text()


@pytest.mark.parametrize("used", [False, True])
def test_a_request_on_its_way_when_the_process_is_told_to_end_is_answered(
    stack: Stack, *, used: bool
) -> None:
    request = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    with stack.app() as running:
        running.ready()
        with _connect(running) as connection:
            if used:
                connection.sendall(request)
                while b"}" not in connection.recv(65536):
                    pass
            running.running.send_signal(signal.SIGTERM)
            until(lambda: not _listens(running), 20, what="the end of listening")
            connection.sendall(request)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in answer.lower()
        assert running.running.wait(30) == 0


def _listens(app: App) -> bool:
    try:
        _connect(app).close()
    except ConnectionRefusedError:
        return False
    return True

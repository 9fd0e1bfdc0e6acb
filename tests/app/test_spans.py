"""Spans of a service in this process, as a receiver gets them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any

import httpx
import pytest
from agent_app.agents.context import Context
from agent_app.http import api
from agent_app.service import Service
from agent_app.settings import Settings, SettingsError
from agent_app.state.traced import trace_statements
from agent_app.telemetry import traces
from agent_app.telemetry.metrics import Metrics
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from agent_app import service
from tests.app import stack as stacks
from tests.app.otlp import Receiver, Span, receiving
from tests.app.stack import Stack
from tests.app.stub_llm import StubLlm

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}"
TRACE, PARENT = CALLER.split("-")[1:3]
Opened = tuple[Service, httpx.AsyncClient]
Served = Callable[..., contextlib.AbstractAsyncContextManager[Opened]]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


@pytest.fixture
async def stub() -> AsyncIterator[tuple[StubLlm, str]]:
    opened = StubLlm(delay=0)
    async with opened.running() as url:
        yield opened, url


@pytest.fixture
def served(receiver: Receiver) -> Served:
    """A service and its client; all its spans have arrived when the block is left."""

    @contextlib.asynccontextmanager
    async def opened(**values: Any) -> AsyncIterator[Opened]:
        known = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "poll_seconds": 0, "retry_seconds": 0, **values}
        async with service.opened(Settings.model_validate(known)) as parts:
            transport = httpx.ASGITransport(api.create(parts), raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
                yield parts, client

    return opened


async def test_a_request_is_a_span_of_the_callers_trace(served: Served, receiver: Receiver) -> None:
    async with served() as (_, client):
        headers = {"traceparent": CALLER.format(flags="01"), "tracestate": "their=own"}
        answer = await client.get("/v1/sessions/trip?secret=whisper", headers=headers)
    (span,) = receiver.spans
    assert (span.name, span.kind) == ("GET /v1/sessions/{session_id}", "server")
    assert (span.trace, span.parent) == (TRACE, PARENT)
    assert span.attributes == {
        "http.request.method": "GET",
        "url.scheme": "http",
        "http.route": "/v1/sessions/{session_id}",
        "url.path": "/v1/sessions/trip",
        "http.response.status_code": 404,
    }
    assert not span.failed
    assert answer.json()["trace_id"] == TRACE
    assert b"whisper" not in b"".join(receiver.bodies)


@pytest.mark.parametrize("given", ["", "00-0-0-01", "whisper", CALLER.format(flags="zz")])
async def test_what_is_no_traceparent_begins_a_trace(served: Served, receiver: Receiver, given: str) -> None:
    async with served() as (_, client):
        await client.get("/v1/agents", headers={"traceparent": given})
    (span,) = receiver.spans
    assert span.parent == ""
    assert span.trace != TRACE


async def test_probes_are_not_traced_and_an_unknown_path_is_not_told(
    served: Served, receiver: Receiver
) -> None:
    async with served() as (_, client):
        for path in ("/healthz", "/readyz", "/metrics"):
            assert (await client.get(path)).status_code == 200
        await client.request("BREW", "/sk-whisper")
    (span,) = receiver.spans
    assert span.name == "_OTHER"
    assert span.attributes == {
        "http.request.method": "_OTHER",
        "url.scheme": "http",
        "http.response.status_code": 404,
    }


async def test_a_caller_who_does_not_sample_is_followed(served: Served, receiver: Receiver) -> None:
    async with served() as (_, client):
        headers = {"traceparent": CALLER.format(flags="00")}
        answer = await client.get("/v1/sessions/none", headers=headers)
        await client.post("/v1/tasks", json={"input": "x"}, headers=headers)
    assert answer.json()["trace_id"] == TRACE
    assert receiver.spans == []


async def test_a_vendors_call_is_a_span_of_its_own_and_each_try_is(
    served: Served, receiver: Receiver, stub: tuple[StubLlm, str]
) -> None:
    llm, url = stub
    llm.faults.set([{"kind": "status", "status": 429, "retry_after": 0, "next": 1}])
    async with served(**_openai(url)) as (_, client):
        answer = (await client.post("/v1/chat", json={"message": "what is a heron?"})).json()
    first, second = receiver.named("chat gpt-x")
    (request,) = receiver.named("POST /v1/chat")
    asked = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-x",
        "gen_ai.request.max_tokens": 4096,
        "server.address": stacks.LOOPBACK,
        "server.port": httpx.URL(url).port,
    }
    assert {first.parent, second.parent} == {request.id}
    assert first.kind == "client"
    assert (first.failed, first.attributes) == (True, {**asked, "error.type": "429"})
    assert not second.failed
    assert second.attributes.pop("gen_ai.response.id").startswith("chatcmpl-")
    assert second.attributes == {
        **asked,
        "gen_ai.response.model": "gpt-x",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": answer["usage"]["input_tokens"],
        "gen_ai.usage.output_tokens": answer["usage"]["output_tokens"],
    }


async def test_a_streams_spans_end_with_it_and_tell_its_usage(
    served: Served, receiver: Receiver, stub: tuple[StubLlm, str]
) -> None:
    _, url = stub
    async with served(**_openai(url)) as (_, client):
        told = await client.post("/v1/chat", json={"message": "what is a heron?", "stream": True})
    usage = _last_event(told.text, "done")["usage"]
    (call,) = receiver.named("chat gpt-x")
    (request,) = receiver.named("POST /v1/chat")
    assert call.parent == request.id
    assert call.attributes["gen_ai.request.stream"] is True
    assert call.attributes["gen_ai.usage.input_tokens"] == usage["input_tokens"] > 0
    assert call.attributes["gen_ai.usage.output_tokens"] == usage["output_tokens"] > 0
    assert call.seconds <= request.seconds


@pytest.mark.parametrize(("kind", "error"), [("cut", "APIConnectionError"), ("stall", "TimeoutError")])
async def test_a_stream_that_breaks_is_marked_though_it_began_with_200(
    served: Served, receiver: Receiver, stub: tuple[StubLlm, str], kind: str, error: str
) -> None:
    llm, url = stub
    llm.faults.set([{"kind": kind, "after": 0.5}])
    async with served(**_openai(url), model_timeout=0.5) as (_, client):
        told = await client.post("/v1/chat", json={"message": "what is a heron?", "stream": True})
    problem = _last_event(told.text, "error")
    (call,) = receiver.named("chat gpt-x")
    (request,) = receiver.named("POST /v1/chat")
    assert (call.failed, call.attributes["error.type"]) == (True, error)
    assert (request.failed, request.attributes["error.type"]) == (True, str(problem["status"]))
    assert problem["trace_id"] == request.trace


async def test_a_call_for_embeddings_is_a_span(
    served: Served, receiver: Receiver, stub: tuple[StubLlm, str]
) -> None:
    _, url = stub
    async with served(**_openai(url), embedding_model="openai:text-embedding-3-small") as (parts, _):
        embed = parts.runs.context("assistant", "ada", "run").embedder
        assert embed is not None
        await embed(["whisper"])
    (call,) = receiver.spans
    assert call.name == "embeddings text-embedding-3-small"
    assert call.attributes["gen_ai.operation.name"] == "embeddings"
    assert call.attributes["gen_ai.usage.input_tokens"] > 0
    assert b"whisper" not in b"".join(receiver.bodies)


class _Fails:
    def check(self, input: Any) -> None:
        return

    async def run(self, input: Any, context: Context) -> Any:
        raise LookupError(f"no such thing as {input}")


fails = _Fails()


async def test_what_an_agent_raises_is_told_by_its_type_alone(served: Served, receiver: Receiver) -> None:
    agents = {"fails": {"agent": "tests.app.test_spans:fails"}}
    async with served(agents=agents) as (_, client):
        answer = await client.post("/v1/chat", json={"message": "whisper"})
    (span,) = receiver.spans
    assert answer.status_code == 500
    assert (span.failed, span.attributes["error.type"]) == (True, "500")
    assert b"whisper" not in b"".join(receiver.bodies)


async def test_each_try_of_a_task_is_a_span_of_its_senders_trace(served: Served, receiver: Receiver) -> None:
    agents = {"fails": {"agent": "tests.app.test_spans:fails"}}
    async with served(agents=agents, max_attempts=2) as (parts, client), _working(parts):
        id = await _ended(client, {"input": "whisper"})
    (sent,) = receiver.named("send memory")
    first, second = receiver.named("process memory")
    assert (sent.kind, first.kind) == ("producer", "consumer")
    assert {first.parent, second.parent} == {sent.id}
    assert [span.attributes["agent_app.task.outcome"] for span in (first, second)] == ["retried", "failed"]
    assert first.attributes | second.attributes == {
        "messaging.system": "memory",
        "messaging.destination.name": "memory",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "agent_app.task.id": id,
        "agent_app.task.attempt": 2,
        "agent_app.task.outcome": "failed",
        "gen_ai.agent.name": "fails",
        "error.type": "LookupError",
    }
    assert first.failed
    assert second.failed
    assert b"whisper" not in b"".join(receiver.bodies)


async def test_two_services_in_one_process_keep_their_spans_apart(served: Served, receiver: Receiver) -> None:
    with receiving() as other:
        own = {"OTEL_EXPORTER_OTLP_ENDPOINT": other.url, "fleet": "other"}
        async with served() as (_, one), served(**own) as (_, two):
            await one.get("/v1/agents")
            await two.get("/v1/sessions")
    assert _names(receiver.spans) == {"GET /v1/agents"}
    assert _names(other.spans) == {"GET /v1/sessions"}
    assert other.spans[0].resource["service.name"] == "other"


async def test_the_resource_says_what_runs_where_and_the_environment_has_the_last_word(
    served: Served, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(fleet="support", environment="prod", auth="api-key", **_keys(monkeypatch)) as (_, one):
        await one.get("/v1/agents")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "front")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=herons,deployment.environment.name=blue")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20whisper")
    async with served() as (_, other):
        await other.get("/v1/agents")
    first, second = (span.resource for span in receiver.spans)
    assert first["service.name"] == "support"
    assert first["service.version"]
    assert first["deployment.environment.name"] == "prod"
    assert first["service.instance.id"] != second["service.instance.id"]
    assert second["service.name"] == "front"
    assert second["team"] == "herons"
    assert second["deployment.environment.name"] == "blue"
    assert "authorization" not in receiver.headers[0]
    assert receiver.headers[1]["authorization"] == "Bearer whisper"
    assert receiver.paths == {"/v1/traces"}


@pytest.mark.parametrize(
    "off",
    [{"OTEL_SDK_DISABLED": True}, {"OTEL_TRACES_EXPORTER": "none"}, {"OTEL_EXPORTER_OTLP_ENDPOINT": None}],
)
async def test_nothing_is_traced_unless_it_is_asked_for(
    served: Served, receiver: Receiver, off: dict[str, Any]
) -> None:
    async with served(**off) as (parts, client):
        answer = await client.get("/v1/sessions/none", headers={"traceparent": CALLER.format(flags="01")})
        assert not parts.traces.on
    assert "trace_id" not in answer.json()
    assert not receiver.asked.is_set()


async def test_a_limit_that_cannot_be_is_a_mistake_in_the_settings(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-1")
    with pytest.raises(SettingsError, match=r"OTEL_BSP_.*positive"):
        async with served():
            pass


async def test_spans_that_cannot_be_sent_are_counted(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")  # s; shorter than the pause before another try
    nowhere = f"http://{stacks.LOOPBACK}:{stacks.free_port()}"
    async with served(OTEL_EXPORTER_OTLP_ENDPOINT=nowhere) as (parts, client):
        assert (await client.get("/v1/agents")).status_code == 200
    assert b'agent_app_spans_total{outcome="lost"} 1.0' in parts.metrics.exposition()


async def test_a_statement_is_a_span_with_its_placeholders_and_no_values(
    stores: Stack, receiver: Receiver
) -> None:
    settings = Settings.model_validate({"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url})
    url = stacks.admin_url(stores.postgres_port)
    engine = create_async_engine(url.replace("postgresql:", "postgresql+psycopg:"), hide_parameters=True)
    failing = text("select cast(:said as integer) from pg_class")
    async with traces.opened(settings, Metrics()) as opened:
        trace_statements(engine, opened, url)
        async with engine.connect() as connection:
            await connection.execute(text("select 1"))  # not within a trace: as heartbeats and probes are
            with opened.tracer.start_as_current_span("root"):
                await connection.execute(text("select :said from pg_class limit 1"), {"said": "whisper"})
                with pytest.raises(DBAPIError):
                    await connection.execute(failing, {"said": "whisper"})
                await connection.rollback()
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await connection.execute(text("select pg_sleep(60)"))
    await engine.dispose()
    (root,) = receiver.named("root")
    worked, broke = receiver.named("SELECT pg_class")
    (cancelled,) = receiver.named("SELECT")
    assert {worked.parent, broke.parent, cancelled.parent} == {root.id}
    assert worked.kind == "client"
    assert worked.attributes == {
        "db.system.name": "postgresql",
        "db.namespace": "postgres",
        "server.address": stacks.LOOPBACK,
        "server.port": stores.postgres_port,
        "db.query.text": "select %(said)s from pg_class limit 1",
        "db.query.summary": "SELECT pg_class",
        "db.operation.name": "SELECT",
        "db.collection.name": "pg_class",
    }
    assert broke.failed
    assert broke.attributes["error.type"] == broke.attributes["db.response.status_code"] == "22P02"
    assert cancelled.attributes["error.type"] == "CancelledError"
    assert len(receiver.spans) == 4
    assert b"whisper" not in b"".join(receiver.bodies)


def _openai(url: str) -> dict[str, Any]:
    return {
        "OPENAI_API_KEY": "sk-whisper",
        "OPENAI_BASE_URL": f"{url}/v1",
        "model": "openai:gpt-x",
        "model_backoff_seconds": 0.01,
    }


def _keys(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    async def read(*_: Any) -> dict[str, Any]:
        return {"ada": Settings.model_validate({"OPENAI_API_KEY": "k" * 20}).openai_api_key}

    monkeypatch.setattr("agent_app.secrets.read", read)
    return {"api_keys_secret_arn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:keys"}


def _names(spans: Sequence[Span]) -> set[str]:
    return {span.name for span in spans}


def _last_event(told: str, name: str) -> Any:
    event, data = told.strip().split("\n\n")[-1].split("\n")
    assert event == f"event: {name}"
    return json.loads(data.removeprefix("data: "))


@contextlib.asynccontextmanager
async def _working(parts: Service) -> AsyncIterator[None]:
    worker = asyncio.create_task(parts.worker.run())
    yield
    parts.worker.stop()
    await worker


async def _ended(client: httpx.AsyncClient, body: dict[str, Any]) -> str:
    id: str = (await client.post("/v1/tasks", json=body)).json()["task_id"]

    async def state() -> str:
        status: str = (await client.get(f"/v1/tasks/{id}")).json()["status"]
        return status

    await _until(state, {"succeeded", "failed"})
    return id


async def _until(ask: Callable[[], Awaitable[str]], wanted: set[str]) -> None:
    for _ in range(1000):
        if await ask() in wanted:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"none of {wanted} came")

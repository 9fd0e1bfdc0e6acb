"""Traces of the service as processes, at a receiver that decodes what OTLP brings it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.app.otlp import Receiver, Span, receiving
from tests.app.processes import tool, until
from tests.app.stack import App, Stack, environment

KEY, HEADER, SAID = "sk-whisper-in-the-key", "whisper-in-the-header", "whisper-in-the-prompt"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


@pytest.fixture
def llm(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The variables for a provider of models that is a process, too."""
    with tool("stub_llm", tmp_path, "--delay", "0") as url:
        yield {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"{url}/v1", "AGENT_APP_MODEL": "openai:gpt-x"}


def test_one_trace_goes_from_the_request_through_the_queue_to_the_model_and_the_database(
    stack: Stack, receiver: Receiver, llm: dict[str, str]
) -> None:
    variables = {
        **receiver.variables,
        **llm,
        "AGENT_APP_LOG_LEVEL": "debug",
        "OTEL_EXPORTER_OTLP_HEADERS": f"x-key={HEADER}",
    }
    with stack.app(**variables) as app, stack.app("work", **variables) as worker:
        id = app.submit({"input": SAID})
        app.task_becomes(id, "succeeded")
        app.say(SAID)
        (chat,) = receiver.comes("POST /v1/chat")
        (process,) = receiver.comes(f"process {stack.database}")
        assert app.stop() == 0
        assert worker.stop() == 0
    (request,) = receiver.named("POST /v1/tasks")
    (sent,) = receiver.named(f"send {stack.database}")
    of_trace = receiver.of_trace(request.trace)
    assert {span.name: span.parent for span in of_trace if span.kind != "client"} == {
        request.name: "",
        sent.name: request.id,
        process.name: sent.id,
    }
    assert {span.name for span in _below(request, of_trace)} == {"INSERT tasks", "UPDATE tasks", sent.name}
    assert {span.name for span in _below(process, of_trace)} == {"UPDATE tasks", "chat gpt-x"}
    assert process.attributes["messaging.system"] == "aws_sqs"
    assert (process.attributes["agent_app.task.id"], process.attributes["agent_app.task.attempt"]) == (id, 1)
    assert not any(span.failed for span in of_trace)

    assert {span.name for span in _below(chat, receiver.of_trace(chat.trace))} == {
        "chat gpt-x",
        "INSERT sessions INSERT messages",
    }
    # Neither heartbeats nor probes are roots of traces.
    assert {span.kind for span in receiver.spans if not span.parent} == {"server"}

    lines = _lines(app) + _lines(worker)
    ended = next(line for line in lines if line["event"] == "task ended")
    assert (ended["trace_id"], ended["span_id"]) == (process.trace, process.id)
    told = app.log.read_text() + worker.log.read_text()
    assert receiver.headers[0]["x-key"] == HEADER
    for place in (told, b"".join(receiver.bodies).decode(errors="replace")):
        assert "whisper" not in place


def test_a_task_that_fails_is_marked_on_each_try(stack: Stack, receiver: Receiver) -> None:
    variables = {**receiver.variables, "AGENT_APP_TASK_TIMEOUT": "0.2"}
    with stack.app(**variables) as app, stack.app("work", **variables):
        app.task_becomes(app.submit({"agent": "wait", "input": {"seconds": 5}}), "failed")
        tries = receiver.comes(f"process {stack.database}", count=3)
    assert len({span.trace for span in tries}) == 1
    assert [
        (span.failed, span.attributes["error.type"], span.attributes["agent_app.task.attempt"])
        for span in tries
    ] == [(True, "TimeoutError", number) for number in (1, 2, 3)]
    assert [span.attributes["agent_app.task.outcome"] for span in tries] == ["retried", "retried", "failed"]


def test_a_stream_is_told_while_its_spans_are_open(
    stack: Stack, receiver: Receiver, llm: dict[str, str]
) -> None:
    url = httpx.URL(llm["OPENAI_BASE_URL"]).join("/__faults")
    httpx.post(url, json={"rules": [{"kind": "stall", "after": 0.5}]}).raise_for_status()
    with stack.app(**receiver.variables, **llm) as app:
        app.ready()
        body = {"message": "what is a heron?", "stream": True}
        with httpx.stream("POST", f"{app.url}/v1/chat", json=body, timeout=30) as told:
            assert next(told.iter_lines()) == "event: delta"
            assert receiver.named("POST /v1/chat") == []
        (request,) = receiver.comes("POST /v1/chat")
        (call,) = receiver.comes("chat gpt-x")
    assert call.parent == request.id
    assert call.failed


def test_a_receiver_that_hangs_keeps_neither_requests_waiting_nor_the_process(
    stack: Stack, receiver: Receiver
) -> None:
    receiver.hangs.set()
    with stack.app(**receiver.variables, OTEL_EXPORTER_OTLP_TIMEOUT="3600") as app:
        app.say("hello")
        assert receiver.asked.wait(30)
        for _ in range(20):
            app.say("hello")
        app.running.send_signal(signal.SIGTERM)
        assert app.running.wait(25) == 0  # the SDK by itself waits 30 s
    assert not receiver.ended.is_set()


def test_a_receiver_that_is_away_is_told_of_once_and_spans_are_sent_when_it_is_back(
    stack: Stack, receiver: Receiver
) -> None:
    variables = {**receiver.variables, "OTEL_EXPORTER_OTLP_TIMEOUT": "0.2"}
    variables["OTEL_EXPORTER_OTLP_ENDPOINT"] += "/whisper-in-the-url"
    receiver.hangs.set()
    with stack.app(**variables) as app:
        for count in range(1, 4):
            app.say("hello")
            lost = f'agent_app_spans_total{{outcome="lost"}} {3 * count}.0'
            until(lambda lost=lost: lost in app.get("/metrics").text, what=lost)
        receiver.hangs.clear()
        app.say("hello")
        receiver.comes("POST /v1/chat")
        assert app.stop() == 0
    told = [line for line in _lines(app) if line["event"].startswith("traces ")]
    assert [(line["level"], line["fleet"]) for line in told] == [
        ("warning", stack.database),
        ("info", stack.database),
    ]
    assert "whisper" not in app.log.read_text()


def test_what_is_not_sampled_has_its_trace_in_the_logs_and_nothing_else(
    stack: Stack, receiver: Receiver
) -> None:
    variables = {**receiver.variables, "OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}
    variables["OTEL_TRACES_SAMPLER_ARG"] = "0"
    with stack.app(**variables) as app, stack.app("work", **variables) as worker:
        id = app.submit({"input": "hello"})
        app.task_becomes(id, "succeeded")
        app.say("hello")
        assert app.stop() == 0
        assert worker.stop() == 0
    assert not receiver.asked.is_set()
    (submitted,) = (line for line in _lines(app) if line.get("route") == "/v1/tasks")
    (said,) = (line for line in _lines(app) if line.get("route") == "/v1/chat")
    (ended,) = (line for line in _lines(worker) if line["event"] == "task ended")
    assert submitted["trace_id"] == ended["trace_id"] != said["trace_id"]
    assert len(said["trace_id"]) == 32
    started = next(line for line in _lines(app) if line["event"] == "ready to start")
    assert "trace_id" not in started


def test_without_an_endpoint_the_sdk_is_not_loaded() -> None:
    code = """
import asyncio, sys
from agent_app.__main__ import main
from agent_app import server, service
from agent_app.settings import Settings

async def opened():
    async with service.opened(Settings.load()):
        pass

asyncio.run(opened())
sdk = ("opentelemetry.sdk.trace", "opentelemetry.exporter")
found = [name for name in sys.modules if name.startswith(sdk)]
assert not found, found
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment({}), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _below(parent: Span, spans: list[Span]) -> list[Span]:
    return [span for span in spans if span.parent == parent.id]


def _lines(app: App) -> list[dict[str, Any]]:
    return [json.loads(line) for line in app.log.read_text().splitlines()]

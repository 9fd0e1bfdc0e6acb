"""The vendors' models, against a server on loopback that speaks as they do."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from agent_app.agents.context import Context, Message
from agent_app.agents.conversation import Conversation
from agent_app.agents.runs import Runs
from agent_app.llm import vendors
from agent_app.llm.call import LlmProblem
from agent_app.secrets import LlmKeys
from agent_app.settings import Settings
from agent_app.telemetry.metrics import Metrics
from pydantic import SecretStr

KEYS = LlmKeys(openai=SecretStr("sk-o"), anthropic=SecretStr("sk-ant-a"))
HISTORY = [Message("user", "I am Ada"), Message("assistant", "Hello Ada")]


class Vendor(ThreadingHTTPServer):
    """Answers with `status`; keeps what it was asked."""

    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, dict[str, Any], dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Vendor

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((self.path, body, dict(self.headers)))
        answer = _ANTHROPIC if self.path.endswith("/messages") else _OPENAI
        text = json.dumps(answer if self.server.status == 200 else {"error": {"message": "hush"}}).encode()
        self.send_response(self.server.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        return


_OPENAI = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "You are Ada"}}
    ],
    "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14},
}
_ANTHROPIC = {
    "id": "m1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "You are Ada"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 11, "output_tokens": 3},
}


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _settings(vendor: Vendor, name: str) -> Settings:
    urls = {"OPENAI_BASE_URL": f"{vendor.url}/v1", "ANTHROPIC_BASE_URL": vendor.url}
    return Settings.model_validate({"model": name, **urls})


@asynccontextmanager
async def _context(vendor: Vendor, name: str) -> AsyncIterator[Context]:
    runs = Runs(_settings(vendor, name), KEYS, Metrics())
    yield runs.context("assistant", "me", "run", HISTORY)
    await runs.close()


@pytest.mark.parametrize("name", ["openai:gpt-x", "anthropic:claude-x"])
async def test_a_vendor_answers_with_the_history_in_view(vendor: Vendor, name: str) -> None:
    async with _context(vendor, name) as context:
        assert await Conversation("Be kind.").run("who am I?", context) == "You are Ada"
    tally = context.tally
    assert (tally.calls, tally.input_tokens, tally.output_tokens) == (1, 11, 3)
    assert tally.model == name.split(":")[1]
    _, body, _ = vendor.asked[0]
    said = json.dumps(body)
    assert "Be kind." in said
    said = json.dumps(body["messages"])
    assert said.index("I am Ada") < said.index("Hello Ada") < said.index("who am I?")


async def test_a_vendors_error_keeps_its_text_to_itself(vendor: Vendor) -> None:
    vendor.status = 401
    async with _context(vendor, "openai:gpt-x") as context:
        with pytest.raises(LlmProblem) as raised:
            await Conversation("Be kind.").run("hello", context)
    assert raised.value.status == 502
    assert raised.value.detail == "The model gpt-x answered with HTTP status 401."


@pytest.mark.parametrize(("base_url", "strict"), [(None, True), ("http://127.0.0.1:9/v1", False)])
def test_openais_own_streams_are_whole_only_with_their_end(base_url: str | None, *, strict: bool) -> None:
    keys = LlmKeys(openai=SecretStr("sk-o"))
    model = vendors.build("openai", "gpt-x", Settings.model_validate({"OPENAI_BASE_URL": base_url}), keys)
    assert model.profile.get("openai_chat_streaming_requires_finish_reason") is strict

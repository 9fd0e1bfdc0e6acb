"""The ways to the vendors: what is sent, through which proxies, whom is trusted, and how many at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from agent_app.agents.conversation import Conversation
from agent_app.agents.runs import Runs
from agent_app.llm.call import LlmProblem
from agent_app.llm.openai_client import openai_client
from agent_app.secrets import LlmKeys
from agent_app.settings import Settings
from agent_app.telemetry.metrics import Metrics
from aiohttp import web
from openai import AsyncOpenAI
from pydantic import BaseModel, SecretStr
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from tests.app.certificates import certificate
from tests.app.processes import LOOPBACK
from tests.app.serving import serving
from tests.app.stub_llm import StubLlm

KEYS = LlmKeys(openai=SecretStr("sk-o"), anthropic=SecretStr("sk-ant-a"))
BOTH = pytest.mark.parametrize("model", ["openai:gpt-x", "anthropic:claude-haiku-4-5"])
talk = Conversation("Be kind.")


@asynccontextmanager
async def _runs(url: str, model: str, **settings: Any) -> AsyncIterator[Runs]:
    values = {"model": model, "OPENAI_BASE_URL": f"{url}/v1", "ANTHROPIC_BASE_URL": url, **settings}
    runs = Runs(Settings.model_validate({"model_attempts": 1, **values}), KEYS, Metrics())
    yield runs
    await runs.close()


async def _said(runs: Runs) -> str:
    return str(await talk.run("hello", runs.context("assistant", "me", "run")))


_SENT = ("authorization", "content-type", "accept", "user-agent", "openai-organization", "x-stainless-lang")


class Heard(NamedTuple):
    """A request as it came in."""

    target: str
    headers: dict[str, str | None]
    body: Any


class Listener(StubLlm):
    """The stub, which remembers what it heard."""

    def __init__(self, **options: Any) -> None:
        super().__init__(delay=0, **options)
        self.heard: list[Heard] = []

    async def _answer(
        self, request: web.BaseRequest, path: str, body: Any, *about: Any
    ) -> web.StreamResponse:
        headers = {name: request.headers.get(name) for name in _SENT}
        self.heard.append(Heard(request.raw_path, headers, body))
        return await super()._answer(request, path, body, *about)


@BOTH
async def test_200_calls_and_more_are_in_flight_at_once(model: str) -> None:
    stub = StubLlm(delay=2)
    async with stub.running() as url, _runs(url, model) as runs:
        await asyncio.gather(*(_said(runs) for _ in range(250)))
    assert stub.calls.summary()["most_concurrent"] == 250


@BOTH
async def test_a_connection_that_breaks_off_is_no_timeout(model: str) -> None:
    stub = StubLlm(delay=0)
    stub.faults.set([{"kind": "cut", "after": 0}])
    async with stub.running() as url, _runs(url, model) as runs:
        with pytest.raises(LlmProblem, match="could not be reached") as raised:
            await _said(runs)
    assert raised.value.status == 502


@BOTH
async def test_a_vendor_that_is_silent_is_one(model: str) -> None:
    stub = StubLlm(delay=0)
    stub.faults.set([{"kind": "hang"}])
    async with stub.running() as url, _runs(url, model, model_timeout=0.3) as runs:
        with pytest.raises(LlmProblem, match="did not answer in time") as raised:
            await _said(runs)
    assert raised.value.status == 504


@BOTH
async def test_the_environments_proxy_is_used(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = Listener()
    async with stub.running() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        async with _runs("http://vendor.invalid", model) as runs:
            assert await _said(runs)
    assert stub.heard[0].target.startswith("http://vendor.invalid/v1/")


@BOTH
async def test_the_environments_authority_is_trusted(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, tls = certificate(tmp_path)
    runner = web.ServerRunner(web.Server(StubLlm(delay=0).handle), shutdown_timeout=0.2)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, 0, ssl_context=tls).start()
        url = f"https://{LOOPBACK}:{runner.addresses[0][1]}"
        async with _runs(url, model) as runs:
            with pytest.raises(LlmProblem, match="could not be reached"):
                await _said(runs)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        async with _runs(url, model) as runs:
            assert await _said(runs)
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("body", [b"", b"[]", b'"hush"', b'{"error": "hush"}', b'{"choices": null}'])
async def test_what_is_no_answer_of_openais_is_told_as_that(body: bytes) -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    async with serving(answer) as url, _runs(url, "openai:gpt-x") as runs:
        with pytest.raises(LlmProblem, match="answered what is no answer") as raised:
            await _said(runs)
    assert raised.value.status == 502


class Weather(BaseModel):
    city: str
    degrees: int


async def test_openai_is_sent_what_its_own_sdk_would_send() -> None:
    def weather(city: str) -> int:
        """How warm it is there."""
        return len(city)

    agents = [
        Agent(instructions="Be kind.", tools=[weather]),
        Agent(
            output_type=NativeOutput(Weather), model_settings={"temperature": 0.5, "stop_sequences": ["x"]}
        ),
    ]
    heard = []
    for make in (openai_client, lambda key, url: AsyncOpenAI(api_key=key, base_url=url)):
        stub = Listener(tools_first=True)
        async with stub.running() as url, make("sk-o", f"{url}/v1") as client:
            model = OpenAIChatModel("gpt-x", provider=OpenAIProvider(openai_client=client))
            for agent in agents:
                await agent.run("hello", model=model)
                async with agent.run_stream("hello", model=model) as run:
                    await run.get_output()
        heard.append(stub.heard)
    assert len(heard[0]) > 2 * len(agents)
    assert heard[0] == heard[1]

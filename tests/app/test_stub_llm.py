"""The stub provider, through the vendors' own clients and pydantic-ai."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import anthropic
import httpx
import jsonschema
import openai
import pytest
from pydantic import BaseModel, Field

from tests.app.processes import tool
from tests.app.schema_instance import instance
from tests.app.stub_asked import tokens
from tests.app.stub_calls import most
from tests.app.stub_llm import StubLlm

SAY = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello there, Ada"}]
ASK = SAY[1:]
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.fixture
def stub() -> StubLlm:
    return StubLlm(delay=0)


@pytest.fixture
async def url(stub: StubLlm) -> AsyncIterator[str]:
    async with stub.running() as url:
        yield url


@pytest.fixture
async def gpt(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key="k", base_url=f"{url}/v1", max_retries=0) as client:
        yield client


@pytest.fixture
async def claude(url: str) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(api_key="k", base_url=url, max_retries=0) as client:
        yield client


def chat(gpt: openai.AsyncOpenAI, **options: Any) -> Any:
    return gpt.chat.completions.create(**{"model": "gpt-x", "messages": SAY, **options})


def message(claude: anthropic.AsyncAnthropic, **options: Any) -> Any:
    asked = {"model": "claude-x", "max_tokens": 100, "system": "Be brief.", "messages": ASK, **options}
    return claude.messages.create(**asked)


async def test_openai_answers_with_the_last_user_message_and_charges_its_tokens(
    gpt: openai.AsyncOpenAI,
) -> None:
    said = await chat(gpt)
    assert said.choices[0].message.content == "hello there, Ada"
    assert said.choices[0].finish_reason == "stop"
    assert (said.usage.prompt_tokens, said.usage.completion_tokens) == (7, 4)  # (9 + 16) / 4 and 16 / 4
    assert tokens("Be brief.", "hello there, Ada") == 7


async def test_openai_streams_the_same_with_usage_where_it_is_asked_for(gpt: openai.AsyncOpenAI) -> None:
    text = "a long answer " * 20
    asked = {"messages": [{"role": "user", "content": text}], "stream": True}
    chunks = [chunk async for chunk in await chat(gpt, **asked, stream_options={"include_usage": True})]
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert "".join(piece or "" for piece in pieces) == text
    assert len(pieces) > 5
    assert chunks[-1].usage.completion_tokens == 70
    assert all(chunk.usage is None for chunk in chunks[:-1])
    without = [chunk async for chunk in await chat(gpt, **asked)]
    assert all(chunk.choices and chunk.usage is None for chunk in without)


async def test_anthropic_answers_and_streams_the_same(claude: anthropic.AsyncAnthropic) -> None:
    said = await message(claude)
    assert (said.content[0].text, said.stop_reason) == ("hello there, Ada", "end_turn")
    assert (said.usage.input_tokens, said.usage.output_tokens) == (7, 4)
    async with claude.messages.stream(
        model="claude-x", max_tokens=100, system="Be brief.", messages=[{"role": "user", "content": "hi Ada"}]
    ) as stream:
        assert "".join([text async for text in stream.text_stream]) == "hi Ada"
        final = await stream.get_final_message()
    assert (final.usage.input_tokens, final.usage.output_tokens) == (4, 2)


async def test_an_answer_is_cut_at_the_most_tokens_asked_for(
    gpt: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic
) -> None:
    said = await chat(gpt, max_completion_tokens=2)
    assert (said.choices[0].message.content, said.choices[0].finish_reason) == ("hello th", "length")
    other = await message(claude, max_tokens=2)
    assert (other.content[0].text, other.stop_reason) == ("hello th", "max_tokens")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_that_must_be_called_is_called(
    gpt: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic, stream: bool
) -> None:
    function = {"type": "function", "function": {"name": "weather", "parameters": WEATHER}}
    asked: dict[str, Any] = {"tools": [function], "tool_choice": "required"}
    if stream:
        async with gpt.chat.completions.stream(model="gpt-x", messages=SAY, **asked) as events:  # type: ignore[arg-type]
            completion: Any = await events.get_final_completion()
    else:
        completion = await chat(gpt, **asked)
    call = completion.choices[0].message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "text"})
    assert completion.choices[0].finish_reason == "tool_calls"
    theirs: dict[str, Any] = {
        "tools": [{"name": "weather", "input_schema": WEATHER}],
        "tool_choice": {"type": "any"},
    }
    if stream:
        async with claude.messages.stream(model="c", max_tokens=9, messages=ASK, **theirs) as events:  # type: ignore[arg-type]
            said: Any = await events.get_final_message()
    else:
        said = await message(claude, **theirs)
    assert (said.content[0].name, said.content[0].input) == ("weather", {"city": "text"})
    assert said.stop_reason == "tool_use"


class Mood(BaseModel):
    score: float = Field(gt=0, lt=1)


class Ticket(BaseModel):
    """Something of every kind."""

    title: str = Field(min_length=10, max_length=12)
    urgency: Literal["low", "high"]
    parts: list[Mood] = Field(min_length=2)
    count: int = Field(ge=3, multiple_of=5)
    mood: Mood | None
    labels: dict[str, str]
    note: str = "none"


def test_the_least_value_is_one_that_the_schema_accepts() -> None:
    schema = Ticket.model_json_schema()
    value = instance(schema)
    jsonschema.validate(value, schema)
    ticket = Ticket.model_validate(value)
    assert (ticket.count, ticket.note, len(ticket.parts)) == (5, "none", 2)
    assert instance(schema) == value


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
async def test_a_pydantic_ai_agent_gets_its_structured_output_after_its_tools(
    stub: StubLlm, url: str, vendor: str
) -> None:
    from pydantic_ai import Agent, NativeOutput
    from pydantic_ai.models import Model
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.anthropic import AnthropicProvider
    from pydantic_ai.providers.openai import OpenAIProvider

    stub.tools_first = True
    asked: list[str] = []
    async with (
        openai.AsyncOpenAI(api_key="k", base_url=f"{url}/v1") as gpt,
        anthropic.AsyncAnthropic(api_key="k", base_url=url) as claude,
    ):
        model: Model
        if vendor == "openai":
            model = OpenAIChatModel("gpt-4o", provider=OpenAIProvider(openai_client=gpt))
        else:
            model = AnthropicModel("claude-haiku-4-5", provider=AnthropicProvider(anthropic_client=claude))
        agent = Agent(model, output_type=Ticket)

        @agent.tool_plain
        def weather(city: str) -> str:
            asked.append(city)
            return "rain"

        run = await agent.run("triage this")
        assert run.output.urgency == "low"
        assert asked == ["text"]
        assert run.usage.requests == 2
        if vendor == "openai":  # Anthropic's form of a schema has no mappings
            native = Agent(model, output_type=NativeOutput(Ticket))
            assert (await native.run("triage this")).output == run.output


async def test_embeddings_are_the_same_for_the_same_text_and_apart_for_others(
    gpt: openai.AsyncOpenAI,
) -> None:
    answer = await gpt.embeddings.create(model="e", input=["one", "two", "one"], dimensions=256)
    one, two, again = (item.embedding for item in answer.data)
    assert one == again
    assert len(one) == 256
    assert sum(x * x for x in one) == pytest.approx(1, abs=1e-5)
    assert abs(sum(x * y for x, y in zip(one, two, strict=True))) < 0.4
    assert answer.usage.prompt_tokens == 3  # 9 bytes
    raw = await gpt.embeddings.create(model="e", input="one", dimensions=256, encoding_format="float")
    assert raw.data[0].embedding == pytest.approx(one, abs=1e-6)


async def test_scripts_answer_in_place_of_the_echo_as_often_as_they_say(
    url: str, gpt: openai.AsyncOpenAI
) -> None:
    scripts = [
        {"says": "Ada", "next": 1, "text": "I know her.", "tools": [{"name": "look", "arguments": {"a": 1}}]}
    ]
    async with httpx.AsyncClient() as http:
        assert (await http.post(f"{url}/__scripts", json={"scripts": scripts})).is_success
        assert (await http.post(f"{url}/__scripts", json={"scripts": [{"x": 1}]})).status_code == 422
    first, second = await chat(gpt), await chat(gpt)
    assert first.choices[0].message.content == "I know her."
    assert first.choices[0].message.tool_calls[0].function.arguments == '{"a": 1}'
    assert second.choices[0].message.content == "hello there, Ada"


async def test_a_status_comes_as_the_vendor_says_it_and_only_as_often_as_told(
    stub: StubLlm, gpt: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic
) -> None:
    stub.faults.set(
        [
            {"kind": "status", "match": "gpt", "status": 429, "retry_after": 7, "next": 1},
            {"kind": "status", "match": "claude", "status": 529, "next": 1},
        ]
    )
    with pytest.raises(openai.RateLimitError) as limited:
        await chat(gpt)
    assert limited.value.response.headers["retry-after"] == "7"
    with pytest.raises(anthropic.APIStatusError) as overloaded:
        await message(claude)
    assert overloaded.value.status_code == 529
    assert "overloaded_error" in str(overloaded.value)
    await chat(gpt)
    await message(claude)
    summary = stub.calls.summary()
    assert summary["statuses"] == {"429": 1, "529": 1, "200": 2}
    assert (summary["input_tokens"], summary["output_tokens"]) == (14, 8)  # refusals are not charged


@pytest.mark.parametrize("after", [0, 0.5])
@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_breaks_off(
    stub: StubLlm, gpt: openai.AsyncOpenAI, *, stream: bool, after: float
) -> None:
    stub.faults.set([{"kind": "cut", "after": after}])
    got: list[Any] = []
    with pytest.raises((openai.APIConnectionError, httpx.TransportError)):
        answer = await chat(gpt, stream=stream)
        if stream:
            async for chunk in answer:
                got.append(chunk)  # noqa: PERF401 (what came before the cut counts)
    assert bool(got) == (stream and after > 0)
    (record,) = stub.calls.summary()["calls"]
    assert (record["fault"], record["status"], record["output_tokens"]) == ("cut", 200 if after else 0, 4)


async def test_a_hang_lasts_until_the_client_gives_up(stub: StubLlm, gpt: openai.AsyncOpenAI) -> None:
    stub.faults.set([{"kind": "hang"}])
    with pytest.raises(openai.APITimeoutError):
        await chat(gpt, timeout=0.3)
    async with asyncio.timeout(5):
        while stub.calls.concurrency:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    stub.faults.set([{"kind": "hang", "seconds": 0.1}])
    with pytest.raises(openai.APIConnectionError):
        await chat(gpt, timeout=5)


async def test_a_stream_falls_silent_midway(stub: StubLlm, gpt: openai.AsyncOpenAI) -> None:
    stub.faults.set([{"kind": "stall"}])
    got = []
    with pytest.raises(openai.APITimeoutError):
        async for chunk in await chat(gpt, stream=True, timeout=0.3):
            got.append(chunk)  # noqa: PERF401 (what came before counts)
    assert got


async def test_garbage_is_no_json_and_an_empty_answer_has_no_choices(
    stub: StubLlm, url: str, gpt: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic
) -> None:
    stub.faults.set([{"kind": "garbage", "next": 1}, {"kind": "empty"}])
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{url}/v1/chat/completions", json={"model": "m", "messages": ASK})
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    assert (await chat(gpt)).choices == []
    assert (await message(claude)).content == []


async def test_a_slow_answer_comes_later_by_what_the_rule_says(
    stub: StubLlm, gpt: openai.AsyncOpenAI
) -> None:
    stub.faults.set([{"kind": "slow", "seconds": 0.4}])
    before = time.monotonic()
    await chat(gpt)
    assert 0.4 <= time.monotonic() - before < 5


async def test_the_same_seed_draws_the_same_faults() -> None:
    def drawn(seed: int) -> list[bool]:
        stub = StubLlm(seed=seed)
        stub.faults.set([{"kind": "status", "probability": 0.5}])
        return [stub.faults.pick("m") is not None for _ in range(64)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert 16 < sum(drawn(1)) < 48


async def test_what_is_no_rule_or_no_request_is_refused_with_the_reason(url: str) -> None:
    async with httpx.AsyncClient(base_url=url) as http:
        unknown = await http.post("/__faults", json={"rules": [{"kind": "explode"}]})
        assert unknown.status_code == 422
        assert "allowed are cut, empty, end, garbage" in unknown.text
        assert (await http.post("/__faults", json={"rules": [{"kind": "cut", "next": 0}]})).status_code == 422
        assert (await http.post("/v1/chat/completions", json={"model": "m"})).status_code == 400
        assert (await http.post("/v1/messages", content=b"{")).status_code == 400
        assert (await http.get("/v1/nothing")).status_code == 404


async def test_calls_tell_prompt_headers_concurrency_and_windows(
    stub: StubLlm, url: str, gpt: openai.AsyncOpenAI
) -> None:
    stub.delay = 0.2
    headers = {"traceparent": "00-1-2-01", "idempotency-key": "k1"}
    await asyncio.gather(*[chat(gpt, extra_headers=headers) for _ in range(5)])
    async with httpx.AsyncClient() as http:
        seen = (await http.get(f"{url}/__calls?window=30")).json()
        assert "calls" not in (await http.get(f"{url}/__calls?records=0")).json()
        assert (await http.delete(f"{url}/__calls")).json()["total"] == 0
    assert (seen["total"], seen["most_concurrent"], seen["concurrency"]) == (5, 5, 0)
    assert seen["most_in_window"] == {"seconds": 30, "requests": 5, "answered": 5, "tokens": 55}
    assert len({call["prompt_hash"] for call in seen["calls"]}) == 1
    assert seen["calls"][0]["last_user_text"] == "hello there, Ada"
    assert seen["calls"][0]["headers"].items() >= headers.items()
    assert seen["calls"][0]["seconds"] >= 0.2


def test_the_greatest_sum_in_a_window_slides() -> None:
    events = [(0.0, 5), (59.0, 5), (60.0, 1), (118.9, 7), (119.0, 1)]
    assert most(events, 60) == 13  # from 59.0 up to 119.0, which is not within
    assert most(events, 1000) == 19
    assert most([], 60) == 0


def test_it_runs_as_a_process(tmp_path: Path) -> None:
    with tool("stub_llm", tmp_path, "--delay", "0") as url:
        asked = {"model": "m", "messages": ASK}
        answer = httpx.post(f"{url}/v1/chat/completions", json=asked).json()
        assert answer["choices"][0]["message"]["content"] == "hello there, Ada"
        assert httpx.get(f"{url}/__calls").json()["total"] == 1

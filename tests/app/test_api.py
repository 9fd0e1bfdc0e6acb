"""The HTTP interface, in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from agent_app.agents.context import Context
from agent_app.agents.conversation import Conversation
from agent_app.http import api
from agent_app.llm.call import LlmProblem
from agent_app.service import Service
from agent_app.settings import Settings

from agent_app import service


@pytest.fixture
async def parts() -> AsyncIterator[Service]:
    settings = Settings(
        max_body_bytes=2000, retry_seconds=0, max_attempts=2, task_timeout=0.5, poll_seconds=0
    )
    async with service.opened(settings) as opened:
        yield opened


@pytest.fixture
async def client(parts: Service) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(api.create(parts))
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as opened:
        yield opened


async def _problem(response: httpx.Response, status: int) -> str:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    assert body["request_id"] == response.headers["x-request-id"]
    return str(body["detail"])


async def test_a_session_goes_on(client: httpx.AsyncClient) -> None:
    first = (await client.post("/v1/chat", json={"message": "one"})).json()
    body = {"message": "two", "session_id": first["session_id"]}
    second = (await client.post("/v1/chat", json=body)).json()
    assert second["session_id"] == first["session_id"]
    assert '"one"' in second["reply"]


async def test_the_same_session_has_the_same_answers(client: httpx.AsyncClient) -> None:
    answers = [
        [
            (await client.post("/v1/chat", json={"message": text, "session_id": session})).json()["reply"]
            for text in ("one", "two")
        ]
        for session in ("a", "b")
    ]
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "JSON"),
        (b"{}", "#/message: Field required"),
        (b'{"message": ""}', "#/message"),
        (b'{"message": "x", "session_id": "../etc"}', "#/session_id"),
        (b'{"message": "x", "other": 1}', "#/other"),
        (b'{"message": "x\\u0000"}', "NUL"),
        (b'{"message": "\\ud800"}', ""),
    ],
)
async def test_a_wrong_chat_is_a_problem(client: httpx.AsyncClient, body: bytes, said: str) -> None:
    response = await client.post("/v1/chat", content=body, headers={"content-type": "application/json"})
    assert said in await _problem(response, 422)


async def test_a_body_beyond_the_limit_is_refused(client: httpx.AsyncClient) -> None:
    async def streamed() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b" " * 500

    for content in (b" " * 5000, streamed()):
        response = await client.post(
            "/v1/chat", content=content, headers={"content-type": "application/json"}
        )
        assert "2000 bytes" in await _problem(response, 413)


async def test_what_is_not_there_is_a_problem(client: httpx.AsyncClient) -> None:
    await _problem(await client.get("/nowhere"), 404)
    await _problem(await client.get("/v1/chat"), 405)
    assert "no session" in await _problem(await client.get("/v1/sessions/none"), 404)
    unknown = "/v1/tasks/00000000-0000-0000-0000-000000000000"
    assert "no task" in await _problem(await client.get(unknown), 404)


async def test_a_request_id_is_kept_if_it_is_harmless(client: httpx.AsyncClient) -> None:
    kept = await client.get("/healthz", headers={"x-request-id": "abc-1"})
    assert kept.headers["x-request-id"] == "abc-1"
    replaced = await client.get("/healthz", headers={"x-request-id": 'a"\tb'})
    assert len(replaced.headers["x-request-id"]) == 32


async def test_a_failed_turn_is_not_kept(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(self: Conversation, input: object, context: Context) -> None:
        raise LlmProblem(503, "The model is busy.", retry_after=10)

    with monkeypatch.context() as patched:
        patched.setattr(Conversation, "run", fails)
        response = await client.post("/v1/chat", json={"message": "one", "session_id": "s"})
        assert await _problem(response, 503) == "The model is busy."
        assert response.headers["retry-after"] == "10"
    await _problem(await client.get("/v1/sessions/s"), 404)


async def test_an_unforeseen_error_is_a_problem_without_its_text(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(self: Conversation, input: object, context: Context) -> None:
        raise RuntimeError("password=hush")

    monkeypatch.setattr(Conversation, "run", fails)
    response = await client.post("/v1/chat", json={"message": "one"})
    await _problem(response, 500)
    assert "hush" not in response.text


async def test_a_task_runs_in_the_process_where_there_is_no_queue(
    client: httpx.AsyncClient, parts: Service
) -> None:
    worker = asyncio.create_task(parts.worker.run())
    id = (await client.post("/v1/tasks", json={"input": "go"})).json()["task_id"]
    slow = (await client.post("/v1/tasks", json={"agent": "wait", "input": {"seconds": 9}})).json()["task_id"]
    async with asyncio.timeout(10):
        while (state := (await client.get(f"/v1/tasks/{slow}")).json())["status"] != "failed":  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    parts.worker.stop()
    await worker
    assert state["attempts"] == 2
    assert "0.5 s" in state["error"]
    assert '"go"' in (await client.get(f"/v1/tasks/{id}")).json()["result"]
    metrics = (await client.get("/metrics")).text
    assert 'agent_app_tasks_total{agent="wait",outcome="retried"} 1.0' in metrics
    assert 'agent_app_llm_tokens_total{direction="input",model="built-in"}' in metrics
    assert 'route="/v1/tasks/{task_id}"' in metrics


@pytest.mark.parametrize(
    ("body", "headers", "status", "said"),
    [
        ({"agent": "dance", "input": 1}, {}, 422, "allowed are assistant, triage, summariser, wait"),
        ({"agent": "wait", "input": {"seconds": -1}}, {}, 422, "input/seconds"),
        ({"agent": "assistant", "input": {"promt": "x"}}, {}, 422, "input/prompt"),
        ({"input": "x", "idempotency_key": "a"}, {"Idempotency-Key": "b"}, 400, "differ"),
        ({"input": "x"}, {"Idempotency-Key": "a b"}, 422, "idempotency-key"),
        ({"input": "x\x00"}, {}, 422, "NUL"),
    ],
)
async def test_a_wrong_task_is_a_problem(
    client: httpx.AsyncClient, body: object, headers: dict[str, str], status: int, said: str
) -> None:
    assert said in await _problem(await client.post("/v1/tasks", json=body, headers=headers), status)


async def test_one_key_is_one_task(client: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "k"}
    ids = [(await client.post("/v1/tasks", json={"input": "x"}, headers=key)).json()["task_id"] for _ in "ab"]
    assert ids[0] == ids[1]
    await _problem(await client.post("/v1/tasks", json={"input": "y"}, headers=key), 422)


async def test_a_queue_without_a_database_says_that_tasks_are_off() -> None:
    settings = Settings.model_validate({"queue_url": "http://127.0.0.1:1/1/q", "aws_region": "eu-central-1"})
    async with service.opened(settings) as parts:
        transport = httpx.ASGITransport(api.create(parts))
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            response = await client.post("/v1/tasks", json={"input": "x"})
    assert "AGENT_APP_DATABASE_URL" in await _problem(response, 501)


async def _events(response: httpx.Response) -> list[tuple[str, dict[str, object]]]:
    assert response.headers["content-type"].startswith("text/event-stream")
    told = [block.split("\n") for block in response.text.strip().split("\n\n")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in told]


@pytest.mark.parametrize(
    "options", [{"json": {"stream": True}}, {"headers": {"accept": "text/event-stream"}}]
)
async def test_an_answer_is_told_in_pieces_and_then_whole(
    client: httpx.AsyncClient, options: dict[str, dict[str, object]]
) -> None:
    body = {"message": "hello there", "session_id": "s", **options.get("json", {})}
    events = await _events(await client.post("/v1/chat", json=body, headers=options.get("headers")))
    names = [name for name, _ in events]
    assert names == ["delta"] * (len(names) - 1) + ["done"]
    assert len(names) > 3
    done = events[-1][1]
    assert "".join(str(data["text"]) for _, data in events[:-1]) == done["reply"]
    assert len((await client.get("/v1/sessions/s")).json()["messages"]) == 2


async def test_a_stream_that_fails_ends_with_its_problem(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(self: Conversation, input: object, context: Context) -> AsyncIterator[str]:
        yield "half an "
        raise LlmProblem(502, "The model failed.")

    monkeypatch.setattr(Conversation, "stream", fails)
    response = await client.post("/v1/chat", json={"message": "x", "session_id": "s", "stream": True})
    events = await _events(response)
    assert [name for name, _ in events] == ["delta", "error"]
    assert events[-1][1]["detail"] == "The model failed."
    await _problem(await client.get("/v1/sessions/s"), 404)


async def test_a_wrong_stream_is_a_problem_and_no_stream(client: httpx.AsyncClient) -> None:
    body = {"message": "x", "stream": True, "agent": "nobody"}
    assert "allowed are assistant" in await _problem(await client.post("/v1/chat", json=body), 422)


async def test_an_agent_that_is_named_answers_in_its_form(client: httpx.AsyncClient) -> None:
    reply = (await client.post("/v1/chat", json={"message": "help", "agent": "triage"})).json()
    assert reply["agent"] == "triage"
    assert set(reply["output"]) >= {"category", "priority", "reply"}
    assert json.loads(reply["reply"]) == reply["output"]


async def test_sessions_are_listed_and_deleted(client: httpx.AsyncClient) -> None:
    for session in ("a", "b"):
        await client.post("/v1/chat", json={"message": "x", "session_id": session})
    listed = (await client.get("/v1/sessions")).json()["sessions"]
    assert [item["session_id"] for item in listed] == ["b", "a"]
    assert (await client.delete("/v1/sessions/a")).status_code == 204
    await _problem(await client.delete("/v1/sessions/a"), 404)
    await _problem(await client.get("/v1/sessions/a"), 404)


async def test_agents_are_listed_with_their_models(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/v1/agents")).json()["agents"]
    assert [item["name"] for item in listed] == ["assistant", "triage", "summariser", "wait"]
    assert {item["model"] for item in listed} == {"built-in"}


async def test_tasks_are_listed_by_status_and_give_their_result_alone(
    client: httpx.AsyncClient, parts: Service
) -> None:
    worker = asyncio.create_task(parts.worker.run())
    id = (await client.post("/v1/tasks", json={"input": "go"})).json()["task_id"]
    async with asyncio.timeout(10):
        while (await client.get(f"/v1/tasks/{id}/result")).status_code == 409:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    parts.worker.stop()
    await worker
    assert '"go"' in (await client.get(f"/v1/tasks/{id}/result")).json()
    listed = (await client.get("/v1/tasks", params={"status": "succeeded"})).json()["tasks"]
    assert [task["task_id"] for task in listed] == [id]
    assert (await client.get("/v1/tasks", params={"status": "failed"})).json()["tasks"] == []


async def test_a_slow_agent_is_a_problem_that_names_tasks(client: httpx.AsyncClient) -> None:
    async def slow(self: Conversation, input: object, context: Context) -> None:
        await asyncio.sleep(60)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Conversation, "run", slow)
        response = await client.post("/v1/chat", json={"message": "x"})
    assert "as a task" in await _problem(response, 504)


@pytest.mark.parametrize(("bound", "most"), [({}, 6), ({"chat_concurrency": 2}, 2)], ids=str)
async def test_chats_at_once_have_a_bound_of_their_own(
    bound: dict[str, int], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, seen = 0, []

    async def counted(_agent: object, _input: object, _context: Context) -> str:
        nonlocal running
        running += 1
        seen.append(running)
        await asyncio.sleep(0.05)
        running -= 1
        return "done"

    monkeypatch.setattr(Conversation, "run", counted)
    async with service.opened(Settings.model_validate({"worker_concurrency": 1, **bound})) as parts:
        transport = httpx.ASGITransport(api.create(parts))
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            asks = (client.post("/v1/chat", json={"message": "hello"}) for _ in range(6))
            assert {answer.status_code for answer in await asyncio.gather(*asks)} == {200}
    assert max(seen) == most

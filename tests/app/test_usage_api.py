"""What was spent is told to who spent it, and a budget holds over replicas."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from agent_app.http import api
from agent_app.http.owner import _owner
from agent_app.settings import Settings

from agent_app import service
from tests.app.processes import tool
from tests.app.stack import Stack


async def _report(owner: str, *said_by: str, query: str = "", **settings: Any) -> httpx.Response:
    made = Settings.model_validate({"monthly_budget_usd": "5", "monthly_budget_usd_per_key": "1", **settings})
    async with service.opened(made) as parts:
        app = api.create(parts)
        asks = ""
        app.dependency_overrides[_owner] = lambda: asks
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            for who in said_by:
                asks = who
                answer = await client.post("/v1/chat", json={"message": "one two three"})
                assert answer.json()["usage"]["cost_micros"] == 0
            asks = owner
            return await client.get(f"/v1/usage{query}")


async def test_a_month_is_told_by_what_is_asked_for() -> None:
    answer = await _report("ada", "ada", "ada", "bob", query="?group_by=agent&group_by=model")
    assert answer.json() == {
        "lines": [
            {
                "group": {"agent": "assistant", "model": "built-in:built-in"},
                "requests": 2,
                "failures": 0,
                "input_tokens": 6,
                "output_tokens": 14,
                "cached_tokens": 0,
                "cost_usd": "0",
            }
        ],
        "budgets": [
            {"scope": "fleet", "name": "agent", "limit_usd": "5", "spent_usd": "0", "reserved_usd": "0"},
            {"scope": "key", "name": "ada", "limit_usd": "1", "spent_usd": "0", "reserved_usd": "0"},
        ],
    }


@pytest.mark.parametrize(
    ("owner", "readers", "seen"), [("ada", [], {"ada"}), ("ops", ["ops"], {"ada", "bob"}), ("eve", [], set())]
)
async def test_only_readers_see_what_others_spent(owner: str, readers: list[str], seen: set[str]) -> None:
    answer = await _report(owner, "ada", "bob", query="?group_by=key", usage_readers=readers)
    assert {line["group"]["key"] for line in answer.json()["lines"]} == seen


@pytest.mark.parametrize(
    ("query", "said"), [("?month=2026-13", "month"), ("?month=x", "month"), ("?group_by=prompt", "group_by")]
)
async def test_a_wrong_question_is_a_problem(query: str, said: str) -> None:
    answer = await _report("ada", query=query)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


def test_replicas_share_a_budget_and_leave_an_account_of_it(stack: Stack, tmp_path: Path) -> None:
    prices = {"openai:gpt-x": {"input": "2", "output": "10"}}
    with tool("stub_llm", tmp_path, "--delay", "0.01") as vendor:
        variables = {
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_BASE_URL": f"{vendor}/v1",
            "AGENT_APP_MODEL": "openai:gpt-x",
            "AGENT_APP_MODEL_PRICES": json.dumps(prices),
            "AGENT_APP_MONTHLY_BUDGET_USD": "0.008",
            "AGENT_APP_MAX_OUTPUT_TOKENS": "100",
        }
        with stack.app(**variables) as one, stack.app(**variables) as two:
            replicas = [one, two]
            for replica in replicas:
                replica.ready()

            def say(number: int) -> int:
                url = replicas[number % 2].url
                return httpx.post(
                    f"{url}/v1/chat", json={"message": f"hello {number}"}, timeout=30
                ).status_code

            with ThreadPoolExecutor(10) as pool:
                statuses = list(pool.map(say, range(150)))
            assert set(statuses) == {200, 429}
        calls = httpx.get(f"{vendor}/__calls").json()["calls"]
        charged = sum(call["input_tokens"] * 2 + call["output_tokens"] * 10 for call in calls)
        assert len(calls) == statuses.count(200)
        assert 0 < charged <= 8_000
    # The replicas have ended, and told what they spent: a new one knows it.
    ((spent, lost, held),) = stack.rows("select spent, lost, held from budgets")
    assert (spent, lost, held) == (charged, 0, 0)
    ((requests, micros),) = stack.rows("select sum(requests), sum(micros) from llm_usage")
    assert (requests, micros) == (len(calls), charged)

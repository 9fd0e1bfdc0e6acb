"""Agents of one's own, from examples/agents, in a service that is told of them by AGENT_APP_AGENTS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.app.processes import tool, until
from tests.app.stack import App, app

AGENTS = Path(__file__).parents[2] / "examples" / "agents"
OWN = {
    "report": {"agent": "own_agents.report:agent", "description": "Writes a report."},
    "translator": {"agent": "own_agents.translator:agent", "description": "Translates into English."},
}


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[str]:
    with tool("stub_llm", tmp_path, "--delay", "0") as url:
        yield url


@pytest.fixture
def service(provider: str, tmp_path: Path) -> Iterator[App]:
    variables = {
        "PYTHONPATH": str(AGENTS),
        "AGENT_APP_AGENTS": json.dumps(OWN),
        "AGENT_APP_MODEL": "openai:gpt-5-mini",
        "AGENT_APP_MODEL_ATTEMPTS": "1",
        "AGENT_APP_RETRY_SECONDS": "0",
        "AGENT_APP_LLM_REQUESTS_PER_MINUTE": "5",
        "AGENT_APP_LLM_WAIT_SECONDS": "0",
        "OPENAI_API_KEY": "sk-stub",
        "OPENAI_BASE_URL": f"{provider}/v1",
    }
    with app(tmp_path, "serve", variables) as running:
        yield running


def _asked(provider: str) -> list[str]:
    """The first words of what the model was asked, in order."""
    calls = httpx.get(f"{provider}/__calls").json()["calls"]
    return [call["last_user_text"].partition(" ")[0] for call in calls]


def test_a_graph_goes_on_where_its_last_try_ended(provider: str, service: App) -> None:
    scripts = [
        {"says": "Outline", "text": "the outline"},
        {"says": "this outline", "text": "the draft"},
        {"says": "this draft", "text": "the report"},
    ]
    httpx.post(f"{provider}/__scripts", json={"scripts": scripts}).raise_for_status()
    service.ready()
    with httpx.Client(base_url=provider) as stub:
        stub.post("/__faults", json={"rules": [{"kind": "slow", "seconds": 0.5}]}).raise_for_status()
        id = service.submit({"agent": "report", "input": "herons"})
        until(lambda: "Outline" in _asked(provider), what="the first call")
        # The rule of the call in hand is drawn already; the next call fails.
        stub.post(
            "/__faults", json={"rules": [{"kind": "status", "status": 500, "next": 1}]}
        ).raise_for_status()
        state = service.task_becomes(id, "succeeded")
    assert state["result"] == {"outline": "the outline", "report": "the report"}
    assert state["attempts"] == 2
    assert _asked(provider) == ["Outline", "Draft", "Draft", "Revise"]


def test_the_services_limits_hold_for_a_graph(provider: str, service: App) -> None:
    """Five requests a minute, without a wait: the second report's third call is one too many."""
    service.ready()
    assert service.post("/v1/chat", {"agent": "report", "message": "herons"}).status_code == 200
    refused = service.post("/v1/chat", {"agent": "report", "message": "storks"})
    assert refused.status_code == 503
    assert "retry-after" in refused.headers
    assert len(_asked(provider)) == 5
    shown = service.get("/metrics").text
    assert 'agent="report"' in shown


def test_an_agent_of_pydantic_ai_answers_in_its_form_and_streams(provider: str, service: App) -> None:
    reply = service.post("/v1/chat", {"agent": "translator", "message": "Der Reiher steht."}).json()
    assert set(reply["output"]) == {"language", "text"}
    told = service.post("/v1/chat", {"agent": "translator", "message": "Der Reiher.", "stream": True}).text
    assert "event: done" in told
    wrong = service.post("/v1/tasks", {"agent": "translator", "input": {"promt": "x"}})
    assert wrong.status_code == 422


def test_both_are_listed(service: App) -> None:
    listed = service.get("/v1/agents").json()["agents"]
    assert [(agent["name"], agent["description"]) for agent in listed] == [
        (name, its["description"]) for name, its in OWN.items()
    ]

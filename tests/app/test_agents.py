"""The agents that come with the service, and how others are brought in."""

from __future__ import annotations

import sys
import types
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from agent_app.agents import summariser, triage
from agent_app.agents.agent import load
from agent_app.agents.context import Context
from agent_app.agents.pydantic import PydanticAgent
from agent_app.llm.built_in import built_in
from agent_app.problems import Problem
from agent_app.settings import SettingsError
from agent_app.settings.agents import SHIPPED, AgentType
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue
from pydantic_ai.models.test import TestModel


class Steps:
    """Remembers what was done, as a task's store does."""

    def __init__(self) -> None:
        self.kept: dict[str, JsonValue] = {}
        self.done: list[str] = []

    async def once(self, name: str, work: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
        if name not in self.kept:
            self.done.append(name)
            self.kept[name] = await work()
        return self.kept[name]


def _context(model: Any = None, steps: Steps | None = None) -> Context:
    return Context("agent", "me", model or built_in(), run_id="run-1", steps=steps or Steps())


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_shipped_can_be_loaded(name: str) -> None:
    load(name, SHIPPED[name])


async def test_triage_answers_in_its_form_without_a_vendor() -> None:
    output = await PydanticAgent(triage.agent).run("I cannot sign in", _context())
    assert triage.Triage.model_validate(output).category in {
        "account",
        "billing",
        "bug",
        "question",
        "outage",
        "other",
    }


async def test_triage_opens_one_ticket_however_often_the_task_is_tried() -> None:
    steps = Steps()
    for _ in range(2):
        model = TestModel(call_tools=["search_help", "open_ticket"])
        await PydanticAgent(triage.agent).run("The site is down", _context(model, steps))
    assert steps.done == ["ticket"]
    assert str(steps.kept["ticket"]).count("T-") == 1


def test_the_help_centre_finds_by_words() -> None:
    titles = [article["title"] for article in triage.search_help("How do I reset my password?")]
    assert titles[0] == "Reset a password"
    assert triage.search_help("zebra") == []


async def test_a_long_text_is_summed_up_in_parts_that_a_retry_does_not_repeat() -> None:
    steps = Steps()
    text = "word " * summariser.PART
    first = await summariser.agent.run({"text": text}, _context(steps=steps))
    assert summariser.Summary.model_validate(first).points
    done = list(steps.done)
    assert len(done) == len(summariser.split(text, summariser.PART))
    assert await summariser.agent.run({"text": text}, _context(steps=steps)) == first
    assert steps.done == done


async def test_a_model_that_makes_no_summary_is_a_problem_of_the_models() -> None:
    never = TestModel(custom_output_args={"title": "none", "points": []})
    with pytest.raises(Problem, match="failed") as raised:
        await summariser.agent.run("Water is wet.", _context(never))
    assert raised.value.status == 502


@given(st.text(alphabet="ab \n", max_size=200), st.integers(1, 50))
def test_parts_are_short_and_nothing_is_lost(text: str, length: int) -> None:
    parts = summariser.split(text, length)
    assert "".join(parts) == text
    assert all(len(part) <= length for part in parts)


def _bring(monkeypatch: pytest.MonkeyPatch, found: object) -> AgentType:
    module = types.ModuleType("my_agents")
    module.__dict__["agent"] = found
    monkeypatch.setitem(sys.modules, "my_agents", module)
    return AgentType(agent="my_agents:agent")


async def test_an_object_with_run_and_check_is_an_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine:
        def check(self, input: JsonValue) -> None:
            return

        async def run(self, input: JsonValue, context: Context) -> JsonValue:
            return {"got": input}

    agent = load("mine", _bring(monkeypatch, Mine()))
    assert await agent.run(7, _context()) == {"got": 7}


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("nowhere.at_all:agent", "no module 'nowhere'"),
        ("agent_app.agents.wait:nothing", "has no 'nothing'"),
        ("agent_app.agents.wait:Wait", "must be a pydantic_ai.Agent"),
        ("agent_app.agents.triage:ARTICLES", "must be a pydantic_ai.Agent"),
    ],
)
def test_a_wrong_import_path_says_what_is_there(path: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as raised:
        load("mine", AgentType(agent=path))
    assert "AGENT_APP_AGENTS" in str(raised.value)

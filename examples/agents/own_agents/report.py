"""A LangGraph graph as an agent: it outlines, drafts and revises a report."""

from __future__ import annotations

from typing import TypedDict

from agent_app.agents.agent import Prompt
from agent_app.agents.context import Context
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import JsonValue
from pydantic_ai.direct import model_request
from pydantic_ai.messages import ModelRequest


class State(TypedDict, total=False):
    """What the nodes hand on."""

    topic: str
    outline: str
    draft: str
    report: str


async def _ask(runtime: Runtime[Context], step: str, prompt: str) -> str:
    """The model's answer, kept as the task's step: a retry goes on where the last try ended."""

    async def asked() -> JsonValue:
        # Through context.model the service's limits, budgets, retries and metrics hold for the graph too.
        response = await model_request(runtime.context.model, [ModelRequest.user_text_prompt(prompt)])
        return response.text or ""

    return str(await runtime.context.step(step, asked))


async def outline(state: State, runtime: Runtime[Context]) -> State:
    return {"outline": await _ask(runtime, "outline", f"Outline a report in three points: {state['topic']}")}


async def draft(state: State, runtime: Runtime[Context]) -> State:
    return {"draft": await _ask(runtime, "draft", f"Draft the report of this outline: {state['outline']}")}


async def revise(state: State, runtime: Runtime[Context]) -> State:
    return {"report": await _ask(runtime, "revise", f"Revise this draft, and shorten it: {state['draft']}")}


_graph = StateGraph(State, context_schema=Context)
_graph.add_sequence([outline, draft, revise])
_graph.add_edge(START, "outline")
_graph.add_edge("revise", END)
_compiled = _graph.compile()


class Report:
    """Takes the topic, as a text or `{"prompt": ...}`."""

    def check(self, input: JsonValue) -> None:
        Prompt.of(input)

    async def run(self, input: JsonValue, context: Context) -> JsonValue:
        ended = await _compiled.ainvoke({"topic": Prompt.of(input)}, context=context)
        return {"outline": ended["outline"], "report": ended["report"]}


agent = Report()

"""The agent types that a fleet's service runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from agent_infra.component import Args, shaped
from agent_infra.fleet.llm import plain
from agent_infra.fleet.llm_args import LlmAccess, ModelName, Usd, needs_price

AgentName = Annotated[
    str, shaped(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", "up to 63 letters, digits, dots, dashes and underscores")
]
ImportPath = Annotated[
    str,
    shaped(
        r"[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*",
        "a module and what is in it, such as own_agents.report:agent",
    ),
]


class AgentType(Args):
    """One agent; what is not said is as the fleet has it. Times are seconds.

    All of a fleet's agent types share its queue; one that needs a queue of its own is a fleet of its own.
    """

    agent: ImportPath
    """Where it is in the image: a pydantic-ai agent, or what has `run`."""
    description: str | None = Field(default=None, max_length=500)
    model: ModelName | None = None
    concurrency: int | None = Field(default=None, ge=1, le=1000)
    """Chats at once in a process; tasks share the worker's."""
    timeout: float | None = Field(default=None, gt=0)
    """The longest a task or a request of it may take: `task_timeout` at most, which pods are given to end."""
    max_attempts: int | None = Field(default=None, ge=1, le=1000)
    retry_seconds: int | None = Field(default=None, ge=0, le=900)
    """Before the second attempt; doubles after each."""
    response_cache_seconds: int | None = Field(default=None, ge=0)
    monthly_budget_usd: Usd | None = None
    """Beneath the fleet's."""


def agents_variable(agents: Mapping[str, AgentType], *, default: str | None = None) -> str | None:
    """AGENT_APP_AGENTS, the default one first; None leaves the service's own agents."""
    names = sorted(agents, key=lambda name: name != default)
    return json.dumps({name: plain(agents[name]) for name in names}) if agents else None


def impossible_agents(
    agents: Mapping[str, AgentType], llm: LlmAccess, *, task_timeout: int, default: str | None = None
) -> Iterator[str]:
    """What does not fit together, a sentence each."""
    if default is not None and default not in agents:
        yield (
            f"default_agent {default} is none of `agents` ({', '.join(agents) or 'there are none'}); name "
            "one of them, or leave it out"
        )
    for name, agent in agents.items():
        if agent.timeout is not None and agent.timeout > task_timeout:
            yield (
                f"agents.{name}.timeout {agent.timeout:g} is above task_timeout {task_timeout}, the time "
                f"that pods are given to end; raise task_timeout to {agent.timeout:g}, or lower the timeout"
            )
        budget = agent.monthly_budget_usd
        if budget is not None and llm.monthly_budget_usd is not None and budget > llm.monthly_budget_usd:
            yield (
                f"agents.{name}.monthly_budget_usd {budget} is above the fleet's llm.monthly_budget_usd "
                f"{llm.monthly_budget_usd}, which ends before it; lower the one or raise the other"
            )
    if llm.timeout is not None and llm.timeout > task_timeout:
        yield (
            f"llm.timeout {llm.timeout:g} of one call is above task_timeout {task_timeout} of the whole "
            "task; lower the one or raise the other"
        )
    # What the fleet's own budget lacks for its own models is told of `llm` itself.
    told = llm.unpriced() if any(name.startswith("llm.") for name in budgets(agents, llm)) else ()
    asked = llm.unpriced([its.model for its in agents.values() if its.model is not None])
    unknown = [model for model in asked if model not in told]
    if unknown and budgets(agents, llm):
        yield needs_price(budgets(agents, llm)[0], unknown).replace("`prices:", "`llm.prices:")


def budgets(agents: Mapping[str, AgentType], llm: LlmAccess) -> list[str]:
    """The budgets that are said, by where."""
    return [
        *(["llm.monthly_budget_usd"] if llm.monthly_budget_usd is not None else []),
        *(["llm.monthly_budget_usd_per_key"] if llm.monthly_budget_usd_per_key is not None else []),
        *(f"agents.{name}.monthly_budget_usd" for name, its in agents.items() if its.monthly_budget_usd),
    ]


def unfit_agents(
    agents: Mapping[str, AgentType], *, max_receives: int | None, environment: Mapping[str, Any]
) -> Iterator[str]:
    """What does not fit to the queue, which hands a task out `max_receives` times, or to the environment."""
    if agents and "AGENT_APP_AGENTS" in environment:
        yield "AGENT_APP_AGENTS is what `agents` says; say it in one of the two"
    for name, agent in agents.items():
        if max_receives is not None and agent.max_attempts is not None and agent.max_attempts > max_receives:
            yield (
                f"agents.{name}.max_attempts {agent.max_attempts} is above the queue's max_receives "
                f"{max_receives}, after which SQS hands a task out no more; raise max_receives, or lower "
                "max_attempts"
            )

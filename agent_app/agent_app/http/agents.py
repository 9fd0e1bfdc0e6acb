"""Which agents there are to talk to and to give tasks to."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from agent_app.agents.agent import Streaming
from agent_app.agents.runs import Runs
from agent_app.problems import may
from agent_app.tasks.policy import Policy


class AgentInList(BaseModel):
    """One agent type; its times are seconds."""

    name: str
    description: str
    model: str
    streams: bool
    timeout: float


class Agents(BaseModel):
    """The first one answers where none is named."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "agents": [
                        {
                            "name": "assistant",
                            "description": "Talks, and remembers.",
                            "model": "gpt-5-mini",
                            "streams": True,
                            "timeout": 300,
                        }
                    ]
                }
            ]
        }
    )
    agents: list[AgentInList]


def router(policies: Mapping[str, Policy], runs: Runs) -> APIRouter:
    """GET /v1/agents."""
    routes = APIRouter(prefix="/v1/agents", tags=["agents"], responses=may())
    known = [
        AgentInList(
            name=policy.name,
            description=policy.description,
            model=runs.model_name(policy.name),
            streams=isinstance(policy.agent, Streaming),
            timeout=policy.timeout,
        )
        for policy in policies.values()
    ]

    @routes.get("", operation_id="listAgents")
    async def agents() -> Agents:
        return Agents(agents=known)

    return routes

"""Which agents there are, and how the requests and tasks of each are run."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_settings import BaseSettings, NoDecode

from agent_app.settings.kinds import FromJson, HttpUrl, ModelName, Name

ImportPath = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]


class AgentType(BaseModel):
    """One agent; what is None is as the service's own setting says. Times are seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    agent: ImportPath = Field(description="`module:attribute`, a pydantic-ai agent or what has `run`")
    description: str = Field("", max_length=500)
    model: ModelName | None = None
    queue_url: HttpUrl | None = Field(None, description="Default: the fleet's queue, shared with the others")
    dead_letter_url: HttpUrl | None = None
    concurrency: int | None = Field(None, ge=1, le=1000, description="Tasks, and chats, at once in a process")
    timeout: float | None = Field(
        None, gt=0, le=43_200, description="The longest a task or a request may take"
    )
    max_attempts: int | None = Field(None, ge=1, le=1000)
    retry_seconds: int | None = Field(None, ge=0, le=900)
    response_cache_seconds: int | None = Field(None, ge=0)
    monthly_budget_usd: Decimal | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _bounds_need_a_queue(self) -> Self:
        if self.queue_url is None and self.dead_letter_url is not None:
            raise ValueError("dead_letter_url is set without queue_url: set both, or neither")
        return self


#: What the service ships.
SHIPPED: Mapping[str, AgentType] = {
    "assistant": AgentType(agent="agent_app.agents.assistant:agent", description="Talks, and remembers."),
    "triage": AgentType(
        agent="agent_app.agents.triage:agent", description="Sorts a support request and opens its ticket."
    ),
    "summariser": AgentType(
        agent="agent_app.agents.summariser:agent",
        description="Sums up a text of any length in a few points.",
    ),
    "wait": AgentType(
        agent="agent_app.agents.wait:agent",
        description="Only takes its time: for trying scaling, rollouts and drains without a model's cost.",
    ),
}


class AgentSettings(BaseSettings):
    """The agent types by name."""

    agents: Annotated[Mapping[Name, AgentType], NoDecode, FromJson] = Field(
        SHIPPED, min_length=1, description="JSON; the first is the default"
    )

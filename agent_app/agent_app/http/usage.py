"""What calls of models took and cost, and how the budgets stand."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, JsonValue

from agent_app.http.owner import Owner
from agent_app.llm.budget import MICROS, Budget
from agent_app.llm.call import Caller
from agent_app.llm.usage import Group, Ledger
from agent_app.problems import may
from agent_app.settings import Settings
from agent_app.state.tables import ANONYMOUS

_EXAMPLE: Final[dict[str, JsonValue]] = {
    "lines": [
        {
            "group": {"model": "openai:gpt-5-mini"},
            "requests": 3120,
            "failures": 4,
            "input_tokens": 1210400,
            "output_tokens": 240311,
            "cached_tokens": 90112,
            "cost_usd": "0.783222",
        }
    ],
    "budgets": [
        {"scope": "fleet", "name": "support", "limit_usd": "200", "spent_usd": "61.2", "reserved_usd": "0.6"}
    ],
}


class UsageLine(BaseModel):
    """Sums of one group; `cached_tokens`, which the vendor had cached, are part of `input_tokens`."""

    group: dict[str, str]
    requests: int
    failures: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_usd: Decimal


class BudgetLine(BaseModel):
    """A monthly budget; `reserved_usd` is set aside for calls, by the processes together."""

    scope: str
    name: str
    limit_usd: Decimal
    spent_usd: Decimal
    reserved_usd: Decimal


class UsageReport(BaseModel):
    """A month's lines, the dearest first, and this month's budgets."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})
    lines: list[UsageLine]
    budgets: list[BudgetLine]


def router(settings: Settings, ledger: Ledger, budget: Budget, agents: Collection[str]) -> APIRouter:
    """GET /v1/usage."""
    routes = APIRouter(prefix="/v1/usage", tags=["usage"], responses=may())

    @routes.get("")
    async def usage(
        owner: Owner,
        month: Annotated[
            str | None, Query(pattern=r"^\d{4}-\d{2}$", description="Default: this one, UTC")
        ] = None,
        group_by: Annotated[list[Group] | None, Query(max_length=5, description="Default: model")] = None,
    ) -> UsageReport:
        """Who asks' own usage in this fleet; the whole environment's for AGENT_APP_USAGE_READERS."""
        everybody = owner == ANONYMOUS or owner in settings.usage_readers
        own = {} if everybody else {"fleet": settings.fleet, "key": owner}
        lines = await ledger.report(month, group_by or ("model",), **own)
        stands = await budget.standing(Caller(agent, owner) for agent in agents)
        return UsageReport(
            lines=[
                UsageLine(
                    group=dict(line.group),
                    requests=line.counts.requests,
                    failures=line.counts.failures,
                    input_tokens=line.counts.input_tokens,
                    output_tokens=line.counts.output_tokens,
                    cached_tokens=line.counts.cached_tokens,
                    cost_usd=_usd(line.counts.micros),
                )
                for line in lines
            ],
            budgets=[
                BudgetLine(
                    scope=stand.scope.kind,
                    name=stand.scope.name,
                    limit_usd=_usd(stand.limit),
                    spent_usd=_usd(stand.spent),
                    reserved_usd=_usd(stand.reserved),
                )
                for stand in stands
            ],
        )

    return routes


def _usd(micros: int) -> Decimal:
    return Decimal(micros) / MICROS

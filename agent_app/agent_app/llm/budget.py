"""What a calendar month (UTC) may cost: reserved before a call, settled after it; in millionths of a USD."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from agent_app.llm.call import BudgetExhausted, Caller
from agent_app.settings import Settings
from agent_app.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

MICROS = 1_000_000
#: Clients that obey Retry-After should not sleep for weeks: the limit may be raised meanwhile.
LONGEST_RETRY_SECONDS = 86_400


@dataclass(frozen=True)
class Scope:
    """Whose budget it is: the fleet's, or that of one of its keys or agents."""

    kind: str
    name: str


@dataclass(eq=False)
class Reservation:
    """Money set aside for one call; to be settled once. `parts` are the budgets' own records of it."""

    micros: int
    parts: list[Any] = field(default_factory=list)
    settled: bool = False


@dataclass(frozen=True)
class Standing:
    """How a budget stands this month: what is spent for good, and what is set aside or may be."""

    scope: Scope
    limit: int
    spent: int
    reserved: int


#: Told of a budget, its limit and what is left of it.
Watch = Callable[[Scope, int, int], None]


class Budget(Protocol):
    """Sets money aside for calls. `run` is to be kept going beside it; `close` comes after the last call."""

    async def reserve(self, caller: Caller, micros: int) -> Reservation:
        """Sets aside the most that the call may cost, in each budget that it counts for, or in none.

        Raises:
            BudgetExhausted: 429, with which budget, its limit and when it renews.
            LlmProblem: 503, what the budget holds cannot be known now.
        """

    def settle(self, reservation: Reservation, micros: int) -> None:
        """Says what the call really cost; the rest is free again."""

    async def standing(self, callers: Iterable[Caller]) -> list[Standing]:
        """Each budget that calls of these count for."""

    async def run(self) -> None:
        """Keeps the shared account up to date; ends by being cancelled."""

    async def close(self) -> None:
        """Gives back what is held."""


class NoBudget:
    """No budget is set."""

    async def reserve(self, caller: Caller, micros: int) -> Reservation:
        return Reservation(micros)

    def settle(self, reservation: Reservation, micros: int) -> None:
        reservation.settled = True

    async def standing(self, callers: Iterable[Caller]) -> list[Standing]:
        return []

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        return


class BudgetLimits:
    """What the settings say each caller's calls count for."""

    def __init__(self, settings: Settings) -> None:
        self._fleet = Scope("fleet", settings.fleet)
        self._of_fleet = _micros(settings.monthly_budget_usd)
        self._of_key = _micros(settings.monthly_budget_usd_per_key)
        self._of_agents: Mapping[str, int] = {
            name: _micros(agent.monthly_budget_usd) or 0
            for name, agent in settings.agents.items()
            if agent.monthly_budget_usd is not None
        }

    @property
    def none(self) -> bool:
        return self._of_fleet is None and self._of_key is None and not self._of_agents

    def of(self, caller: Caller) -> list[tuple[Scope, int]]:
        """Each budget with its limit."""
        found = []
        if self._of_fleet is not None:
            found.append((self._fleet, self._of_fleet))
        if self._of_key is not None:
            found.append((Scope("key", caller.key), self._of_key))
        of_agent = self._of_agents.get(caller.agent)
        if of_agent is not None:
            found.append((Scope("agent", caller.agent), of_agent))
        return found

    def of_all(self, callers: Iterable[Caller]) -> dict[Scope, int]:
        """The budgets of several callers, each once."""
        return {scope: limit for caller in callers for scope, limit in self.of(caller)}


@dataclass(eq=False)
class _Account:
    spent: int = 0
    reserved: int = 0


class MemoryBudget:
    """The budgets of this process alone, where there is no database; forgotten when it ends."""

    def __init__(
        self,
        limits: BudgetLimits,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        watch: Watch | None = None,
    ) -> None:
        self._limits = limits
        self._watch = watch
        self._now = now
        self._month = month_of(now())
        self._accounts: dict[Scope, _Account] = {}

    async def reserve(self, caller: Caller, micros: int) -> Reservation:
        now = self._now()
        if self._month != month_of(now):
            # What is reserved still is settled in the month it was reserved in.
            self._month, self._accounts = month_of(now), {}
        accounts = []
        for scope, limit in self._limits.of(caller):
            account = self._accounts.setdefault(scope, _Account())
            if account.spent + account.reserved + micros > limit:
                free_again = account.spent + micros <= limit
                raise exhausted(scope, limit, micros, now, soon=free_again)
            accounts.append(account)
            if self._watch is not None:
                self._watch(scope, limit, limit - account.spent - account.reserved - micros)
        for account in accounts:
            account.reserved += micros
        return Reservation(micros, accounts)

    def settle(self, reservation: Reservation, micros: int) -> None:
        if reservation.settled:
            return
        reservation.settled = True
        for account in reservation.parts:
            account.reserved -= reservation.micros
            account.spent += micros

    async def standing(self, callers: Iterable[Caller]) -> list[Standing]:
        stands = []
        for scope, limit in self._limits.of_all(callers).items():
            account = self._accounts.get(scope, _Account())
            stands.append(Standing(scope, limit, account.spent, account.reserved))
        return stands

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        return


def choose(settings: Settings, engine: AsyncEngine | None, metrics: Metrics) -> Budget:
    """The budgets that the settings ask for; without a database, each process has its own."""

    def watch(scope: Scope, limit: int, left: int) -> None:
        if scope.kind != "key":  # of those there may be thousands
            metrics.llm_budget_used.labels(scope.kind, scope.name).set(1 - left / limit)

    limits = BudgetLimits(settings)
    if limits.none:
        return NoBudget()
    if engine is None:
        return MemoryBudget(limits, watch=watch)
    from agent_app.llm.allotments import PostgresBudget

    return PostgresBudget(engine, settings.environment, settings.fleet, limits, watch=watch)


def month_of(moment: datetime) -> date:
    """The first day of the month, UTC."""
    return moment.astimezone(UTC).date().replace(day=1)


def exhausted(scope: Scope, limit: int, micros: int, now: datetime, *, soon: bool) -> BudgetExhausted:
    """The error; `soon` when what other calls have reserved may be free again."""
    renewal = (month_of(now) + timedelta(days=32)).replace(day=1)
    seconds = datetime(renewal.year, renewal.month, 1, tzinfo=UTC) - now
    setting = {
        "fleet": "AGENT_APP_MONTHLY_BUDGET_USD",
        "key": "AGENT_APP_MONTHLY_BUDGET_USD_PER_KEY",
        "agent": "the agent's monthly_budget_usd in AGENT_APP_AGENTS",
    }[scope.kind]
    state = "spent, or reserved by calls that are running" if soon else "spent"
    return BudgetExhausted(
        429,
        f"The monthly budget of the {scope.kind} {scope.name!r}, {usd(limit)} USD, is {state}: the call may "
        f"cost {usd(micros)} USD. It renews on {renewal.isoformat()}, 00:00 UTC; to go on before, raise "
        f"{setting}.",
        retry_after=10 if soon else max(1, min(LONGEST_RETRY_SECONDS, int(seconds.total_seconds()) + 1)),
        budget=scope.kind,
    )


def _micros(usd: Decimal | None) -> int | None:
    return None if usd is None else int(usd * MICROS)


def usd(micros: int) -> str:
    """As a decimal number of USD."""
    return f"{Decimal(micros) / MICROS:f}"

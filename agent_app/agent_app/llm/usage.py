"""What calls took, by who called, model and day: counted in memory, added to Postgres every second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import structlog
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine

from agent_app.llm.call import Caller
from agent_app.problems import Problem
from agent_app.settings import Settings
from agent_app.state.tables import usage as table

if TYPE_CHECKING:
    from pydantic_ai.usage import RequestUsage

log = structlog.get_logger(__name__)

FLUSH_SECONDS = 1.0
#: While Postgres is away; keys beyond it are counted together, so that memory stays bounded.
MOST_ROWS = 10_000
OTHER_KEYS = "(other)"
#: Of one statement, whose parameters are limited to 65,535.
_BATCH = 1000

Outcome = str
#: Whatever else an outcome is called, it is a failure.
_ANSWERED = frozenset({"answered", "cached"})
Group = Literal["fleet", "agent", "key", "model", "day"]
GROUPS: tuple[Group, ...] = ("fleet", "agent", "key", "model", "day")


class Row(NamedTuple):
    """What is counted together; the day is UTC."""

    agent: str
    key: str
    model: str
    day: date


@dataclass
class Counts:
    """Sums; `cached_tokens` are part of `input_tokens`, and money is millionths of a USD."""

    requests: int = 0
    failures: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    micros: int = 0

    def add(self, other: Counts) -> None:
        self.requests += other.requests
        self.failures += other.failures
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cached_tokens += other.cached_tokens
        self.micros += other.micros


_COUNTS = tuple(item.name for item in fields(Counts))


@dataclass(frozen=True)
class Line:
    """One line of a report: its group's values by name, as text, and their sums."""

    group: Mapping[str, str]
    counts: Counts


class Ledger(Protocol):
    """Counts calls. `run` is to be kept going beside it; `close` comes after the last call."""

    def record(self, caller: Caller, model: str, usage: RequestUsage, micros: int, outcome: Outcome) -> None:
        """Counts one call of `vendor:model`; an outcome other than "answered" and "cached" is a failure."""

    async def report(
        self,
        month: str | None = None,
        group_by: Sequence[str] = ("model",),
        *,
        fleet: str | None = None,
        key: str | None = None,
    ) -> list[Line]:
        """The sums of a month, the dearest first.

        Args:
            month: such as 2026-11; None is this one, UTC.
            group_by: any of `GROUPS`.
            fleet: its calls alone.
            key: that caller's calls alone.

        Raises:
            Problem: 422, the month or a group is none.
        """

    async def run(self) -> None:
        """Stores what was counted; ends by being cancelled."""

    async def close(self) -> None:
        """Stores the last of it."""


class MemoryLedger:
    """Counts of this process alone."""

    def __init__(
        self, fleet: str = "agent", *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._fleet = fleet
        self._now = now
        self._rows: dict[Row, Counts] = {}

    def record(self, caller: Caller, model: str, usage: RequestUsage, micros: int, outcome: Outcome) -> None:
        taken = usage.input_tokens, usage.output_tokens, usage.cache_read_tokens
        counts = Counts(1, int(outcome not in _ANSWERED), *taken, micros)
        self._add(Row(caller.agent, caller.key, model, self._now().astimezone(UTC).date()), counts)

    def _add(self, row: Row, counts: Counts) -> None:
        if row not in self._rows and len(self._rows) >= MOST_ROWS:
            row = row._replace(key=OTHER_KEYS)
        self._rows.setdefault(row, Counts()).add(counts)

    async def report(
        self,
        month: str | None = None,
        group_by: Sequence[str] = ("model",),
        *,
        fleet: str | None = None,
        key: str | None = None,
    ) -> list[Line]:
        first, after = _month(month, self._now())
        names = _groups(group_by)
        lines: dict[tuple[str, ...], Counts] = {}
        for row, counts in self._rows.items():
            ours = fleet in {None, self._fleet} and key in {None, row.key}
            if ours and first <= row.day < after:
                said = {**row._asdict(), "fleet": self._fleet}
                lines.setdefault(tuple(str(said[name]) for name in names), Counts()).add(counts)
        found = [Line(dict(zip(names, values, strict=True)), counts) for values, counts in lines.items()]
        return sorted(found, key=lambda line: (-line.counts.micros, tuple(line.group.values())))

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        return


class PostgresLedger(MemoryLedger):
    """Counts of an environment, all its fleets together; what a killed process counted last is not in them.

    An answer of Postgres that is lost after it stored the counts has them counted twice: the budget, which
    must not err, has an account of its own.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        environment: str,
        fleet: str,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(fleet, now=now)
        self._engine = engine
        self._environment = environment
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def close(self) -> None:
        if not await self.flush():
            log.error("the last usage of language models is lost", rows=len(self._rows))

    async def flush(self) -> bool:
        """Adds what was counted to Postgres; whether all is there. What is not is kept for the next time."""
        # To its end even where who flushes is cancelled: what is stored half-way would be stored twice.
        flushing = asyncio.ensure_future(self._flushed())
        try:
            return await asyncio.shield(flushing)
        except asyncio.CancelledError:
            await asyncio.gather(flushing, return_exceptions=True)
            raise

    async def _flushed(self) -> bool:
        async with self._lock:
            # In one order everywhere, so that two processes never wait for each other's rows.
            waiting = sorted(self._rows.items())
            self._rows = {}
            for start in range(0, len(waiting), _BATCH):
                try:
                    await self._store(waiting[start : start + _BATCH])
                except BaseException as error:
                    for row, counts in waiting[start:]:
                        self._add(row, counts)
                    if not isinstance(error, (OperationalError, InterfaceError, PoolTimeout, OSError)):
                        raise
                    log.warning("usage is kept until the database answers", reason=type(error).__name__)
                    return False
        return True

    async def _store(self, rows: Sequence[tuple[Row, Counts]]) -> None:
        place = {"environment": self._environment, "fleet": self._fleet}
        values: list[dict[str, Any]] = [
            {**place, **row._asdict(), **dict(zip(_COUNTS, astuple(counts), strict=True))}
            for row, counts in rows
        ]
        new = upsert(table)
        added = {name: table.c[name] + new.excluded[name] for name in _COUNTS}
        statement = new.values(values).on_conflict_do_update(constraint=table.primary_key, set_=added)
        async with self._engine.begin() as connection:
            await connection.execute(statement)

    async def report(
        self,
        month: str | None = None,
        group_by: Sequence[str] = ("model",),
        *,
        fleet: str | None = None,
        key: str | None = None,
    ) -> list[Line]:
        """What other processes counted in the last second may be missing."""
        first, after = _month(month, self._now())
        names = _groups(group_by)
        await self.flush()
        columns = [table.c[name] for name in names]
        sums = [func.sum(table.c[name]).label(name) for name in _COUNTS]
        query = (
            select(*columns, *sums)
            .where(table.c.environment == self._environment, table.c.day >= first, table.c.day < after)
            .group_by(*columns)
            .order_by(func.sum(table.c.micros).desc(), *columns)
        )
        query = query if fleet is None else query.where(table.c.fleet == fleet)
        query = query if key is None else query.where(table.c.key == key)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        size = len(names)
        return [
            Line(
                dict(zip(names, map(str, row[:size]), strict=True)),
                Counts(*(int(number) for number in row[size:])),
            )
            for row in rows
            if row[size] is not None
        ]


def choose(settings: Settings, engine: AsyncEngine | None) -> Ledger:
    """The environment's ledger; without a database, each process has its own."""
    if engine is None:
        return MemoryLedger(settings.fleet)
    return PostgresLedger(engine, settings.environment, settings.fleet)


def _month(month: str | None, now: datetime) -> tuple[date, date]:
    """Its first day, and the one after its last."""
    try:
        said = now.astimezone(UTC) if month is None else datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
        first = date(said.year, said.month, 1)
        return first, date(first.year + first.month // 12, first.month % 12 + 1, 1)
    except ValueError:
        raise Problem(
            422, f"month is {str(month)[:20]!r}: it must be a year and a month, such as 2026-11."
        ) from None


def _groups(group_by: Sequence[str]) -> tuple[str, ...]:
    wrong = [name for name in group_by if name not in GROUPS]
    if wrong or not group_by:
        raise Problem(
            422, f"group_by is {','.join(group_by)[:100]!r}: it must be one or more of {', '.join(GROUPS)}."
        )
    return tuple(dict.fromkeys(group_by))

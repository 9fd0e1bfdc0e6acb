"""Budgets that Postgres judges, and that cost a call no round trip.

A process takes an allotment of a budget, a small share of what remains, and reserves from it in its memory.
What it does not use goes back. An allotment whose process died counts as spent: nobody knows that it was not.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import TextClause
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine

from agent_app.llm.account import DROP, NOW, OPEN, REAP, STANDING, SYNC
from agent_app.llm.budget import BudgetLimits, Reservation, Scope, Standing, Watch, exhausted, month_of
from agent_app.llm.call import Caller, LlmProblem
from agent_app.llm.clock import Away, Clock, SetClock
from agent_app.llm.pool import Pool

log = structlog.get_logger(__name__)

#: Of what remains of a budget: 20 replicas together leave four fifths of it to each other.
SHARE = 100
#: What was not used for so long goes back.
IDLE_SECONDS = 5.0
HEARTBEAT_SECONDS = 2.0
RENEW_SECONDS = 15.0
EXPIRY_SECONDS = 60
#: A budget without room is not asked for again at once by the same process.
_REFUSED_SECONDS = 0.5
_ANSWER_SECONDS = 5.0


class _Reaped(Exception):
    """The allotment was taken for that of a dead process: all of it counts as spent."""


class PostgresBudget:
    """The budgets of an environment's fleet, shared by its processes.

    Args:
        engine: the database.
        environment: whose budgets these are, with the fleet.
        fleet: the fleet.
        limits: each caller's budgets.
        now: the time, where a test has its own; else the database's, carried on by the monotonic clock.
        idle: seconds after which what is not used goes back.
        watch: told how the budgets stand whenever Postgres says so.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        environment: str,
        fleet: str,
        limits: BudgetLimits,
        *,
        now: Callable[[], datetime] | None = None,
        idle: float = IDLE_SECONDS,
        watch: Watch | None = None,
    ) -> None:
        self._engine = engine
        self._place = {"environment": environment, "fleet": fleet}
        self._limits = limits
        self._clock = Clock(self._ask_time) if now is None else SetClock(now)
        self._idle = idle
        self._watch = watch
        self._pools: dict[Scope, Pool] = {}
        self._former: list[Pool] = []
        self._reap_from = time.monotonic() + EXPIRY_SECONDS

    async def reserve(self, caller: Caller, micros: int) -> Reservation:
        reservation = Reservation(micros)
        try:
            for scope, limit in self._limits.of(caller):
                pool = self._pools.get(scope)
                if pool is None or not self._clock.is_of_this_month:
                    pool = await self._current(scope, limit)
                if pool.free < micros:
                    pool = await self._fill(pool, micros)
                pool.free -= micros
                pool.reserved += micros
                pool.used_at = time.monotonic()
                reservation.parts.append(pool)
        except BaseException as error:
            self.settle(reservation, 0)
            if isinstance(error, Away):
                detail = "The budget cannot be checked: the database does not answer; try again soon."
                raise LlmProblem(503, detail, retry_after=5) from None
            raise
        return reservation

    def settle(self, reservation: Reservation, micros: int) -> None:
        """Touches this process' memory alone."""
        if reservation.settled:
            return
        reservation.settled = True
        for pool in reservation.parts:
            pool.reserved -= reservation.micros
            pool.free += reservation.micros - micros
            pool.settled += micros

    async def standing(self, callers: Iterable[Caller]) -> list[Standing]:
        limits = self._limits.of_all(callers)
        if not limits:
            return []
        async with self._engine.connect() as connection:
            rows = (await connection.execute(STANDING, self._place)).all()
        known = {Scope(row.scope, row.name): (row.gone, row.held) for row in rows}
        return [Standing(scope, limit, *known.get(scope, (0, 0))) for scope, limit in limits.items()]

    async def run(self) -> None:
        while True:
            await self.beat()
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def beat(self) -> None:
        """Tells Postgres what was spent, gives back what is not needed, buries what dead processes held."""
        try:
            if self._pools or self._former:
                await self._rolled_over()
            for pool in [*self._pools.values(), *self._former]:
                await self._tend(pool)
            if time.monotonic() >= self._reap_from:
                for _ in range(100):
                    if not await self._execute(REAP, self._place):
                        break
        except Away:
            log.warning("the database does not answer for the budgets; what is in hand may be spent")

    async def close(self) -> None:
        pools = [*self._pools.values(), *self._former]
        self._pools, self._former = {}, []
        for given, pool in enumerate(pools):
            try:
                await self._sync(pool, give_back=max(0, pool.free))
                await self._execute(DROP, {"id": pool.id})
            except _Reaped:
                log.warning("an allotment had expired: it counts as spent", scope=pool.scope.kind)
            except Away:
                # Each of thousands would take its time to find that out again.
                log.warning("allotments cannot be given back: they count as spent", number=len(pools) - given)
                return

    async def _tend(self, pool: Pool) -> None:
        former = pool in self._former
        idle = time.monotonic() - pool.used_at > self._idle
        # As the budget shrinks, so does what one process may keep of it.
        surplus = max(0, pool.free if idle or former else pool.free - 2 * max(1, pool.remaining // SHARE))
        due = time.monotonic() - pool.told_at > RENEW_SECONDS
        try:
            if surplus or due or (pool.settled > pool.flushed and (idle or former)):
                await self._sync(pool, give_back=surplus)
            used = pool.reserved or pool.free or pool.wanted or pool.settled != pool.flushed
            if (idle or former) and not used:
                if former:
                    self._former.remove(pool)
                elif self._pools.get(pool.scope) is pool:
                    del self._pools[pool.scope]
                await self._execute(DROP, {"id": pool.id})
        except _Reaped:
            self._forget(pool)

    async def _current(self, scope: Scope, limit: int) -> Pool:
        await self._rolled_over()
        pool = self._pools.get(scope)
        if pool is None:
            pool = self._pools[scope] = Pool(scope, month_of(self._clock.now()), limit)
        return pool

    async def _rolled_over(self) -> None:
        """Puts a new month's pools in the place of the old ones, which settle what they have reserved."""
        month = month_of(await self._clock.looked_at())
        for scope, pool in list(self._pools.items()):
            if pool.month != month:
                self._former.append(self._pools.pop(scope))

    async def _fill(self, pool: Pool, micros: int) -> Pool:
        """A pool of the same budget that has `micros` free; nothing may be awaited before they are taken."""
        pool.wanted += micros
        try:
            for _ in range(3):
                async with pool.lock:
                    if pool.free >= micros:
                        return pool
                    if time.monotonic() < pool.refused_until and micros - pool.free >= pool.refused:
                        raise exhausted(
                            pool.scope, pool.limit, micros, self._clock.now(), soon=pool.refused_soon
                        )
                    need = micros - max(0, pool.free)
                    try:
                        granted, _, gone = await self._locked_sync(pool, need=need, wanted=pool.wanted)
                    except _Reaped:
                        self._forget(pool)
                    else:
                        if pool.free >= micros:
                            return pool
                        if not granted:
                            pool.refused, pool.refused_soon = need, gone + need <= pool.limit
                            pool.refused_until = time.monotonic() + _REFUSED_SECONDS
                            raise exhausted(
                                pool.scope, pool.limit, micros, self._clock.now(), soon=pool.refused_soon
                            )
                        continue  # others took of it meanwhile
                pool.wanted -= micros
                pool = await self._current(pool.scope, pool.limit)
                pool.wanted += micros
            raise exhausted(pool.scope, pool.limit, micros, self._clock.now(), soon=True)
        finally:
            pool.wanted -= micros

    def _forget(self, pool: Pool) -> None:
        # On the account it is lost: who waits for some of it takes from a new one.
        pool.free = 0
        if self._pools.get(pool.scope) is pool:
            del self._pools[pool.scope]
        if pool in self._former:
            self._former.remove(pool)
        log.warning("an allotment had expired: it counts as spent", scope=pool.scope.kind)

    async def _sync(self, pool: Pool, *, give_back: int = 0) -> None:
        async with pool.lock:
            await self._locked_sync(pool, give_back=min(give_back, max(0, pool.free)))

    async def _locked_sync(
        self, pool: Pool, *, need: int = 0, wanted: int = 0, give_back: int = 0
    ) -> tuple[int, int, int]:
        """Granted, remaining, spent for good. What is given back is gone here even if the answer is lost."""
        pool.free -= give_back
        place = {**self._place, "scope": pool.scope.kind, "name": pool.scope.name, "month": pool.month}
        if not pool.opened:
            # An answer that is lost leaves an empty row behind, which expires: the next try is another one.
            pool.id = uuid.uuid4()
            for statement in OPEN:
                await self._execute(statement, {**place, "id": pool.id, "expiry": EXPIRY_SECONDS})
            pool.opened = True
        pool.version += 1
        # Below nothing is what calls cost beyond their reservations: the account hears of it as settled.
        pool.free = max(0, pool.free)
        settled, keep = pool.settled, pool.reserved + pool.free
        values = {"id": pool.id, "version": pool.version, "settled": settled, "keep": keep, "need": need}
        values |= {"wanted": wanted, "limit": pool.limit, "share": SHARE, "expiry": EXPIRY_SECONDS, **place}
        row = await self._fetch(SYNC, values)
        if row is None:
            raise _Reaped
        pool.flushed, pool.told_at, pool.remaining = settled, time.monotonic(), row.remaining
        pool.free += row.granted
        if self._watch is not None:
            self._watch(pool.scope, pool.limit, row.remaining)
        return row.granted, row.remaining, row.gone

    async def _ask_time(self) -> datetime:
        said: datetime = (await self._fetch(NOW, {}))[0]
        return said

    async def _fetch(self, statement: TextClause, values: dict[str, Any]) -> Any:
        return await self._ask(statement, values, rows=True)

    async def _execute(self, statement: TextClause, values: dict[str, Any]) -> int:
        count: int = await self._ask(statement, values, rows=False)
        return count

    async def _ask(self, statement: TextClause, values: dict[str, Any], *, rows: bool) -> Any:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS), self._engine.begin() as connection:
                result = await connection.execute(statement, values)
                return result.first() if rows else result.rowcount
        except (OperationalError, InterfaceError, PoolTimeout, OSError, TimeoutError) as error:
            # Others, too, may just have come back: their allotments are not dead for that.
            self._reap_from = time.monotonic() + EXPIRY_SECONDS
            raise Away from error

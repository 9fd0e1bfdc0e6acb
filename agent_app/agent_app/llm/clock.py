"""The database's time, carried on by the monotonic clock: by it all processes change the month together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from agent_app.llm.budget import month_of

#: It is asked again after so long at the latest, so that this clock does not run away from the database's.
_LONGEST_SECONDS = 3600.0


class Away(Exception):
    """The database did not answer, or the answer was lost."""


class Clock:
    """Asks `ask` when a month begins.

    Raises:
        Away: the time was never told.
    """

    def __init__(self, ask: Callable[[], Awaitable[datetime]]) -> None:
        self._ask = ask
        #: The database's time less the monotonic one.
        self._epoch: datetime | None = None
        self._month_until = 0.0
        self._asking = asyncio.Lock()

    @property
    def is_of_this_month(self) -> bool:
        """Whether it is still the month that it was when it was looked at."""
        return time.monotonic() < self._month_until

    async def looked_at(self) -> datetime:
        """The time; it is asked for when a month may have begun."""
        if not self.is_of_this_month:
            async with self._asking:
                if not self.is_of_this_month:
                    await self._set()
        return self.now()

    def now(self) -> datetime:
        """The time, as far as it is known."""
        if self._epoch is None:
            raise Away
        return self._epoch + timedelta(seconds=time.monotonic())

    async def _set(self) -> None:
        try:
            said = await self._ask()
        except Away:
            if self._epoch is None:
                raise
            said = self.now()  # good enough to spend what is in hand
        self._epoch = said - timedelta(seconds=time.monotonic())
        begins = (month_of(said) + timedelta(days=32)).replace(day=1)
        left = datetime(begins.year, begins.month, 1, tzinfo=UTC) - said
        self._month_until = time.monotonic() + min(_LONGEST_SECONDS, left.total_seconds())


class SetClock(Clock):
    """A test's own."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        async def ask() -> datetime:
            return now()

        super().__init__(ask)
        self.now = now  # type: ignore[method-assign]  # what it is set to

    @property
    def is_of_this_month(self) -> bool:
        return False

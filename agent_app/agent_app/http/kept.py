"""What is read from elsewhere and kept: keys of clients, keys of an issuer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import structlog

from agent_app.secrets import SecretError
from agent_app.settings import SettingsError

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: However many ask for what is not there, it is read no more often than this.
SOONEST_SECONDS = 10.0
#: What is only old is not waited for longer: it can still be used.
_PATIENCE_SECONDS = 1.0


class Unusable(Exception):
    """What was read cannot be used; the message says why and holds nothing of it."""


class Kept(Generic[T]):
    """A value that is read again once it is `seconds` old, or sooner for who misses something in it.

    One that cannot be read again goes on being used, and reads do not overlap.
    """

    def __init__(
        self,
        what: str,
        read: Callable[[], Awaitable[T]],
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what = what
        self._read = read
        self._seconds = seconds
        self._clock = clock
        self._value: T | None = None
        self._read_at = self._tried_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def load(self) -> T:
        """Reads it, and lets pass what is raised."""
        self._tried_at = self._clock()
        self._value = value = await self._read()
        self._read_at = self._clock()
        return value

    async def get(self) -> T | None:
        """The value; None if it could never be read."""
        if self._value is None:
            return await self.again()
        if self._clock() - self._read_at >= self._seconds:
            # Where the last try failed, nobody waits for the next one.
            await self._try(_PATIENCE_SECONDS if self._tried_at <= self._read_at else 0)
        return self._value

    async def again(self) -> T | None:
        """The value, read anew unless that was tried just now."""
        await self._try(None)
        return self._value

    async def _try(self, patience: float | None) -> None:
        if self._reading is None or self._reading.done():
            if self._clock() - self._tried_at < SOONEST_SECONDS:
                return
            self._reading = asyncio.create_task(self._read_quietly())
        await asyncio.wait({self._reading}, timeout=patience)

    async def _read_quietly(self) -> None:
        try:
            await self.load()
        except Exception as error:  # noqa: BLE001 (what is known goes on holding)
            # Others' messages may hold anything.
            ours = isinstance(error, (Unusable, SettingsError, SecretError))
            log.warning(
                f"{self._what} could not be read", reason=str(error) if ours else type(error).__name__
            )

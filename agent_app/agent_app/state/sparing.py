"""Redis where it only saves time: an outage of it costs neither an answer nor a time-out for each."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

#: After Redis failed, how long it is left alone.
LEFT_ALONE_SECONDS = 2.0

_T = TypeVar("_T")


class Sparing:
    """Calls Redis for what can be done without it; a Redis that failed is left alone for a moment."""

    def __init__(self, failed: Callable[[], object], what: str) -> None:
        self._failed = failed
        self._what = what
        self._left_alone_until = 0.0

    async def __call__(self, call: Callable[[], Awaitable[_T]], otherwise: _T) -> _T:
        """What `call` gives, or `otherwise`."""
        if time.monotonic() < self._left_alone_until:
            return otherwise
        try:
            return await call()
        except (RedisError, OSError, ValueError) as error:
            self._left_alone_until = time.monotonic() + LEFT_ALONE_SECONDS
            self._failed()
            log.warning("Redis failed", without=self._what, reason=type(error).__name__)
            return otherwise

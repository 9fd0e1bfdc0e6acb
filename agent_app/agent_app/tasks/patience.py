"""A store that is away is waited for: what was done must not be lost because it cannot be kept now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from agent_app.state.database import is_away

log = structlog.get_logger(__name__)

_T = TypeVar("_T")

#: Between two tries; doubled each time.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0


async def patiently(call: Callable[[], Awaitable[_T]]) -> _T:
    """What `call` returns, as soon as the store answers; what is wrong with the call itself is raised."""
    pause = _FIRST_PAUSE
    while True:
        try:
            return await call()
        except Exception as error:
            if not is_away(error):
                raise
            log.warning("the store is away; trying again", reason=type(error).__name__)
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)

"""How many requests an owner may make in a minute, whichever replica answers."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_app.http.auth import GUARDED
from agent_app.problems import Problem, answer
from agent_app.state.tables import ANONYMOUS
from agent_app.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = structlog.get_logger(__name__)

#: Redis answers in well under this, or is as good as away.
_ANSWER_SECONDS = 0.25
#: After Redis failed, how long it is left alone, so that an outage does not cost every request a timeout.
_LEFT_ALONE_SECONDS = 5.0
_MINUTE_MS = 60_000
_SCRIPT = Path(__file__).with_suffix(".lua").read_text()


@dataclass(frozen=True)
class Standing:
    """Where an owner stands after a request; `seconds` until one more is free."""

    admitted: bool
    remaining: int
    seconds: int

    @classmethod
    def of(cls, admitted: int, remaining: int, wait_ms: int) -> Standing:
        # Just after it: who waits the whole seconds out is let in.
        return cls(bool(admitted), max(0, remaining), wait_ms // 1000 + 1)


class Window:
    """What request_limits.lua counts in Redis, in this process."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.time) -> None:
        self._most = per_minute
        self._clock = clock
        self._minute = 0
        self._counts: dict[str, int] = {}
        self._before: dict[str, int] = {}

    def hit(self, owner: str) -> Standing:
        """Counts a request, unless it is one too many."""
        minute, into = divmod(int(self._clock() * 1000), _MINUTE_MS)
        left = _MINUTE_MS - into
        if minute != self._minute:
            self._before = self._counts if minute == self._minute + 1 else {}
            self._minute, self._counts = minute, {}
        count, before = self._counts.get(owner, 0), self._before.get(owner, 0)
        still = before * left // _MINUTE_MS
        admitted = count + still < self._most
        if admitted:
            self._counts[owner] = count = count + 1
        wait = left - still * _MINUTE_MS / before if still else left
        return Standing.of(admitted, self._most - count - still, math.ceil(wait))


class RequestLimits:
    """A sliding minute, counted in Redis for all replicas; while Redis is away, in each process for itself.

    Args:
        per_minute: the most of one owner.
        fleet: whose Redis keys they are.
        redis: None counts in this process alone.
    """

    def __init__(self, per_minute: int, *, fleet: str, redis: Redis | None) -> None:
        self.per_minute = per_minute
        self._prefix = f"agent-app:{fleet}:requests"
        self._here = Window(per_minute)
        self._shared = None if redis is None else redis.register_script(_SCRIPT)
        self._left_alone_until = 0.0

    @property
    def counts_alone(self) -> bool:
        """Whether this process counts for itself now."""
        return self._shared is None or time.monotonic() < self._left_alone_until

    async def hit(self, owner: str) -> Standing:
        """Counts a request, unless it is one too many."""
        if self._shared is None or self.counts_alone:
            return self._here.hit(owner)
        from redis.exceptions import RedisError

        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                found = await self._shared(keys=[f"{self._prefix}:{owner}"], args=[self.per_minute])
        except (RedisError, OSError, TimeoutError) as error:
            self._left_alone_until = time.monotonic() + _LEFT_ALONE_SECONDS
            log.warning("requests are counted in this process alone", reason=type(error).__name__)
            return self._here.hit(owner)
        return Standing.of(*found)


class RateLimited:
    """Refuses an owner's requests under /v1/ beyond the limit, and tells with each how many are left."""

    def __init__(self, app: ASGIApp, limits: RequestLimits, metrics: Metrics) -> None:
        self._app = app
        self._limits = limits
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(GUARDED):
            await self._app(scope, receive, send)
            return
        standing = await self._limits.hit(scope.get("state", {}).get("owner", ANONYMOUS))
        most = self._limits.per_minute

        async def telling(message: Message) -> None:
            if message["type"] == "http.response.start":
                # draft-ietf-httpapi-ratelimit-headers-07
                headers = MutableHeaders(scope=message)
                headers["RateLimit-Limit"] = str(most)
                headers["RateLimit-Remaining"] = str(standing.remaining)
                headers["RateLimit-Reset"] = str(standing.seconds)
                headers["RateLimit-Policy"] = f"{most};w=60"
            await send(message)

        if standing.admitted:
            await self._app(scope, receive, telling)
            return
        self._metrics.requests_limited.inc()
        problem = Problem(
            429,
            f"More than {most} requests in a minute: try again in {standing.seconds} s.",
            retry_after=standing.seconds,
        )
        await answer(problem)(scope, receive, telling)

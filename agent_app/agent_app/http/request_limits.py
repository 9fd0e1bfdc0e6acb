"""How many requests an owner may make in a minute, whichever replica answers."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
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


@dataclass(frozen=True)
class Standing:
    """Where an owner stands after a request; `seconds` until one more is free."""

    admitted: bool
    remaining: int
    seconds: int


class RequestLimits:
    """A sliding window, counted in Redis for all replicas; while Redis is away, in each process for itself.

    Args:
        per_minute: the most of one owner.
        fleet: whose Redis keys they are.
        redis: None counts in this process alone.
    """

    def __init__(self, per_minute: int, *, fleet: str, redis: Redis | None) -> None:
        self.per_minute = per_minute
        self._item = RateLimitItemPerMinute(per_minute, namespace=f"agent-app:{fleet}:requests")
        self._here = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._shared: SlidingWindowCounterRateLimiter | None = None
        if redis is not None:
            # The service's own connections; what the address says is then not looked at.
            pool: Any = redis.connection_pool
            storage = RedisStorage("redis://pool:6379", implementation="redispy", connection_pool=pool)
            self._shared = SlidingWindowCounterRateLimiter(storage)
        self._left_alone_until = 0.0

    @property
    def counts_alone(self) -> bool:
        """Whether this process counts for itself now."""
        return self._shared is None or time.monotonic() < self._left_alone_until

    async def hit(self, owner: str) -> Standing:
        """Counts a request, unless it is one too many."""
        if self._shared is not None and not self.counts_alone:
            from redis.exceptions import RedisError

            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    return await self._hit(self._shared, owner)
            except (RedisError, OSError, TimeoutError) as error:
                self._left_alone_until = time.monotonic() + _LEFT_ALONE_SECONDS
                log.warning("requests are counted in this process alone", reason=type(error).__name__)
        return await self._hit(self._here, owner)

    async def _hit(self, limiter: SlidingWindowCounterRateLimiter, owner: str) -> Standing:
        admitted = await limiter.hit(self._item, owner)
        stats = await limiter.get_window_stats(self._item, owner)
        # The window ends between two seconds: who waits the whole one out is let in.
        seconds = math.floor(max(0.0, stats.reset_time - time.time())) + 1
        return Standing(admitted, max(0, stats.remaining), seconds)


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

"""What a vendor's quota lets through: requests and tokens of a model in any 60 s, all replicas together."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from agent_app.llm.call import LimitReached
from agent_app.settings import Settings, SettingsError
from agent_app.settings.llm import ModelLimits

if TYPE_CHECKING:
    from redis.asyncio import Redis

#: Vendors count by the minute.
WINDOW_SECONDS = 60.0
#: What was admitted is counted for the window and at most one bucket more: 1/60 of the quota is the price.
BUCKETS = 60
#: Somebody else's settlement may make room before the time that was foretold.
_POLL_SECONDS = 0.25

LimitsOf = Callable[[str], ModelLimits]
#: Told of the model and how many seconds a call waited for its quota.
Waited = Callable[[str, float], None]


@dataclass(eq=False)
class Used:
    """What was admitted in one bucket; `at` is the local monotonic time of the latest."""

    bucket: int
    at: float
    requests: int = 0
    tokens: int = 0


@dataclass(eq=False)
class Permit:
    """The right to one call, for so many tokens; to be settled once."""

    model: str
    tokens: int
    used: Used | None = None
    settled: bool = False


class RateLimits(Protocol):
    """Admits calls to models. `run` is to be kept going beside them, and ends by being cancelled."""

    async def acquire(self, model: str, tokens: int, *, wait: float) -> Permit:
        """Room for one request of `tokens` (prompt and longest answer) of `vendor:model`, or none at all.

        Raises:
            LimitReached: 503 when there was no room for `wait` seconds, with when there may be; 413 when
                `tokens` are more than the model's whole limit.
        """

    def settle(self, permit: Permit, tokens: int) -> None:
        """Says what the call really took; 0 if it never reached the vendor. The request itself counts on."""

    async def run(self) -> None:
        """Keeps what other processes know up to date."""


class Unlimited:
    """No limit is set."""

    async def acquire(self, model: str, tokens: int, *, wait: float) -> Permit:
        return Permit(model, tokens)

    def settle(self, permit: Permit, tokens: int) -> None:
        permit.settled = True

    async def run(self) -> None:
        await asyncio.Event().wait()


class Unreachable(Exception):
    """What counts for all replicas does not answer."""


class Line:
    """Lets calls of a model wait one after the other, so that one of them alone asks again and again."""

    def __init__(self, limits_of: LimitsOf, waited: Waited | None = None) -> None:
        self._limits_of = limits_of
        self._waited = waited
        self._lines: dict[str, asyncio.Lock] = {}

    async def acquire(self, model: str, tokens: int, *, wait: float) -> Permit:
        limits = self._limits_of(model)
        most = limits.tokens_per_minute
        if most is None and limits.requests_per_minute is None:
            return Permit(model, tokens)
        if most is not None and tokens > most:
            raise LimitReached(
                413,
                f"The call may take {tokens} tokens of {model}, whose limit is {most} a minute: shorten the "
                f"prompt, or lower AGENT_APP_MAX_OUTPUT_TOKENS, or raise AGENT_APP_LLM_TOKENS_PER_MINUTE or "
                f"the model's tokens_per_minute in AGENT_APP_LLM_LIMITS.",
            )
        line = self._lines.get(model)
        if line is None:
            line = self._lines[model] = asyncio.Lock()
        started = time.monotonic()
        if not line.locked():
            try:
                permit = await self._try(model, limits, tokens)
            except Unreachable:
                # To find out may have taken the whole time there was.
                if time.monotonic() - started >= wait:
                    raise _unreachable(model) from None
                permit = 0.0
            if isinstance(permit, Permit):
                return permit
        try:
            return await self._in_line(line, model, limits, tokens, started + wait)
        finally:
            if self._waited is not None:
                self._waited(model, time.monotonic() - started)

    async def _try(self, model: str, limits: ModelLimits, tokens: int) -> Permit | float:
        """A permit, or the seconds until there may be one."""
        raise NotImplementedError

    async def _in_line(
        self, line: asyncio.Lock, model: str, limits: ModelLimits, tokens: int, deadline: float
    ) -> Permit:
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                await line.acquire()
        except TimeoutError:
            raise _reached(model, limits, WINDOW_SECONDS / 4) from None
        try:
            while True:
                unreachable, told = False, 0.0
                try:
                    permit = await self._try(model, limits, tokens)
                except Unreachable:
                    unreachable = True
                else:
                    if isinstance(permit, Permit):
                        return permit
                    told = permit
                left = deadline - time.monotonic()
                if left <= 0:
                    raise _unreachable(model) if unreachable else _reached(model, limits, told)
                pause = _POLL_SECONDS if unreachable else min(max(told, 0.005), _POLL_SECONDS)
                # Jitter, so that the replicas' first in line do not ask in step.
                await asyncio.sleep(min(left, pause * random.uniform(0.6, 1.1)))  # noqa: S311
        finally:
            line.release()


class MemoryRateLimits(Line):
    """The limits of this process alone, where there is no Redis that replicas could share."""

    def __init__(
        self,
        limits_of: LimitsOf,
        *,
        waited: Waited | None = None,
        window: float = WINDOW_SECONDS,
        buckets: int = BUCKETS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(limits_of, waited)
        self._span = window / buckets
        self._buckets = buckets
        self._clock = clock
        self._windows: dict[str, deque[Used]] = {}

    async def _try(self, model: str, limits: ModelLimits, tokens: int) -> Permit | float:
        now = self._clock()
        current = math.floor(now / self._span)
        window = self._windows.setdefault(model, deque())
        while window and window[0].bucket < current - self._buckets:
            window.popleft()
        requests = sum(used.requests for used in window) + 1
        total = sum(used.tokens for used in window) + tokens
        most_requests = limits.requests_per_minute or math.inf
        most_tokens = limits.tokens_per_minute or math.inf
        for used in window:
            if requests <= most_requests and total <= most_tokens:
                break
            requests -= used.requests
            total -= used.tokens
            wait = (used.bucket + self._buckets + 1) * self._span - now
            if requests <= most_requests and total <= most_tokens:
                return wait
        if not window or window[-1].bucket != current:
            window.append(Used(current, now))
        window[-1].requests += 1
        window[-1].tokens += tokens
        return Permit(model, tokens, window[-1])

    def settle(self, permit: Permit, tokens: int) -> None:
        if permit.used is None or permit.settled:
            return
        permit.settled = True
        more = tokens - permit.tokens
        window = self._windows[permit.model]
        if more > 0:
            window.append(Used(math.floor(self._clock() / self._span), self._clock(), 0, more))
        else:
            permit.used.tokens += more

    async def run(self) -> None:
        await asyncio.Event().wait()


def limits_of(settings: Settings) -> LimitsOf:
    """The limits of `vendor:model`: its own, in place of those of every model.

    Raises:
        SettingsError: AGENT_APP_LLM_LIMITS names something that is no `vendor:model`.
    """
    wrong = sorted(name for name in settings.llm_limits if ":" not in name)
    if wrong:
        raise SettingsError(
            f"AGENT_APP_LLM_LIMITS has {', '.join(map(repr, wrong))}: its keys are vendor:model, such as "
            f"'openai:gpt-5-mini'. Name the vendor."
        )
    general = ModelLimits(
        requests_per_minute=settings.llm_requests_per_minute, tokens_per_minute=settings.llm_tokens_per_minute
    )
    return lambda model: settings.llm_limits.get(model, general)


def choose(
    settings: Settings, redis: Redis | None, models: Iterable[str] = (), waited: Waited | None = None
) -> RateLimits:
    """The limits that the settings ask for.

    Args:
        settings: the limits.
        redis: None keeps them in this process alone.
        models: each `vendor:model` that will be called, so that its window is open before the first call.
        waited: told how long calls waited.

    Raises:
        SettingsError: see `limits_of`.
    """
    of = limits_of(settings)
    general = (settings.llm_requests_per_minute, settings.llm_tokens_per_minute)
    if general == (None, None) and not settings.llm_limits:
        return Unlimited()
    if redis is None:
        return MemoryRateLimits(of, waited=waited)
    from agent_app.llm.redis_limits import RedisRateLimits

    quota = (
        settings.environment if settings.llm_quota is None else f"{settings.environment}/{settings.llm_quota}"
    )
    return RedisRateLimits(redis, quota, of, models=models, waited=waited)


def _reached(model: str, limits: ModelLimits, seconds: float) -> LimitReached:
    asked = [
        f"{most} {what} a minute"
        for most, what in ((limits.requests_per_minute, "requests"), (limits.tokens_per_minute, "tokens"))
        if most is not None
    ]
    return LimitReached(
        503,
        f"The limit of {model}, {' and '.join(asked)} for all replicas together, is used up; try later.",
        retry_after=max(1, math.ceil(seconds)),
    )


def _unreachable(model: str) -> LimitReached:
    detail = f"The limit of {model} cannot be checked: Redis does not answer; try again in a few seconds."
    return LimitReached(503, detail, retry_after=5)

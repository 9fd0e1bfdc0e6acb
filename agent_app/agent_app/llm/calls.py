"""Calls of models: within limits and budgets, tried again, replaced by the next one, settled and counted."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic_ai.usage import RequestUsage

from agent_app.llm import failure
from agent_app.llm.breaker import Breaker
from agent_app.llm.budget import MICROS, Budget, Reservation
from agent_app.llm.call import BudgetExhausted, Caller, LlmProblem
from agent_app.llm.failure import Failure
from agent_app.llm.limits import Permit, RateLimits
from agent_app.llm.prices import Prices
from agent_app.llm.usage import Ledger
from agent_app.settings.llm import LlmSettings
from agent_app.telemetry.metrics import Metrics

_BUSY = frozenset({429, 503, 529})
_BUSY_SECONDS = 10
#: The longest that who asked is told to wait, whatever a vendor says.
_LONGEST_WAIT_SECONDS = 86_400

_T = TypeVar("_T")
#: One try: asks this model; what it opens goes onto the stack, which the caller closes.
Ask = Callable[[Any, AsyncExitStack], Awaitable[_T]]


@dataclass(frozen=True)
class Candidate:
    """A model that may answer, one for the process."""

    #: `vendor:model`, by which its limits and prices are told.
    name: str
    #: A pydantic-ai model, of texts or of embeddings.
    model: Any
    breaker: Breaker

    @property
    def short(self) -> str:
        """The model's name without its vendor."""
        return str(self.model.model_name)


@dataclass(frozen=True)
class Size:
    """Tokens of a call: its prompt as estimated and at most, and the longest answer."""

    estimate: int
    most: int
    answer: int = 0


@dataclass(frozen=True, eq=False)
class Charge:
    """What a call of a vendor may cost, until it is settled."""

    candidate: Candidate
    caller: Caller
    permit: Permit
    reservation: Reservation
    began: float


@dataclass(frozen=True)
class Cost:
    """What a call took, as settled."""

    usage: RequestUsage
    micros: int


class _Refused(Exception):
    """This candidate does not answer this call."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class Calls:
    """One for the process. Money is set aside before the vendor's quota is: a refusal takes none of it."""

    def __init__(
        self,
        settings: LlmSettings,
        *,
        limits: RateLimits,
        budget: Budget,
        prices: Prices,
        ledger: Ledger,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._limits = limits
        self._budget = budget
        self._prices = prices
        self._ledger = ledger
        self._metrics = metrics

    async def first(
        self, candidates: Sequence[Candidate], caller: Caller, size: Size, ask: Ask[_T], stack: AsyncExitStack
    ) -> tuple[Charge, _T]:
        """The answer of the first candidate that gives one; `settle` or `give_up` must follow.

        Raises:
            LlmProblem: none answered, or quota or budget did not let it be asked.
        """
        failed: list[tuple[Candidate, Failure]] = []
        for candidate in candidates:
            try:
                return await self._answer(candidate, caller, size, ask, stack)
            except _Refused as refused:
                failed.append((candidate, refused.failure))
                if refused.failure.callers_fault:
                    break
        raise problem(failed)

    def settle(self, charge: Charge, usage: RequestUsage) -> Cost:
        """The model answered: says what it took; what it does not tell counts as all that was set aside."""
        charge.candidate.breaker.worked()
        try:
            micros = self._prices.micros(charge.candidate.name, usage)
        except ValueError:
            micros = -1  # what was told cannot be, such as more tokens from a cache than there were
        # No prompt takes no tokens.
        if usage.input_tokens <= 0 or usage.output_tokens < 0 or micros < 0:
            return self._whole(charge, "answered")
        used = usage.input_tokens + usage.output_tokens
        return self._close(charge, usage, "answered", tokens=used, micros=micros)

    def give_up(self, charge: Charge, why: Failure | None) -> Cost:
        """There is no whole answer; None: through no fault of the model's, as when who asked has left."""
        if why is None or why.callers_fault:
            charge.candidate.breaker.dropped()
        else:
            charge.candidate.breaker.failed()
        if why is None or why.may_have_counted:
            return self._whole(charge, "failed")  # what the vendor made of it is not known
        return self._close(charge, RequestUsage(), "failed", tokens=0, micros=0)

    def _whole(self, charge: Charge, outcome: str) -> Cost:
        tokens, micros = charge.permit.tokens, charge.reservation.micros
        return self._close(charge, RequestUsage(), outcome, tokens=tokens, micros=micros)

    def _close(self, charge: Charge, usage: RequestUsage, outcome: str, *, tokens: int, micros: int) -> Cost:
        """Awaits nothing: no cancellation can come between."""
        candidate, caller, metrics = charge.candidate, charge.caller, self._metrics
        self._limits.settle(charge.permit, tokens)
        self._budget.settle(charge.reservation, micros)
        self._ledger.record(caller, candidate.name, usage, micros, outcome)
        short = candidate.short
        metrics.llm_requests.labels(short, outcome).inc()
        metrics.llm_request_seconds.labels(short).observe(time.perf_counter() - charge.began)
        metrics.llm_tokens.labels(short, "input").inc(usage.input_tokens)
        metrics.llm_tokens.labels(short, "output").inc(usage.output_tokens)
        metrics.llm_cost.labels(caller.agent, short).inc(micros / MICROS)
        return Cost(usage, micros)

    async def _answer(
        self, candidate: Candidate, caller: Caller, size: Size, ask: Ask[_T], stack: AsyncExitStack
    ) -> tuple[Charge, _T]:
        """Asks until it answers, or until trying again is not worth it."""
        settings, attempt = self._settings, 0
        while True:
            attempt += 1
            if not candidate.breaker.lets():
                left = candidate.breaker.seconds_left
                raise _Refused(Failure("failed too often and is left alone for now", retry_after=left))
            try:
                return await self._attempt(candidate, caller, size, ask, stack)
            except _Refused as refused:
                why = refused.failure
            wait = None
            if why.passes and attempt < settings.model_attempts:
                base, longest = settings.model_backoff_seconds, settings.model_backoff_limit
                wait = failure.pause(attempt, base, longest, why.retry_after)
            if wait is None:
                raise _Refused(why)
            await asyncio.sleep(wait)

    async def _attempt(
        self, candidate: Candidate, caller: Caller, size: Size, ask: Ask[_T], stack: AsyncExitStack
    ) -> tuple[Charge, _T]:
        """One call within budget and limits."""
        charge = await self._admitted(candidate, caller, size)
        try:
            async with asyncio.timeout(self._settings.model_timeout):
                return charge, await ask(candidate.model, stack)
        except BaseException as error:
            why = failure.of(error) if isinstance(error, Exception) else None
            self.give_up(charge, why)
            if why is None:
                raise
            raise _Refused(why) from None

    async def _admitted(self, candidate: Candidate, caller: Caller, size: Size) -> Charge:
        reservation: Reservation | None = None
        try:
            money = self._prices.at_most(candidate.name, size.most, size.answer)
            reservation = await self._budget.reserve(caller, money)
            permit = await self._limits.acquire(
                candidate.name, size.estimate + size.answer, wait=self._settings.llm_wait_seconds
            )
        except BaseException as error:
            candidate.breaker.dropped()
            if isinstance(error, BudgetExhausted):
                self._metrics.llm_budget_refusals.labels(error.extensions["budget"]).inc()
            if reservation is not None:
                self._budget.settle(reservation, 0)
            raise
        return Charge(candidate, caller, permit, reservation, time.perf_counter())


def problem(failed: Sequence[tuple[Candidate, Failure]]) -> LlmProblem:
    """What who asked is told."""
    # A vendor's body may repeat the prompt or part of the key: the status is enough.
    said = "; ".join(f"The model {candidate.short} {why.reason}" for candidate, why in failed)
    failures = [why for _, why in failed]
    waits = [why.retry_after for why in failures if why.retry_after is not None]
    if any(why.status in _BUSY or why.retry_after is not None for why in failures):
        wait = math.ceil(min(*waits, _LONGEST_WAIT_SECONDS)) if waits else _BUSY_SECONDS
        return LlmProblem(503, f"{said}.", retry_after=max(1, wait))
    return LlmProblem(504 if all(why.timed_out for why in failures) else 502, f"{said}.")

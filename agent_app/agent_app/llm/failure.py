"""Why a model did not answer, and whether trying again can help; it holds neither prompts nor keys."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

#: What a vendor answers when it is busy or broken for the moment (529: Anthropic's overload).
_PASSING = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
#: What is wrong with the request itself: no other try and no other model mends it.
_CALLERS = frozenset({400, 413, 422})


@dataclass(frozen=True)
class Failure:
    """One attempt's."""

    reason: str
    #: The HTTP status that it answered with, if it answered.
    status: int | None = None
    retry_after: float | None = None
    timed_out: bool = False

    @property
    def passes(self) -> bool:
        """Whether the same model may answer soon."""
        return self.status is None or self.status in _PASSING

    @property
    def may_have_counted(self) -> bool:
        """Whether the vendor may count tokens of it: it was not refused."""
        return self.status is None

    @property
    def callers_fault(self) -> bool:
        """Whether no model would answer this."""
        return self.status in _CALLERS


#: It answered, with what cannot be used.
NO_ANSWER = Failure("answered what is no answer")


def of(error: Exception) -> Failure | None:
    """What `error` means; None for one that is not the model's."""
    from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError, UnexpectedModelBehavior

    if isinstance(error, TimeoutError):
        return Failure("did not answer in time", timed_out=True)
    if isinstance(error, ModelHTTPError):
        return Failure(
            f"answered with HTTP status {error.status_code}", error.status_code, _retry_after(error)
        )
    if isinstance(error, ModelAPIError):
        timed_out = _timed_out(error)
        return Failure("did not answer in time" if timed_out else "could not be reached", timed_out=timed_out)
    if isinstance(error, (UnexpectedModelBehavior, ValueError, LookupError)):
        return NO_ANSWER  # pydantic-ai takes an answer's first choice without a look whether there is one
    if _is_transport(error):
        return Failure("broke off its answer")
    return None


def _timed_out(error: BaseException | None) -> bool:
    # By what lies beneath: OpenAI's SDK calls any connection that breaks off a timeout.
    while error is not None and not isinstance(error, TimeoutError):
        error = error.__cause__
    return error is not None


def _is_transport(error: BaseException) -> bool:
    # The SDKs let a connection that breaks within an answer through as their HTTP library's own error.
    modules = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    return bool(modules & {"aiohttp", "httpx", "httpx2", "openai", "anthropic"})


def _retry_after(error: BaseException) -> float | None:
    response: Any = getattr(error.__cause__, "response", None)
    text = response.headers.get("retry-after") if response is not None else None
    return None if text is None else parsed(text)


def parsed(text: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> float | None:
    """The seconds of a Retry-After header, a number or a date (RFC 9110, 10.2.3); None if it is neither."""
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(text) - now()).total_seconds())
    except (ValueError, TypeError):
        return None


def pause(attempt: int, base: float, longest: float, retry_after: float | None) -> float | None:
    """Seconds to wait after the `attempt`-th failure (from 1); None where it is not worth waiting.

    Exponential with full jitter, which keeps callers that failed together from coming back together
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/); on top of Retry-After.
    """
    most = min(longest, base * 2.0 ** min(attempt - 1, 100))
    jitter = random.uniform(0, most)  # noqa: S311 (not a secret)
    if retry_after is None:
        return jitter
    return retry_after + jitter if retry_after <= longest else None

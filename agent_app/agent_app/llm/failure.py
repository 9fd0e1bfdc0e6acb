"""Why a model did not answer, and whether trying again can help; it holds neither prompts nor keys."""

from __future__ import annotations

import math
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

#: What a vendor answers when it is busy or broken for now (529 is Anthropic's, 520 to 524 are Cloudflare's).
_PASSING = frozenset({408, 409, 429, 500, 502, 503, 504, 520, 522, 524, 529})
#: What a gateway answers that has asked the vendor, and has no answer: the vendor may have made one.
_LOST = frozenset({408, 502, 504, 520, 522, 524})
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
    #: The request never left here.
    unsent: bool = False
    #: It came within an answer that had begun.
    in_stream: bool = False

    @property
    def passes(self) -> bool:
        """Whether the same model may answer soon."""
        return self.status is None or self.status in _PASSING

    @property
    def may_have_counted(self) -> bool:
        """Whether the vendor may count tokens of it: it was neither refused nor never sent."""
        return not self.unsent and (self.status is None or self.status in _LOST or self.in_stream)

    @property
    def callers_fault(self) -> bool:
        """Whether no model would answer this."""
        return self.status in _CALLERS


#: It answered, with what cannot be used.
NO_ANSWER = Failure("answered what is no answer")


def of(error: Exception) -> Failure | None:
    """What `error` means; None for one that is not the model's."""
    from pydantic_ai.exceptions import (
        ModelAPIError,
        ModelHTTPError,
        ModelQuotaExceededError,
        UnexpectedModelBehavior,
    )

    if isinstance(error, TimeoutError):
        return Failure("did not answer in time", timed_out=True)
    if isinstance(error, ModelHTTPError):
        status = error.status_code
        said = f"answered with HTTP status {status}"
        if isinstance(error, ModelQuotaExceededError):
            # Anthropic says so with 400, OpenAI with 429: here it is what it means, and another model may do.
            status, said = 402, f"answered that its account has no credit left (HTTP status {status})"
        return Failure(said, status, _retry_after(error), in_stream=error.in_stream)
    if isinstance(error, ModelAPIError) and _never_connected(error):
        return Failure("could not be reached", unsent=True)
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


def _never_connected(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, (ConnectionRefusedError, socket.gaierror)):
        # Of other errors the context may be what somebody else met with before.
        error = error.__cause__ or (error.__context__ if _is_transport(error) else None)
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
        seconds = float(text)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(text) - now()).total_seconds())
    except (ValueError, TypeError, OverflowError):
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

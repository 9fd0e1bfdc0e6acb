"""The model's vendor as its limit shows: so many calls a minute for all workers of an arm, or a 429."""

from __future__ import annotations

from collections import deque

MINUTE = 60.0
#: Of a call, and of a second: what floating point numbers are off by.
_ROUNDING = 1e-6


class Bucket:
    """The vendor's side: it fills evenly, and is full at first.

    Args:
        a_minute: the calls that are answered.
        holds: of how many seconds it holds the calls.
    """

    def __init__(self, a_minute: float, *, holds: float = MINUTE) -> None:
        self._a_second = a_minute / MINUTE
        self._most = self._left = self._a_second * holds
        self._at = 0.0

    def take(self, now: float) -> bool:
        """Whether a call is answered; if not, it is a 429."""
        self._left = min(self._most, self._left + (now - self._at) * self._a_second)
        self._at = now
        if self._left < 1 - _ROUNDING:
            return False
        self._left -= 1
        return True


class Window:
    """The callers' side, as the agent service has it for all its replicas: so many in any minute, or wait."""

    def __init__(self, a_minute: int) -> None:
        self._a_minute = a_minute
        self._admitted: deque[float] = deque()

    def admit(self, now: float) -> float:
        """For how long a call has to wait; 0: it is admitted."""
        while self._admitted and now - self._admitted[0] >= MINUTE - _ROUNDING:
            self._admitted.popleft()
        if len(self._admitted) < self._a_minute:
            self._admitted.append(now)
            return 0.0
        return self._admitted[0] + MINUTE - now


def retry_seconds(attempt: int, chance: float) -> float:
    """How long OpenAI's and Anthropic's SDKs wait after a 429 that does not say: 0.5 s, doubled up to 8 s.

    Args:
        attempt: how often the call has been refused, from 0.
        chance: from 0 to 1: up to a quarter less.
    """
    return min(0.5 * 2.0**attempt, 8.0) * (1 - 0.25 * chance)


def slots_kept_busy(a_minute: float, *, calls: float, seconds: float) -> float:
    """How many tasks at once the limit sustains, each making so many calls in so many seconds."""
    return a_minute / (calls * MINUTE / seconds)

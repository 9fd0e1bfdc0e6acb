"""Leaves a model alone that fails time and again, so that who asks does not wait for it each time."""

from __future__ import annotations

import time
from collections.abc import Callable


class Breaker:
    """Opens after `failures` in a row; `seconds` later one call tries the model, and its outcome decides.

    Of one process: replicas learn of an outage each for themselves, within a few calls.
    """

    def __init__(self, failures: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = failures
        self._seconds = seconds
        self._clock = clock
        self._failures = 0
        self._open_until = 0.0
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether the model failed too often and nothing has worked since."""
        return self._failures >= self._most

    def lets(self) -> bool:
        """Whether a call may try the model now; `worked` or `failed` or `dropped` must follow a True."""
        if not self.is_open:
            return True
        if self._probing or self._clock() < self._open_until:
            return False
        self._probing = True
        return True

    def worked(self) -> None:
        """The call was answered."""
        self._failures, self._probing = 0, False

    def failed(self) -> None:
        """The call was not answered, and it was not the caller's fault."""
        self._failures, self._probing = self._failures + 1, False
        if self.is_open:
            self._open_until = self._clock() + self._seconds

    def dropped(self) -> None:
        """The call ended without telling anything of the model."""
        self._probing = False

    @property
    def seconds_left(self) -> float:
        """How long it is left alone still."""
        return max(0.0, self._open_until - self._clock()) if self.is_open else 0.0

"""How long work on this machine says what it is doing: one call as each part of it begins."""

from __future__ import annotations

from typing import Protocol


class Report(Protocol):
    """Called as a part of the work begins, with roughly how many seconds it takes where that is known."""

    def __call__(self, message: str, seconds: float | None = None, /) -> None: ...


def silent(message: str, seconds: float | None = None, /) -> None:
    """Says nothing."""

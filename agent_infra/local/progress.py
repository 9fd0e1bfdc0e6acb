"""How long work on this machine says what it is doing: one call as each part of it begins."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Protocol

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner


class Report(Protocol):
    """Called as a part of the work begins, with roughly how many seconds it takes where that is known."""

    def __call__(self, message: str, seconds: float | None = None, /) -> None: ...


def silent(message: str, seconds: float | None = None, /) -> None:
    """Says nothing."""


class PlainProgress:
    """A line as each part begins and one as it ends, for logs and pipes."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = stream or sys.stderr
        self._message: str | None = None
        self._started = 0.0

    def __call__(self, message: str, seconds: float | None = None, /) -> None:
        self.end()
        self._message, self._started = message, time.monotonic()
        self._line(f"{message}{_about(seconds)} ...")

    def end(self) -> None:
        """The last part is over; one that took no time gets no line."""
        took = time.monotonic() - self._started
        if self._message is not None and took >= 2:
            self._line(f"{self._message}: {took:.0f} s")
        self._message = None

    def _line(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()


class RichProgress:
    """A spinner with the seconds gone by, for terminals."""

    def __init__(self) -> None:
        self._message = ""
        self._seconds: float | None = None
        self._started = time.monotonic()

    def __call__(self, message: str, seconds: float | None = None, /) -> None:
        self._message, self._seconds, self._started = message, seconds, time.monotonic()

    def render(self) -> Spinner | str:
        if not self._message:
            return ""
        gone = time.monotonic() - self._started
        return Spinner("dots", text=f"{self._message}{_about(self._seconds)}: {gone:.0f} s")


@contextmanager
def progress(console: Console | None = None) -> Iterator[Report]:
    """The report for this terminal, or a plain one where standard error is none."""
    console = console or Console(stderr=True)
    if not console.is_terminal:
        plain = PlainProgress(console.file)
        try:
            yield plain
        finally:
            plain.end()
        return
    rich = RichProgress()
    with Live(console=console, get_renderable=rich.render, refresh_per_second=8, transient=True):
        yield rich


def _about(seconds: float | None) -> str:
    return f" (about {seconds:.0f} s)" if seconds and seconds >= 2 else ""

"""How a run looks while it goes on: live on a terminal, line by line elsewhere, objects with `--json`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from agent_infra.automation import Diagnostic, Event, Finished, Phase, Progress, Step, UpdateResult

_MARKS = {
    "create": ("+", "green"),
    "update": ("~", "yellow"),
    "delete": ("-", "red"),
    "replace": ("±", "magenta"),
    "create-replacement": ("±", "magenta"),
    "delete-replaced": ("-", "red"),
    "import": ("=", "cyan"),
}
#: Steps that change nothing are counted, not shown.
_QUIET = frozenset({"same", "read", "refresh", "replace", "discard"})


class Display(Protocol):
    """Follows one run; used as a context manager around it."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def on_event(self, event: Event) -> None: ...

    def result(self, result: UpdateResult) -> None: ...


def summary(result: UpdateResult) -> str:
    """One line such as `up: 12 created, 60 unchanged in 14 s`."""
    words = {"create": "created", "update": "updated", "delete": "deleted", "same": "unchanged"}
    verb = {"preview": "to be "}.get(result.action, "")
    counts = [
        f"{count} {verb if op != 'same' else ''}{words.get(op, op)}"
        for op, count in sorted(result.changes.items())
        if count
    ]
    told = ", ".join(counts) or "nothing to do"
    return f"{result.action} {result.environment}: {told} in {result.seconds:.0f} s"


class JsonDisplay:
    """One JSON object a line on standard output."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def on_event(self, event: Event) -> None:
        self._write(event.as_json())

    def result(self, result: UpdateResult) -> None:
        self._write(result.as_json())

    def _write(self, content: dict[str, object]) -> None:
        sys.stdout.write(json.dumps(content, default=str) + "\n")
        sys.stdout.flush()


class PlainDisplay:
    """A line for each thing that happens, without control characters."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def on_event(self, event: Event) -> None:
        text = line(event)
        if text is not None:
            elapsed = f"{time.monotonic() - self._started:6.1f}s "
            self._console.print(Text(elapsed, style="dim") + text, soft_wrap=True)

    def result(self, result: UpdateResult) -> None:
        self._console.print(Text(summary(result), style="bold"), soft_wrap=True)


class LiveDisplay(PlainDisplay):
    """What is finished scrolls by; what is going on stays below, with how long it has been."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._phase: Phase | None = None
        self._phase_started = time.monotonic()
        self._open: dict[str, Step] = {}
        self._progress: dict[str, str] = {}
        self._unchanged = 0
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=8, transient=True)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def on_event(self, event: Event) -> None:
        if isinstance(event, Phase):
            self._phase, self._phase_started = event, time.monotonic()
            return
        if isinstance(event, Progress):
            self._progress[event.urn] = event.message
            return
        if isinstance(event, Step):
            if event.done:
                self._open.pop(event.urn, None)
                self._progress.pop(event.urn, None)
                self._unchanged += event.op == "same"
            elif event.op not in _QUIET:
                self._open[event.urn] = event
            self._phase = None
        super().on_event(event)

    def _render(self) -> RenderableType:
        seconds = time.monotonic() - self._phase_started
        if self._phase is not None:
            about = f" of about {self._phase.seconds:.0f} s" if self._phase.seconds else ""
            return Spinner("dots", text=f"{self._phase.message} ({seconds:.0f} s{about})")
        going_on = [
            Text(f"  {step.op} {_short(step)} {self._progress.get(step.urn, '')}", style="dim")
            for step in list(self._open.values())[:6]
        ]
        return Group(Spinner("dots", text=f"{self._unchanged} unchanged so far"), *going_on)


def line(event: Event) -> Text | None:
    """An event as one line, or None for what is only counted."""
    match event:
        case Phase(message=message, seconds=seconds):
            about = f" (about {seconds:.0f} s)" if seconds and seconds >= 2 else ""
            return Text(f"{message}{about} ...")
        case Step(done=True, op=op) if op not in _QUIET:
            mark, colour = _MARKS.get(op, ("*", "white"))
            if event.failed:
                return Text(f"! {op} failed: {_short(event)}", style="bold red")
            return Text(f"{mark} {_short(event)}", style=colour)
        case Diagnostic(severity=severity):
            style = {"error": "bold red", "warning": "yellow"}.get(severity, "dim")
            return Text(f"{severity}: {event.named}", style=style)
        case Progress(message=message, name=name) if message:
            return Text(f"  {name}: {message}", style="dim")
        case Finished() | _:
            return None


def _short(step: Step) -> str:
    kind = step.type.rsplit(":", 1)[-1]
    package = step.type.split(":", 1)[0]
    return f"{step.name} ({package} {kind})"


def choose(*, as_json: bool) -> Display:
    """The display that fits where the output goes."""
    if as_json:
        return JsonDisplay()
    console = Console(stderr=True, highlight=False)
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(console)


def table(console: Console, title: str, columns: Iterable[str], rows: Sequence[Sequence[str]]) -> None:
    """A table under its title, without lines."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*row)
    console.print()
    console.print(made)


def mib(size: int | None) -> str:
    """A size in memory; nothing for none."""
    return f"{size / 2**20:.0f} MiB" if size else ""

"""Ctrl-C while the engine runs."""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

    from agent_infra.automation import Event
    from agent_infra.automation.events import Listener


class Interruption:
    """How often Ctrl-C was pressed, and what each does."""

    def __init__(self) -> None:
        self.pressed = 0

    def on_signal(self, _signal: int, _frame: FrameType | None) -> None:
        """The first lets the engine, which gets it too, end in good order; the second ends it at once.

        Raises:
            KeyboardInterrupt: the engine does not run.
        """
        self.pressed += 1
        engines = _engines()
        if not engines:
            raise KeyboardInterrupt
        if self.pressed == 1:
            sys.stderr.write("\nStopping after what is going on now; press Ctrl-C again to stop at once.\n")
            return
        for engine in engines:
            _kill(engine)

    def quieten(self, listener: Listener) -> Listener:
        """The same listener, to whom nothing is told of what was cut off in the middle."""
        from agent_infra.automation import Diagnostic

        def listen(event: Event) -> None:
            if not (self.pressed and isinstance(event, Diagnostic)):
                listener(event)

        return listen


def _engines() -> list[psutil.Process]:
    import psutil

    return [child for child in psutil.Process().children() if child.name() == "pulumi"]


def _kill(engine: psutil.Process) -> None:
    import psutil

    with suppress(psutil.NoSuchProcess):
        for process in [engine, *engine.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()


@contextmanager
def interruptible(action: str) -> Iterator[Interruption]:
    """Makes Ctrl-C end a run in good order.

    Raises:
        UpdateCancelled: it was pressed, and the run did not reach its end.
    """
    from agent_infra.automation import UpdateFailed
    from agent_infra.automation.errors import cancelled

    interruption = Interruption()
    before = signal.signal(signal.SIGINT, interruption.on_signal)
    try:
        with warnings.catch_warnings():
            # What the automation API says of an engine that was ended at once.
            warnings.filterwarnings("ignore", message="Error in event stream")
            yield interruption
    except (UpdateFailed, KeyboardInterrupt):
        if interruption.pressed:
            raise cancelled(action) from None
        raise
    finally:
        signal.signal(signal.SIGINT, before)

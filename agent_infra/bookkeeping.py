"""Pulumi's bookkeeping of `Output`s, so that a program's time grows as its resources do, not as their square.

The SDK keeps every `Output` that is not known yet in a deque, from which each is removed by search; when a
program has ended it waits for one of them at a time, and looks at all of them again after each. For one
fleet that is nothing, of a hundred it is a third of the program's time (ADR 14). Here they are found by
what they are, and are waited for all at once. Errors are raised as before.

Meanwhile the garbage collector looks through all of it less often: there is next to nothing to collect in a
program that makes things and ends, and looking took two fifths of its time.
"""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from pulumi.runtime import settings

#: As many new objects as a few fleets make; the interpreter's own first number is 700.
_COLLECT_AFTER = (100_000, 20, 100)


class _Outstanding:
    """What the SDK uses of its deque: a removal that does not search, and one task that stands for all."""

    def __init__(self, futures: Iterable[Any]) -> None:
        self._futures: dict[Any, None] = dict.fromkeys(futures)
        self._threshold = gc.get_threshold()
        gc.set_threshold(*_COLLECT_AFTER)

    def append(self, future: Any) -> None:
        self._futures[future] = None

    def extend(self, futures: Iterable[Any]) -> None:
        self._futures.update(dict.fromkeys(futures))

    def remove(self, future: Any) -> None:
        try:
            del self._futures[future]
        except KeyError:
            raise ValueError("not outstanding") from None

    def clear(self) -> None:
        self._futures = {}

    def __len__(self) -> int:
        return len(self._futures)

    def __iter__(self) -> Iterator[Any]:
        """The SDK takes what there is, clears, and waits for the first of it."""
        return iter([asyncio.ensure_future(self._known(self._futures))] if self._futures else [])

    async def _known(self, futures: dict[Any, None]) -> None:
        """Until all of them are known, or one failed, whose error it raises."""
        try:
            while pending := [future for future in futures if not future.done()]:
                done, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_EXCEPTION)
                for future in done:
                    await future
            for future in list(futures):
                await future
        finally:
            gc.set_threshold(*self._threshold)


def keep_linear() -> None:
    """Once in each program, from its first component on; nothing where the SDK keeps its books otherwise."""
    ambient: Any = settings.SETTINGS
    if type(getattr(ambient, "outputs", None)) is deque:
        with ambient.lock:
            ambient.outputs = _Outstanding(ambient.outputs)

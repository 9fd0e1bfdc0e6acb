"""What a task has done already."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable

from pydantic import JsonValue

from agent_app import storable
from agent_app.tasks.patience import patiently
from agent_app.tasks.task import Task, TaskStore


class KeptSteps:
    """The steps of one task, kept in its store under this try's lease."""

    def __init__(self, store: TaskStore, task: Task) -> None:
        self._store = store
        self._task = task
        self._kept: set[str] = set()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def once(self, name: str, work: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
        async with self._locks[name]:  # an agent may ask for one step twice at once
            # A first attempt has kept nothing but what it kept itself.
            if self._task.attempts > 1 or name in self._kept:
                found, result = await patiently(lambda: self._store.step(self._task, name))
                if found:
                    return _json(result)
            # As it will be read back: a retry must not see another type than the first try did.
            done = json.loads(storable.dumped(await work()))
            kept = await patiently(lambda: self._store.keep_step(self._task, name, done))
            self._kept.add(name)
            return _json(kept)


def _json(value: object) -> JsonValue:
    kept: JsonValue = value  # type: ignore[assignment]  # JSON by the column's type
    return kept

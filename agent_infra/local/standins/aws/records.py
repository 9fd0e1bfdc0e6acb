"""Resources that moto has no notion of: kept in one JSON file, and gone when moto's memory is."""

from __future__ import annotations

import fcntl
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from agent_infra.local.environment import LocalEnvironment, write_private
from agent_infra.local.standins.server import Properties

Resources = dict[str, dict[str, Properties]]


class Records:
    """Type -> id -> inputs and outputs. Another generation of moto's memory is an empty file."""

    def __init__(self, environment: LocalEnvironment) -> None:
        self._environment = environment
        self._thread_lock = threading.Lock()

    def get(self, type: str, id: str) -> Properties | None:
        with self._locked() as resources:
            return resources.get(type, {}).get(id)

    def of_type(self, type: str) -> dict[str, Properties]:
        with self._locked() as resources:
            return resources.get(type, {})

    def put(self, type: str, id: str, properties: Properties) -> None:
        with self._locked() as resources:
            resources.setdefault(type, {})[id] = properties
            self._write(resources)

    def remove(self, type: str, id: str) -> None:
        with self._locked() as resources:
            if resources.get(type, {}).pop(id, None) is not None:
                self._write(resources)

    @contextmanager
    def _locked(self) -> Iterator[Resources]:
        path = self._environment.records_file
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._thread_lock, path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self._read()

    def _read(self) -> Resources:
        try:
            content: dict[str, Any] = json.loads(self._environment.records_file.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return content["resources"] if content.get("generation") == self._generation() else {}

    def _write(self, resources: Resources) -> None:
        content = {"generation": self._generation(), "resources": resources}
        write_private(self._environment.records_file, json.dumps(content, indent=1))

    def _generation(self) -> str | None:
        try:
            generation: str | None = json.loads(self._environment.services_file.read_text()).get("generation")
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return generation

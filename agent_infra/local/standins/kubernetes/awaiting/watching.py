"""Objects of a cluster as they are now: a list, then a watch, each in a thread of its own."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

import urllib3

from agent_infra.local.standins.kubernetes.api_client import ApiClient, ApiError, Stream
from agent_infra.local.standins.kubernetes.awaiting.verdicts import Related
from agent_infra.local.standins.server import Properties, StandinError

#: The API server ends a watch after so long, and it is opened again; seconds.
_WATCH_SECONDS: Final = 300
_PAUSE_SECONDS: Final = 1.0
#: So often in a row may a watch fail to open before the wait is given up.
_FAILURES: Final = 10
#: The server no longer knows the version that the watch began at.
_GONE: Final = 410


def place(client: ApiClient, namespace: str | None, looked_at: Related) -> tuple[str, dict[str, str]]:
    """The path and the query of a list."""
    scoped = client.resource(looked_at.kind)["namespaced"]
    return client.path(looked_at.kind, namespace if scoped else None), {
        **({"labelSelector": looked_at.labels} if looked_at.labels else {}),
        **({"fieldSelector": f"metadata.name={looked_at.name}"} if looked_at.name else {}),
    }


class Watches:
    """Keeps what it is asked to look at up to date until it is closed."""

    def __init__(self, client: ApiClient, namespace: str | None, looked_at: Sequence[Related]) -> None:
        self._changes: queue.SimpleQueue[_Watch] = queue.SimpleQueue()
        self._watches = [_Watch(client, namespace, each, self._changes) for each in looked_at]
        self.changed = time.monotonic()
        """When anything but the first of them changed last."""

    def __enter__(self) -> Self:
        for each in self._watches:
            each.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in self._watches:
            each.end()

    def wait(self, seconds: float) -> None:
        """Until something changes.

        Raises:
            StandinError: the API server does not let itself be watched.
        """
        try:
            found = self._changes.get(timeout=max(seconds, 0.001))
        except queue.Empty:
            return
        while True:
            if found.failure is not None:
                raise found.failure
            if found is not self._watches[0]:
                self.changed = time.monotonic()
            try:
                found = self._changes.get_nowait()
            except queue.Empty:
                return

    @property
    def complete(self) -> bool:
        """Whether each has been listed once."""
        return all(each.listed for each in self._watches)

    def first(self) -> Properties | None:
        """The object that was named first."""
        return next(iter(self._watches[0].objects()), None)

    def others(self) -> Mapping[str, Sequence[Properties]]:
        """All else by the kind's name."""
        found: dict[str, list[Properties]] = {}
        for each in self._watches[1:]:
            found.setdefault(each.kind, []).extend(each.objects())
        return found


class _Watch:
    def __init__(
        self, client: ApiClient, namespace: str | None, looked_at: Related, changes: queue.SimpleQueue[_Watch]
    ) -> None:
        self.kind = looked_at.kind.name
        self._kind = looked_at.kind
        self.listed = False
        self.failure: StandinError | None = None
        self._client = client
        self._path, self._query = place(client, namespace, looked_at)
        self._changes = changes
        self._objects: dict[str, Properties] = {}
        self._ending = threading.Event()
        self._stream: Stream | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch {self.kind}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ending.set()
        if self._stream is not None:
            self._stream.end()

    def objects(self) -> list[Properties]:
        return list(self._objects.values())

    def _run(self) -> None:
        failures = 0
        version: str | None = None
        while not self._ending.is_set():
            try:
                version = self._follow(version or self._list())
                failures = 0
            except urllib3.exceptions.HTTPError:
                continue  # the connection was lost: from the same version on
            except StandinError as error:
                version = None
                if isinstance(error, ApiError) and error.status == _GONE:
                    continue
                failures += 1
                if failures >= _FAILURES:
                    self.failure = error
                    self._changes.put(self)
                    return
            self._ending.wait(_PAUSE_SECONDS if failures else 0)

    def _list(self) -> str:
        found = self._client.call("GET", self._path, self._query)
        # What is in a list does not say what it is.
        what = {"apiVersion": self._kind.api_version, "kind": self._kind.name}
        self._objects = {item["metadata"]["name"]: {**what, **item} for item in found["items"]}
        self.listed = True
        self._changes.put(self)
        return str(found["metadata"]["resourceVersion"])

    def _follow(self, version: str) -> str | None:
        """Until the watch ends: the version to begin the next one at, None where all is to be listed anew."""
        query = {**self._query, "resourceVersion": version, "timeoutSeconds": str(_WATCH_SECONDS)}
        self._stream = self._client.stream(self._path, query)
        if self._ending.is_set():
            self._stream.end()
        for event in self._stream.events():
            if self._ending.is_set():
                break
            object: Any = event["object"]
            if event["type"] == "ERROR":
                return None
            name, version = object["metadata"]["name"], str(object["metadata"]["resourceVersion"])
            objects = dict(self._objects)
            if event["type"] == "DELETED":
                objects.pop(name, None)
            elif event["type"] in {"ADDED", "MODIFIED"}:
                objects[name] = object
            self._objects = objects
            self._changes.put(self)
        return version

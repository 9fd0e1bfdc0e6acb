"""Records how something changes all the while a test does other things."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

from tests.cluster.api import NONE, Labels, Namespace, Object, is_ready, selecting


@dataclass
class Series:
    """A number over time: an entry for each change of it."""

    values: list[tuple[float, int]] = field(default_factory=list)

    def note(self, value: int) -> None:
        if not self.values or self.values[-1][1] != value:
            self.values.append((time.monotonic(), value))

    @property
    def numbers(self) -> list[int]:
        return [value for _, value in self.values]

    @property
    def least(self) -> int:
        return min(self.numbers)

    @property
    def most(self) -> int:
        return max(self.numbers)

    @property
    def turns(self) -> int:
        """How often it began to rise after it had fallen, or the other way around."""
        ways = [later > earlier for earlier, later in pairwise(self.numbers)]
        return sum(before != after for before, after in pairwise(ways))


#: A watch ends so soon and is begun again where it ended, so that a test's end is not waited for.
_WATCH_SECONDS = 2
#: The longest test's own bound; nothing watches for longer.
_LONGEST_SECONDS = 300

Objects = Mapping[str, Object]


@contextmanager
def watched(
    namespace: Namespace, kind: str, count: Callable[[Objects], int], labels: Labels = NONE
) -> Iterator[Series]:
    """What `count` makes of the objects of a kind, by their names, after each event while the block runs."""
    series, over = Series(), threading.Event()
    path = namespace.path(kind)
    query = selecting(labels)
    there = namespace.api.call("GET", path, **query)
    objects = {each["metadata"]["name"]: each for each in there["items"]}
    series.note(count(objects))

    def follow() -> None:
        version = there["metadata"]["resourceVersion"]
        until = time.monotonic() + _LONGEST_SECONDS
        while not over.is_set() and time.monotonic() < until:
            events = namespace.api.watch(path, seconds=_WATCH_SECONDS, resourceVersion=version, **query)
            for event in events:
                if event["type"] == "ERROR":
                    raise AssertionError(f"the watch of {path} was ended: {event}")
                found = event["object"]
                version = found["metadata"]["resourceVersion"]
                if event["type"] == "DELETED":
                    objects.pop(found["metadata"]["name"], None)
                else:
                    objects[found["metadata"]["name"]] = found
                series.note(count(objects))

    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(follow)
        try:
            yield series
        finally:
            over.set()
        following.result()


def ready_pods(namespace: Namespace, labels: Labels) -> AbstractContextManager[Series]:
    """How many pods are ready and not on their way out."""

    def count(pods: Objects) -> int:
        return sum("deletionTimestamp" not in pod["metadata"] and is_ready(pod) for pod in pods.values())

    return watched(namespace, "Pod", count, labels)


def asked_for(namespace: Namespace, deployment: str) -> AbstractContextManager[Series]:
    """How many replicas a Deployment asks for."""

    def count(found: Objects) -> int:
        return int(found[deployment]["spec"]["replicas"]) if deployment in found else 0

    return watched(namespace, "Deployment", count)

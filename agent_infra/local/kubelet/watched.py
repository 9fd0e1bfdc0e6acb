"""A list of objects that follows the API server's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from agent_infra.local.fleets.manifests import Object
from agent_infra.local.kubelet.api import Api, ApiError

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0
#: How often a kind that the API server does not serve is asked for again.
_UNSERVED_SECONDS = 5.0

Key = tuple[str, str]


class Watched:
    """The objects at a path (a collection of all namespaces) with a label.

    `changed` is called after each change, however many objects it was about.
    """

    def __init__(self, api: Api, path: str, *, selector: str = "", changed: Callable[[], None]) -> None:
        self._api = api
        self._path = path
        self._selector = selector
        self._changed = changed
        self.objects: dict[Key, Object] = {}
        self.known = asyncio.Event()
        """Set once the list was read."""

    async def run(self) -> None:
        """Until it is cancelled; a server that is away or has forgotten is asked anew, ever less often."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                version = await self._list()
                while True:
                    version = await self._follow(version)
                    pause = _FIRST_PAUSE_SECONDS
            except ApiError:  # 410: the version is too old, and the next list has a newer one
                pass
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _list(self) -> str:
        while (found := await self._api.get(self._path, labelSelector=self._selector)) is None:
            self.known.set()
            await asyncio.sleep(_UNSERVED_SECONDS)
        self.objects = {_key(each): each for each in found["items"]}
        self.known.set()
        self._changed()
        return str(found["metadata"]["resourceVersion"])

    async def _follow(self, version: str) -> str:
        async for kind, content in self._api.watch(self._path, version=version, selector=self._selector):
            version = str(content["metadata"]["resourceVersion"])
            if kind == "BOOKMARK":
                continue
            if kind == "DELETED":
                self.objects.pop(_key(content), None)
            else:
                self.objects[_key(content)] = content
            self._changed()
        return version


def _key(content: Object) -> Key:
    metadata = content["metadata"]
    return str(metadata.get("namespace") or ""), str(metadata["name"])

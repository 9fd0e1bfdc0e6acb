"""Toxiproxy, built once from `tools/toxiproxy`: proxies that delay, cut and swallow what goes to a store.

`python -m tests.app.toxiproxy --port N` builds it if need be, runs it and prints the port of its API.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import httpx

from agent_infra.local.progress import Report, silent
from agent_infra.local.tools.acquire import Kit, ensure_all
from agent_infra.local.tools.places import Places
from agent_infra.local.tools.tool import Module, Tool
from tests.app.processes import LOOPBACK, free_port, process, until

_TOOL = Tool(
    "toxiproxy",
    title="toxiproxy",
    module=Module("toxiproxy", "github.com/Shopify/toxiproxy/v2"),
    package="github.com/Shopify/toxiproxy/v2/cmd/server",
    program="server",
    ldflags="-X github.com/Shopify/toxiproxy/v2.Version={version}",
    tells_version=False,  # nor would one called `server` on PATH be it
    unreleased="only the tests need it",
    seconds=15,  # 11 with the standard library to compile
)

Stream = Literal["upstream", "downstream"]


def program(report: Report = silent, *, places: Places | None = None) -> Path:
    """The server, built where the cache of tools lacks it; processes that ask at once build it once.

    Raises:
        LocalError: it cannot be built, and why.
    """
    kit = Kit(
        (_TOOL,),
        part="toxiproxy",
        whole="Toxiproxy",
        advice="Connect this machine to the network, then run it again.",
    )
    (found,) = ensure_all(kit, places or Places.of_this_machine(), report)
    assert found.path is not None
    return found.path


@dataclass(frozen=True)
class Proxy:
    """One proxy: clients connect to `port`."""

    name: str
    port: int
    _api: httpx.Client

    def add(
        self,
        type: str,
        *,
        name: str | None = None,
        stream: Stream = "downstream",
        toxicity: float = 1,
        **attributes: int,
    ) -> str:
        """Adds a toxic and gives its name.

        Args:
            type: `latency` (attributes `latency` and `jitter`, ms), `bandwidth` (`rate`, KB/s), `timeout`
                (`timeout` ms until it closes, 0 for never: what is sent is swallowed), `reset_peer`
                (`timeout`), `slow_close` (`delay`), `slicer` (`average_size`, `size_variation`, `delay`),
                `limit_data` (`bytes`).
            name: else made of type and stream.
            stream: `downstream` for what comes from the store, `upstream` for what goes there.
            toxicity: the share of connections that it is put on.

        Raises:
            httpx.HTTPStatusError: the type or an attribute is not known, or the name is taken.
        """
        toxic = {
            "name": name or f"{type}_{stream}",
            "type": type,
            "stream": stream,
            "toxicity": toxicity,
            "attributes": attributes,
        }
        self._call("POST", f"/proxies/{self.name}/toxics", toxic)
        return str(toxic["name"])

    def remove(self, name: str) -> None:
        """Removes a toxic, for the connections that are open too."""
        self._call("DELETE", f"/proxies/{self.name}/toxics/{name}")

    def disable(self) -> None:
        """Cuts its connections and refuses new ones."""
        self._call("POST", f"/proxies/{self.name}", {"enabled": False})

    def enable(self) -> None:
        self._call("POST", f"/proxies/{self.name}", {"enabled": True})

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """Disabled as long as the block lasts."""
        self.disable()
        try:
            yield
        finally:
            self.enable()

    @contextlib.contextmanager
    def toxic(self, type: str, *, stream: Stream = "downstream", **attributes: int) -> Iterator[None]:
        """With a toxic as long as the block lasts."""
        name = self.add(type, stream=stream, **attributes)
        try:
            yield
        finally:
            self.remove(name)

    def _call(self, method: str, path: str, body: object = None) -> Any:
        return _call(self._api, method, path, body)


class Toxiproxy:
    """A client of a running server."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._api = httpx.Client(base_url=url, timeout=10)

    def proxy(self, name: str, upstream_port: int, *, port: int | None = None) -> Proxy:
        """A proxy from `port`, or any that is free, to a port on loopback; one of that name is replaced."""
        listen = port or free_port()
        body = [
            {
                "name": name,
                "listen": f"{LOOPBACK}:{listen}",
                "upstream": f"{LOOPBACK}:{upstream_port}",
                "enabled": True,
            }
        ]
        _call(self._api, "POST", "/populate", body)
        return Proxy(name, listen, self._api)

    def delete(self, name: str) -> None:
        _call(self._api, "DELETE", f"/proxies/{name}")

    def reset(self) -> None:
        """Enables all proxies and removes all toxics."""
        _call(self._api, "POST", "/reset")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._api.close()


def _call(api: httpx.Client, method: str, path: str, body: object = None) -> Any:
    answer = api.request(method, path, json=body)
    answer.raise_for_status()
    return answer.json() if answer.content else None


@contextlib.contextmanager
def toxiproxy(directory: Path) -> Iterator[Toxiproxy]:
    """A running server, its log in `directory`, ended with the block; its proxies end with it."""
    port = free_port()
    command = [str(program()), "-host", LOOPBACK, "-port", str(port)]
    with process(command, directory / "toxiproxy.log"), Toxiproxy(f"http://{LOOPBACK}:{port}") as client:
        until(lambda: httpx.get(f"{client.url}/version").is_success, 30, what="toxiproxy")
        yield client


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 for any that is free")
    port = parser.parse_args().port or free_port()

    def report(message: str, seconds: float | None = None, /) -> None:
        sys.stderr.write(f"{message}\n")

    made = str(program(report))
    print(port, flush=True)  # noqa: T201 - what the caller reads
    os.execv(made, [made, "-host", LOOPBACK, "-port", str(port)])  # noqa: S606 - no shell on purpose


if __name__ == "__main__":
    main()

"""The API server, asked by many coroutines at once."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
_PLURALS = {"NetworkPolicy": "networkpolicies"}
#: Kinds that are in no namespace.
_OF_CLUSTER = frozenset({"Namespace", "Node", "APIService"})


class ApiError(Exception):
    """The API server's answer was no."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(f"{status}: {message}")


class Api:
    """One API server; see `connected`."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def call(
        self, method: str, path: str, body: Any = None, *, content: str = "application/json"
    ) -> dict[str, Any]:
        """The answer.

        Raises:
            ApiError: it was no.
        """
        data = None if body is None else json.dumps(body)
        async with self._session.request(method, path, data=data, headers={"Content-Type": content}) as got:
            if got.status >= 400:
                raise ApiError(got.status, f"{method} {path}: {await got.text()}")
            answer: dict[str, Any] = await got.json(content_type=None)
            return answer

    async def apply(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """By server-side apply, as `pulumi up` does it."""
        return await self.call(
            "PATCH", f"{path_of(manifest)}?fieldManager=burst&force=true", manifest, content=APPLY
        )

    async def gone(self, path: str) -> None:
        """Deletes it, if it is there."""
        try:
            await self.call("DELETE", path)
        except ApiError as error:
            if error.status != 404:
                raise

    async def watch(self, path: str) -> AsyncIterator[dict[str, Any]]:
        """What is there as ADDED, then each change; it begins anew where the API server ends it."""
        while True:
            listed = await self.call("GET", path)
            for item in listed["items"]:
                yield {"type": "ADDED", "object": item}
            version = listed["metadata"]["resourceVersion"]
            query = f"{path}?watch=true&resourceVersion={version}"
            try:
                async with self._session.get(query) as stream:
                    async for line in stream.content:
                        event = json.loads(line)
                        if event["type"] == "ERROR":
                            break
                        yield event
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(0.5)


def path_of(manifest: dict[str, Any]) -> str:
    """Where an object is."""
    group, kind, metadata = manifest["apiVersion"], manifest["kind"], manifest["metadata"]
    root = f"/apis/{group}" if "/" in group else f"/api/{group}"
    within = "" if kind in _OF_CLUSTER else f"/namespaces/{metadata['namespace']}"
    return f"{root}{within}/{_PLURALS.get(kind, kind.lower() + 's')}/{metadata['name']}"


@asynccontextmanager
async def connected(kubeconfig: Path) -> AsyncIterator[Api]:
    """The API server of a kubeconfig's current context."""
    from kubernetes import config

    told = config.new_client_from_config(config_file=str(kubeconfig)).configuration  # type: ignore[no-untyped-call]
    tls = ssl.create_default_context(cafile=told.ssl_ca_cert)
    tls.load_cert_chain(told.cert_file, told.key_file)
    connector = aiohttp.TCPConnector(ssl=tls, limit=64)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
    limits = {"read_bufsize": 2**22, "max_line_size": 2**20}
    async with aiohttp.ClientSession(told.host, connector=connector, timeout=timeout, **limits) as session:
        yield Api(session)

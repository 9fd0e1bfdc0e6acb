"""The few calls of a Kubernetes API server that a kubelet makes."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx

from agent_infra.local.fleets.manifests import Object

#: Who sets the fields, to the API server.
MANAGER: Final = "agent-infra-kubelet"
_TRIES: Final = 4
_BUSY: Final = frozenset({429, 500, 502, 503, 504})
#: A watch ends after so long, so that one whose other end is gone is noticed.
_WATCH_SECONDS: Final = 240
_TYPES: Final = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


class ApiError(Exception):
    """The API server's answer was no, or there was none (status 0)."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """One API server, as whoever the kubeconfig says."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    @classmethod
    def open(cls, kubeconfig: Path) -> Api:
        """By a kubeconfig's current context.

        Raises:
            ApiError: it cannot be used.
        """
        from kubernetes import config
        from kubernetes.client import Configuration

        known = Configuration()
        try:
            config.load_kube_config(  # type: ignore[no-untyped-call] # it has no types
                config_file=str(kubeconfig), client_configuration=known
            )
            tls = ssl.create_default_context(cafile=known.ssl_ca_cert)
            if known.cert_file:
                tls.load_cert_chain(known.cert_file, known.key_file)
        except (config.ConfigException, OSError) as error:
            raise ApiError(f"{kubeconfig} cannot be used as a kubeconfig ({type(error).__name__})") from None
        settings: Any = known.auth_settings()
        headers = {
            auth["key"]: auth["value"]
            for auth in settings.values()
            if auth["in"] == "header" and auth["value"]
        }
        return cls(
            httpx.AsyncClient(
                base_url=str(known.host),
                verify=tls,
                headers={"user-agent": MANAGER, **headers},
                timeout=30,
                trust_env=False,
                limits=httpx.Limits(max_connections=64, max_keepalive_connections=16),
            )
        )

    @property
    def address(self) -> tuple[str, int]:
        """The server's host and port."""
        return self._client.base_url.host, self._client.base_url.port or 443

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, path: str, **query: str) -> Object | None:
        """An object or a list; None where there is no such thing."""
        try:
            return await self._call("GET", path, query)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def create(self, path: str, body: Object) -> Object:
        return await self._call("POST", path, {"fieldManager": MANAGER}, body)

    async def patch(self, path: str, body: Object, *, kind: str = "merge") -> Object:
        query = {"fieldManager": MANAGER, **({"force": "true"} if kind == "apply" else {})}
        return await self._call("PATCH", path, query, body, content_type=_TYPES[kind])

    async def delete(self, path: str, body: Object | None = None) -> None:
        """Of what is not there, or is another object by now, nothing is left to delete."""
        try:
            await self._call("DELETE", path, {}, body)
        except ApiError as error:
            if error.status not in {404, 409}:
                raise

    async def watch(self, path: str, *, version: str, selector: str) -> AsyncIterator[tuple[str, Object]]:
        """What happens to the objects of a list after one of its versions, until the server ends it.

        Raises:
            ApiError: the server does not answer, or knows no such version any more (410).
        """
        query = {
            "watch": "true",
            "resourceVersion": version,
            "labelSelector": selector,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_WATCH_SECONDS),
        }
        timeout = httpx.Timeout(30, read=_WATCH_SECONDS + 30)
        try:
            async with self._client.stream("GET", path, params=query, timeout=timeout) as answer:
                if answer.status_code >= 400:
                    raise ApiError(f"watch {path}: {answer.status_code}", status=answer.status_code)
                async for line in answer.aiter_lines():
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise ApiError(
                            f"watch {path}: {event['object'].get('message')}",
                            status=int(event["object"].get("code") or 500),
                        )
                    yield event["type"], event["object"]
        except (httpx.HTTPError, ValueError) as error:
            raise ApiError(f"watch {path}: {type(error).__name__}") from None

    async def _call(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: Object | None = None,
        *,
        content_type: str = "application/json",
    ) -> Object:
        content = None if body is None else json.dumps(body).encode()
        for attempt in range(_TRIES):
            last = attempt == _TRIES - 1
            try:
                answer = await self._client.request(
                    method, path, params=query, content=content, headers={"content-type": content_type}
                )
            except httpx.HTTPError as error:
                if last:
                    raise ApiError(
                        f"{method} {path}: no answer from the API server ({type(error).__name__})"
                    ) from None
            else:
                if answer.status_code < 400:
                    found: Object = answer.json()
                    return found
                if last or answer.status_code not in _BUSY:
                    raise ApiError(f"{method} {path}: {_said(answer)}", status=answer.status_code)
            await asyncio.sleep(0.2 * 2**attempt)
        raise AssertionError("the last try returns or raises")


def _said(answer: httpx.Response) -> str:
    try:
        told: Any = answer.json()["message"]
    except (ValueError, KeyError, TypeError):
        told = answer.status_code
    return str(told)

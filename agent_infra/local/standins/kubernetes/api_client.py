"""One API server by HTTP: calls that are tried again, its warnings, its kinds, and watches."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import urllib3

from agent_infra.local.standins import engine
from agent_infra.local.standins.kubernetes.kinds import Kind
from agent_infra.local.standins.server import Properties, StandinError

_TIMEOUT: Final = urllib3.Timeout(connect=5, read=60)
_TRIES: Final = 4
_CONNECTIONS: Final = 64
_BUSY: Final = frozenset({429, 500, 502, 503, 504})
#: The server has surely done nothing.
_UNTOUCHED: Final = frozenset({429, 503})
#: How long a kind may take to be served after its definition was applied; seconds.
_DISCOVERY_WAIT: Final = 15.0
#: RFC 9111's `Warning` as API servers send it: 299, no agent, the text.
_WARNING: Final = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')


class ApiError(StandinError):
    """The API server's answer was no; `status` is HTTP's."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class ApiClient:
    """The API server of a kubeconfig's current context."""

    def __init__(self, kubeconfig: Path) -> None:
        from kubernetes import client, config

        # A connection that finds no place in the pool would be closed, and told of.
        settings = client.Configuration()
        settings.connection_pool_maxsize = _CONNECTIONS
        try:
            self._client = config.new_client_from_config(  # type: ignore[no-untyped-call] # it has no types
                config_file=str(kubeconfig), client_configuration=settings
            )
        except (config.ConfigException, OSError) as error:
            raise StandinError(
                f"{kubeconfig}: cannot be used as a kubeconfig ({error}): AGENT_INFRA_KUBECONFIG must "
                "name one with a current context; unset it to have the objects written to files."
            ) from error
        self._kubeconfig = kubeconfig
        self._server = str(self._client.configuration.host).rstrip("/")
        self._resources: dict[str, dict[str, dict[str, Any]]] = {}
        self._discovering = threading.Lock()

    def path(self, kind: Kind, namespace: str | None, name: str = "", *, wait: bool = False) -> str:
        """Where an object is, or without a name, where all of the kind are.

        Raises:
            ApiError: the server does not serve the kind; with `wait`, not even after a while.
        """
        plural = self.resource(kind, wait=wait)["name"]
        scope = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
        return f"{_root(kind)}{scope}/{plural}{'/' if name else ''}{quote(name, safe='')}"

    def resource(self, kind: Kind, *, wait: bool = False) -> dict[str, Any]:
        """The API server's own entry of the kind: its plural and whether it is namespaced."""
        until = time.monotonic() + (_DISCOVERY_WAIT if wait and not kind.built_in else 0)
        while not (entry := self._served(kind)):
            if time.monotonic() >= until or engine.current().cancelled.is_set():
                raise ApiError(
                    f"{kind.token}: the API server {self._server} serves no {kind.api_version} {kind.name}: "
                    "apply its CustomResourceDefinition first, with depends_on where the same program "
                    "holds it.",
                    status=404,
                )
            time.sleep(0.25)
        return entry

    def _served(self, kind: Kind) -> dict[str, Any] | None:
        with self._discovering:
            if kind.name not in self._resources.get(kind.api_version, {}):
                try:
                    served = self.call("GET", _root(kind))["resources"]
                except ApiError as error:
                    if error.status != 404:
                        raise
                    return None
                self._resources[kind.api_version] = {
                    entry["kind"]: entry for entry in served if "/" not in entry["name"]
                }
            return self._resources[kind.api_version].get(kind.name)

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
        *,
        content: str = "application/json",
    ) -> Properties:
        """The server's answer. What it warns of is told to the user.

        A call that was lost on the way is made again where twice is the same as once: not a POST.

        Raises:
            ApiError: the answer is no.
            StandinError: there is no answer.
        """
        url = f"{self._server}{path}{'?' + urlencode(query) if query else ''}"
        for attempt in range(_TRIES):
            last = attempt == _TRIES - 1
            try:
                response = self._pool.request(
                    method,
                    url,
                    body=None if body is None else json.dumps(body).encode(),
                    headers=self._headers(content),
                    timeout=_TIMEOUT,
                    retries=False,
                )
            except urllib3.exceptions.HTTPError as error:
                if last or (
                    method == "POST" and not isinstance(error, urllib3.exceptions.NewConnectionError)
                ):
                    raise self._unreachable(error) from error
            else:
                if method != "GET":
                    for text in warnings(response.headers.getlist("Warning")):
                        engine.current().warn(f"the API server warns: {text}")
                if response.status < 400:
                    answer: Properties = json.loads(response.data)
                    return answer
                again = response.status in (_UNTOUCHED if method == "POST" else _BUSY)
                if last or not again:
                    raise ApiError(
                        _message(response.data, response.status, method, path), status=response.status
                    )
            time.sleep(0.2 * 2**attempt)
        raise AssertionError("the last try returns or raises")

    def stream(self, path: str, query: Mapping[str, str]) -> Stream:
        """A watch, opened.

        Raises:
            ApiError: the answer is no.
            StandinError: there is no answer.
        """
        try:
            response = self._pool.request(
                "GET",
                f"{self._server}{path}?{urlencode({**query, 'watch': 'true'})}",
                headers=self._headers("application/json"),
                timeout=_TIMEOUT,
                retries=False,
                preload_content=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise self._unreachable(error) from error
        if response.status >= 400:
            raise ApiError(_message(response.data, response.status, "GET", path), status=response.status)
        return Stream(response)

    @property
    def _pool(self) -> Any:
        return self._client.rest_client.pool_manager

    def _unreachable(self, error: Exception) -> StandinError:
        return StandinError(
            f"the API server {self._server} of {self._kubeconfig} cannot be reached ({error}): "
            "start it, or unset AGENT_INFRA_KUBECONFIG to have the objects written to files."
        )

    def _headers(self, content: str) -> dict[str, str]:
        headers = {"Accept": "application/json", "Content-Type": content, "User-Agent": "agent-infra"}
        for auth in self._client.configuration.auth_settings().values():
            if auth["in"] == "header" and auth["value"]:
                headers[auth["key"]] = auth["value"]
        return headers


class Stream:
    """The events of a watch; ended from another thread."""

    def __init__(self, response: Any) -> None:
        self._response = response

    def events(self) -> Iterator[Properties]:
        """Each as it comes, until the server or `end` ends it.

        Raises:
            urllib3.exceptions.HTTPError: the connection is lost.
        """
        line = b""
        for part in self._response.stream(amt=2**16):
            *lines, line = (line + part).split(b"\n")
            for each in lines:
                if each.strip():
                    yield json.loads(each)

    def end(self) -> None:
        """Wakes whoever reads."""
        try:
            self._response.shutdown()
        except (OSError, ValueError, RuntimeError):
            return  # it has ended by itself


def warnings(headers: list[str]) -> list[str]:
    """The texts of `Warning` headers."""
    return [re.sub(r"\\(.)", r"\1", text) for header in headers for text in _WARNING.findall(header)]


def _root(kind: Kind) -> str:
    return f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"


def _message(data: bytes, status: int, method: str, path: str) -> str:
    try:
        told = json.loads(data)["message"]
    except (ValueError, KeyError, TypeError):
        told = f"it answered {status} to {method} {path}"
    ways_out = {
        401: " The kubeconfig's credentials are not accepted.",
        403: " The kubeconfig's user needs that right.",
    }
    # A user who lacks a right and an object that admission refuses get the same answer.
    way_out = "" if status == 403 and "cannot " not in str(told) else ways_out.get(status, "")
    return f"the API server refuses: {told}{'' if str(told).endswith('.') else '.'}{way_out}"

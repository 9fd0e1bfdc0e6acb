"""Kubernetes objects in an API server, by server-side apply as the official plugin does it."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import urllib3

from agent_infra.local.standins.kubernetes.kinds import Kind
from agent_infra.local.standins.server import Properties, StandinError

FIELD_MANAGER: Final = "pulumi-kubernetes"

_TIMEOUT: Final = urllib3.Timeout(connect=5, read=60)
_TRIES: Final = 4
_BUSY: Final = frozenset({429, 500, 502, 503, 504})
#: How long a kind may take to be served after its definition was applied; seconds.
_DISCOVERY_WAIT: Final = 15.0


class ApiError(StandinError):
    """The API server's answer was no; `status` is HTTP's."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class ApiStore:
    """The API server of a kubeconfig's current context."""

    can_dry_run = True

    def __init__(self, kubeconfig: Path, *, delete_timeout: float = 120.0) -> None:
        from kubernetes import config

        try:
            self._client = config.new_client_from_config(  # type: ignore[no-untyped-call] # it has no types
                config_file=str(kubeconfig)
            )
        except (config.ConfigException, OSError) as error:
            raise StandinError(
                f"{kubeconfig}: cannot be used as a kubeconfig ({error}): AGENT_INFRA_KUBECONFIG must "
                "name one with a current context; unset it to have the objects written to files."
            ) from error
        self._kubeconfig = kubeconfig
        self._server = str(self._client.configuration.host).rstrip("/")
        self._delete_timeout = delete_timeout
        self._resources: dict[str, dict[str, dict[str, Any]]] = {}
        self._discovering = threading.Lock()

    def apply(self, kind: Kind, object: Properties, *, dry_run: bool, force: bool) -> Properties:
        metadata = object["metadata"]
        path = self._path(kind, metadata.get("namespace"), metadata["name"], wait=not dry_run)
        query = {"fieldManager": FIELD_MANAGER, "force": "true" if force else "false"}
        if dry_run:
            query["dryRun"] = "All"
        try:
            return self._call("PATCH", path, query, object)
        except ApiError as error:
            if error.status != 409:
                raise
            raise ApiError(
                f"{error} The fields belong to somebody else: leave them out of the program, or take them "
                'over with the annotation pulumi.com/patchForce: "true" on the object.',
                status=409,
            ) from None

    def read(self, kind: Kind, namespace: str | None, name: str) -> Properties | None:
        try:
            return self._call("GET", self._path(kind, namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def delete(self, kind: Kind, namespace: str | None, name: str, *, propagation: str) -> None:
        try:
            path = self._path(kind, namespace, name)
            uid = self._call("GET", path)["metadata"].get("uid")
            self._call("DELETE", path, {}, {"propagationPolicy": propagation})
        except ApiError as error:
            if error.status == 404:
                return
            raise
        until = time.monotonic() + self._delete_timeout
        pause = 0.05
        while (left := self.read(kind, namespace, name)) and left["metadata"].get("uid") == uid:
            if time.monotonic() > until:
                held = ", ".join(left["metadata"].get("finalizers") or ["none"])
                raise StandinError(
                    f"{kind.name} {name!r} is still there {self._delete_timeout:.0f} s after its deletion "
                    f"(finalizers: {held}): what owns them must run; the garbage collector, which owns "
                    "foregroundDeletion, is part of kube-controller-manager. The annotation "
                    "pulumi.com/deletionPropagationPolicy: background does without it."
                )
            time.sleep(pause)
            pause = min(pause * 2, 2.0)

    def namespaced(self, kind: Kind) -> bool | None:
        try:
            return bool(self._resource(kind, wait=False)["namespaced"])
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def _path(self, kind: Kind, namespace: str | None, name: str, *, wait: bool = False) -> str:
        plural = self._resource(kind, wait=wait)["name"]
        scope = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
        return f"{_root(kind)}{scope}/{plural}/{quote(name, safe='')}"

    def _resource(self, kind: Kind, *, wait: bool) -> dict[str, Any]:
        """The API server's own entry of the kind: its plural and whether it is namespaced."""
        until = time.monotonic() + (_DISCOVERY_WAIT if wait and not kind.built_in else 0)
        while not (entry := self._served(kind)):
            if time.monotonic() >= until:
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
                    served = self._call("GET", _root(kind))["resources"]
                except ApiError as error:
                    if error.status != 404:
                        raise
                    return None
                self._resources[kind.api_version] = {
                    entry["kind"]: entry for entry in served if "/" not in entry["name"]
                }
            return self._resources[kind.api_version].get(kind.name)

    def _call(
        self, method: str, path: str, query: dict[str, str] | None = None, body: Properties | None = None
    ) -> Properties:
        url = f"{self._server}{path}{'?' + urlencode(query) if query else ''}"
        # Every call may be repeated: an apply and a deletion made twice are the same as once.
        for attempt in range(_TRIES):
            last = attempt == _TRIES - 1
            try:
                response = self._client.rest_client.pool_manager.request(
                    method,
                    url,
                    body=None if body is None else json.dumps(body).encode(),
                    headers=self._headers(method),
                    timeout=_TIMEOUT,
                    retries=False,
                )
            except urllib3.exceptions.HTTPError as error:
                if last:
                    raise StandinError(
                        f"the API server {self._server} of {self._kubeconfig} cannot be reached ({error}): "
                        "start it, or unset AGENT_INFRA_KUBECONFIG to have the objects written to files."
                    ) from error
            else:
                if response.status < 400:
                    answer: Properties = json.loads(response.data)
                    return answer
                if last or response.status not in _BUSY:
                    raise ApiError(_message(response, method, path), status=response.status)
            time.sleep(0.2 * 2**attempt)
        raise AssertionError("the last try returns or raises")

    def _headers(self, method: str) -> dict[str, str]:
        content = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
        headers = {"Accept": "application/json", "Content-Type": content, "User-Agent": "agent-infra"}
        for auth in self._client.configuration.auth_settings().values():
            if auth["in"] == "header" and auth["value"]:
                headers[auth["key"]] = auth["value"]
        return headers


def _root(kind: Kind) -> str:
    return f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"


def _message(response: Any, method: str, path: str) -> str:
    try:
        told = json.loads(response.data)["message"]
    except (ValueError, KeyError, TypeError):
        told = f"it answered {response.status} to {method} {path}"
    ways_out = {
        401: " The kubeconfig's credentials are not accepted.",
        403: " The kubeconfig's user needs that right.",
    }
    return f"the API server refuses: {told}{'' if str(told).endswith('.') else '.'}" + ways_out.get(
        response.status, ""
    )

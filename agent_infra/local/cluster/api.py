"""The little of the API server's API that a cluster's own objects need."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from agent_infra.local.environment import LocalError

Manifest = dict[str, Any]

_MANAGER = "agent-infra-cluster"
_SECONDS = 30.0


class ApiError(LocalError):
    """The API server refuses something, or does not answer; the message has its own words."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """The API server, asked with a certificate; used from several threads at once."""

    def __init__(self, server: str, *, authority: Path, certificate: Path, key: Path) -> None:
        context = ssl.create_default_context(cafile=str(authority))
        context.load_cert_chain(certificate, key)
        self._server = server
        # A proxy that the user has set is not for this machine's own addresses.
        self._client = httpx.Client(base_url=server, verify=context, timeout=_SECONDS, trust_env=False)
        self._resources: dict[str, dict[str, tuple[str, bool]]] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        self._client.close()

    def get(self, path: str) -> Manifest:
        """
        Raises:
            ApiError: there is no such thing, or no answer.
        """
        return self._ask("GET", path)

    def apply(self, manifest: Mapping[str, Any], *, subresource: str | None = None) -> Manifest:
        """Server-side apply: makes an object as the manifest says, and leaves alone what it does not say.

        Raises:
            ApiError: the API server refuses it, or does not answer.
        """
        path = self.path(manifest) + (f"/{subresource}" if subresource else "")
        return self._ask("PATCH", f"{path}?fieldManager={_MANAGER}&force=true", dict(manifest))

    def path(self, manifest: Mapping[str, Any]) -> str:
        """Where an object is.

        Raises:
            ApiError: there is no such kind.
        """
        version, kind = manifest["apiVersion"], manifest["kind"]
        plural, namespaced = self._resource(version, kind)
        metadata = manifest["metadata"]
        namespace = f"/namespaces/{metadata.get('namespace', 'default')}" if namespaced else ""
        return f"{_root(version)}{namespace}/{plural}/{metadata['name']}"

    def _resource(self, version: str, kind: str) -> tuple[str, bool]:
        with self._lock:
            known = self._resources.get(version, {})
        if kind not in known:
            listed = self.get(_root(version))["resources"]
            known = {r["kind"]: (r["name"], r["namespaced"]) for r in listed if "/" not in r["name"]}
            with self._lock:
                self._resources[version] = known
        if kind not in known:
            raise ApiError(f"The API server has no {kind} in {version}.", 404)
        return known[kind]

    def _ask(self, method: str, path: str, content: Manifest | None = None) -> Manifest:
        headers = {"Accept": "application/json"}
        body = None
        if content is not None:
            headers["Content-Type"] = "application/apply-patch+yaml"
            body = json.dumps(content).encode()
        try:
            answer = self._client.request(method, path, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise ApiError(f"The API server at {self._server} does not answer: {error}") from None
        found: Manifest
        try:
            found = answer.json()
        except ValueError:
            found = {"message": answer.text[:500]}
        if answer.status_code >= 400:
            said = found.get("message", answer.status_code)
            raise ApiError(f"{method} {path.partition('?')[0]}: {said}", answer.status_code)
        return found


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"

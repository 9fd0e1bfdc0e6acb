"""The ServiceAccount tokens of pods: bound to one pod, short-lived, and replaced before they end."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from agent_infra.local.fleets.manifests import Object, namespace_of
from agent_infra.local.kubelet import volumes
from agent_infra.local.kubelet.api import Api, ApiError

#: Of a token's life, when it is replaced; as a kubelet does.
_RENEWED_AT = 0.8
_RETRY_SECONDS = 30.0


class Tokens:
    """Those of all pods of a runtime."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._renewals: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def first(self, pod: Object, said: Object, directory: Path) -> str:
        """A token for a volume of a pod, which is kept fresh in the volume's directory from now on.

        Raises:
            ApiError: the API server gives none.
        """
        token, seconds = await self._asked(pod, said)
        place = (pod["metadata"]["uid"], said["path"])
        if before := self._renewals.pop(place, None):
            before.cancel()
        self._renewals[place] = asyncio.create_task(self._keep(pod, said, directory, seconds))
        return token

    def forget(self, pod: Object) -> None:
        for place in [place for place in self._renewals if place[0] == pod["metadata"]["uid"]]:
            self._renewals.pop(place).cancel()

    async def _keep(self, pod: Object, said: Object, directory: Path, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            seconds = _RETRY_SECONDS
            with suppress(ApiError, OSError):  # the one that is there is good for a while yet
                token, life = await self._asked(pod, said)
                await asyncio.to_thread(volumes.rewrite, pod, directory, said, token)
                seconds = life

    async def _asked(self, pod: Object, said: Object) -> tuple[str, float]:
        """A token, and in how many seconds it is to be replaced."""
        metadata = pod["metadata"]
        account = pod["spec"].get("serviceAccountName") or "default"
        asked = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [said["audience"]] if "audience" in said else [],
                "expirationSeconds": said.get("expirationSeconds", 3600),
                "boundObjectRef": {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                },
            },
        }
        path = f"/api/v1/namespaces/{namespace_of(pod)}/serviceaccounts/{account}/token"
        status = (await self._api.create(path, asked))["status"]
        life = datetime.fromisoformat(status["expirationTimestamp"]).timestamp() - time.time()
        return str(status["token"]), life * _RENEWED_AT

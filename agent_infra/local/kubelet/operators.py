"""The two operators beside the control plane that fleets rely on: External Secrets, and Reloader."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Callable
from contextlib import suppress

from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.fleets.external_secrets import ExternalSecrets
from agent_infra.local.fleets.manifests import Manifests, Object, namespace_of
from agent_infra.local.fleets.pod import RELOADED_WITH, identity_variables
from agent_infra.local.kubelet.api import Api, ApiError
from agent_infra.local.kubelet.watched import Watched

_LOOK_SECONDS = 2.0
_GROUP = "/apis/external-secrets.io/v1"
#: On a pod template: what makes it another one when a Secret has changed.
_RELOADED = "agent-infra.dev/reloaded"


class Operators:
    """Keeps the Secrets that ExternalSecrets ask for, and replaces the pods of who watches one."""

    def __init__(self, environment: LocalEnvironment, api: Api, deployments: Watched) -> None:
        self._environment = environment
        self._api = api
        self._deployments = deployments
        ignore: Callable[[], None] = lambda: None  # noqa: E731 (it is looked at every few seconds)
        self._externals = Watched(api, f"{_GROUP}/externalsecrets", changed=ignore)
        self._stores = Watched(api, f"{_GROUP}/secretstores", changed=ignore)
        self._secrets = ExternalSecrets()
        self._written: dict[tuple[str, str], str] = {}
        self._seen: dict[str, str] = {}

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._externals.run())
            group.create_task(self._stores.run())
            group.create_task(self._keep())

    async def _keep(self) -> None:
        while True:
            with suppress(ApiError):  # the next look finds what is left to do
                await self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        """One look at what is asked for, and what follows from it.

        Raises:
            ApiError: the API server refuses something, or does not answer.
        """
        await self._sync()
        await self._reload()

    async def _sync(self) -> None:
        kinds = (("ExternalSecret", self._externals), ("SecretStore", self._stores))
        asked = {
            (kind, namespace, name): content
            for kind, watched in kinds
            for (namespace, name), content in watched.objects.items()
        }
        if not asked:
            return
        aws = identity_variables(self._environment)
        now = await asyncio.to_thread(self._secrets.applied, Manifests("", asked), aws=aws, fresh=False)
        for secret in now.of_kind("Secret"):
            place = (namespace_of(secret), secret["metadata"]["name"])
            told = _digest(secret["stringData"])
            if self._written.get(place) != told:
                content = {key: _encoded(value) for key, value in secret["stringData"].items()}
                await self._api.patch(
                    f"/api/v1/namespaces/{place[0]}/secrets/{place[1]}",
                    {"apiVersion": "v1", "kind": "Secret", "metadata": secret["metadata"], "data": content},
                    kind="apply",
                )
                self._written[place] = told

    async def _reload(self) -> None:
        for (namespace, _), deployment in list(self._deployments.objects.items()):
            watched = (deployment["metadata"].get("annotations") or {}).get(RELOADED_WITH, "")
            names = [each.strip() for each in watched.split(",") if each.strip()]
            if not names:
                continue
            secrets = [
                await self._api.get(f"/api/v1/namespaces/{namespace}/secrets/{each}") for each in names
            ]
            if not all(secrets):
                continue
            told = _digest([secret and secret.get("data") for secret in secrets])
            uid = deployment["metadata"]["uid"]
            if self._seen.setdefault(uid, told) != told:
                await restart(self._api, deployment, _RELOADED, told)
                self._seen[uid] = told


async def restart(api: Api, deployment: Object, annotation: str, value: str) -> None:
    """Replaces a Deployment's pods, as `kubectl rollout restart` does.

    Raises:
        ApiError: the API server refuses it, or does not answer.
    """
    metadata = deployment["metadata"]
    await api.patch(
        f"/apis/apps/v1/namespaces/{metadata['namespace']}/deployments/{metadata['name']}",
        {"spec": {"template": {"metadata": {"annotations": {annotation: value}}}}},
    )


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _digest(content: object) -> str:
    """Tells nothing of it."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

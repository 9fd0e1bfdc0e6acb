"""What an API server says is wanted, for who waits until it is so; and code that has changed meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agent_infra.local.environment import LocalError
from agent_infra.local.fleets.container import source
from agent_infra.local.fleets.manifests import Object
from agent_infra.local.kubelet import fleets
from agent_infra.local.kubelet.api import Api, ApiError
from agent_infra.local.kubelet.operators import restart

#: On a Deployment the code that its pods were started with, and on its template what replaces them.
_SOURCE = "agent-infra.dev/source"


def wanted_digest(kubeconfig: Path) -> str:
    """The digest of all Deployments; those whose code is another than at the last call are restarted first.

    An image says itself that it is another one, but processes run from the source, of which no object tells.

    Raises:
        LocalError: the API server does not answer.
    """
    try:
        return asyncio.run(_wanted(kubeconfig))
    except ApiError as error:
        raise LocalError(str(error)) from None


def generation(kubeconfig: Path) -> str:
    """Which memory the API server has: another value for one that was begun anew.

    Raises:
        LocalError: the API server does not answer.
    """
    try:
        return asyncio.run(_generation(kubeconfig))
    except ApiError as error:
        raise LocalError(str(error)) from None


async def _generation(kubeconfig: Path) -> str:
    api = Api.open(kubeconfig)
    try:
        found = await api.get("/api/v1/namespaces/kube-system")
    finally:
        await api.close()
    return str(found["metadata"]["uid"]) if found else ""


async def _wanted(kubeconfig: Path) -> str:
    api = Api.open(kubeconfig)
    try:
        for deployment in await _listed(api, fleets.DEPLOYMENTS):
            await _renew(api, deployment)
        return fleets.digest([*await _listed(api, fleets.DEPLOYMENTS), *await _listed(api, fleets.ROLLOUTS)])
    finally:
        await api.close()


async def _listed(api: Api, path: str) -> list[Object]:
    found = await api.get(path, labelSelector=fleets.MANAGED)
    items: list[Object] = found["items"] if found else []
    return items


async def _renew(api: Api, deployment: Object) -> None:
    now = await asyncio.to_thread(source, deployment["spec"]["template"]["spec"]["containers"][0])
    metadata = deployment["metadata"]
    before = (metadata.get("annotations") or {}).get(_SOURCE)
    if now[:16] == before:
        return
    path = f"/apis/apps/v1/namespaces/{metadata['namespace']}/deployments/{metadata['name']}"
    await api.patch(path, {"metadata": {"annotations": {_SOURCE: now[:16]}}})
    if before is not None:
        await restart(api, deployment, _SOURCE, now[:16])

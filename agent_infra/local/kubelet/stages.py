"""Whose pods kwok plays: all, or all but those that a kubelet runs.

A Stage says what becomes of pods that its selector finds. It is an object of the API server, so it can be
narrowed while kwok runs. https://kwok.sigs.k8s.io/docs/user/stages-configuration/
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agent_infra.local.fleets.manifests import Object
from agent_infra.local.kubelet.api import Api

_PATH = "/apis/kwok.x-k8s.io/v1alpha1/stages"


async def narrow(api: Api, labels: Sequence[str]) -> None:
    """Has kwok leave pods with any of these labels alone.

    Raises:
        ApiError: the API server refuses it, or does not answer.
    """
    absent = [_absent(label) for label in labels]
    await _select(api, lambda said: [*said, *(each for each in absent if each not in said)])


async def widen(api: Api, labels: Sequence[str]) -> None:
    """Gives kwok these pods back.

    Raises:
        ApiError: the API server refuses it, or does not answer.
    """
    absent = [_absent(label) for label in labels]
    await _select(api, lambda said: [each for each in said if each not in absent])


async def _select(api: Api, changed: Callable[[list[Object]], list[Object]]) -> None:
    found = await api.get(_PATH) or {"items": []}
    for stage in found["items"]:
        if stage["spec"]["resourceRef"]["kind"] != "Pod":
            continue
        said = (stage["spec"].get("selector") or {}).get("matchExpressions") or []
        if (wanted := changed(said)) != said:
            body = {"spec": {"selector": {"matchExpressions": wanted}}}
            await api.patch(f"{_PATH}/{stage['metadata']['name']}", body)


def _absent(label: str) -> Object:
    return {"key": f'.metadata.labels["{label}"]', "operator": "DoesNotExist"}

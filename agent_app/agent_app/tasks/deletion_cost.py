"""Tells Kubernetes how busy this pod is, so that idle ones go first when there are to be fewer.

The pod keeps its own annotation `controller.kubernetes.io/pod-deletion-cost`: its tasks in hand. Pods with
less go first (https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#pod-deletion-cost). It
is a hint: whatever fails here is logged and counted, and no task waits for it.
"""

from __future__ import annotations

import asyncio
import os
import random
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from agent_app.telemetry.metrics import Metrics

if TYPE_CHECKING:
    import httpx

log = structlog.get_logger(__name__)

ANNOTATION = "controller.kubernetes.io/pod-deletion-cost"
#: The API server is told at most so often, about: Kubernetes' own advice is not to tell it of every change.
EVERY_SECONDS = 10.0
#: After failures in a row less and less often, down to this.
_LONGEST_PAUSE_SECONDS = 300.0
_TIMEOUT_SECONDS = 5.0


class DeletionCost:
    """One pod's annotation; `directory` has its `name`, `namespace`, `token` and `ca.crt`."""

    def __init__(
        self, directory: Path, load: Callable[[], int], metrics: Metrics, *, every: float = EVERY_SECONDS
    ) -> None:
        self._directory = directory
        self._load = load
        self._metrics = metrics
        self._every = every
        # What the container before this one said, if any, is not known.
        self._told: int | None = None
        self._failures = 0

    async def run(self, environ: Mapping[str, str] = os.environ) -> None:
        """Until it is cancelled; where this is no pod it ends at once."""
        url = _url(environ)
        if url is None or not (self._directory / "token").exists():
            log.info("not in a pod: its deletion cost is not kept", directory=str(self._directory))
            return
        try:
            await self._keep(url)
        except Exception as error:  # noqa: BLE001 (tasks are worked on without it)
            log.warning("the pod's deletion cost is not kept any more", reason=type(error).__name__)

    async def _keep(self, url: str) -> None:
        import httpx

        name, namespace = self._read("name"), self._read("namespace")
        pod = f"{url}/api/v1/namespaces/{namespace}/pods/{name}"
        tls = ssl.create_default_context(cafile=self._directory / "ca.crt")
        async with httpx.AsyncClient(verify=tls, timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
            while True:
                cost = self._load()
                if cost != self._told:
                    await self._tell(client, pod, cost)
                await asyncio.sleep(self._pause())

    async def _tell(self, client: httpx.AsyncClient, pod: str, cost: int) -> None:
        try:
            answer = await client.patch(
                pod,
                json={"metadata": {"annotations": {ANNOTATION: str(cost)}}},
                headers={
                    # Read each time: the kubelet replaces it.
                    "authorization": f"Bearer {self._read('token')}",
                    "content-type": "application/merge-patch+json",
                },
            )
            answer.raise_for_status()
        except Exception as error:  # noqa: BLE001 (whatever it is, the next try may work)
            self._failures += 1
            self._metrics.deletion_costs.labels("failed").inc()
            told = log.warning if self._failures == 1 else log.debug
            status = getattr(getattr(error, "response", None), "status_code", None)
            told("the pod's deletion cost could not be told", reason=type(error).__name__, status=status)
        else:
            self._told, self._failures = cost, 0
            self._metrics.deletion_costs.labels("told").inc()

    def _pause(self) -> float:
        pause = self._every
        for _ in range(min(self._failures, 10)):
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        # Apart: the pods of a rollout start together.
        return pause * random.uniform(0.8, 1.2)  # noqa: S311 (no secret)

    def _read(self, file: str) -> str:
        return (self._directory / file).read_text().strip()


def _url(environ: Mapping[str, str]) -> str | None:
    """Where the API server is, as every pod is told."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        return None
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"

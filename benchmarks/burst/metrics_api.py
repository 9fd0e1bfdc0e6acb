"""The API metrics.k8s.io in metrics-server's place, which looks no more often than every 10 s.

A compressed run needs 15 s of production in less. The autoscaler asks the API server, which asks here.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from benchmarks.burst.api import Api
from benchmarks.burst.compress import Clock
from benchmarks.burst.kubelet import timestamp
from tests.app.certificates import certificate
from tests.app.processes import LOOPBACK

#: metrics-server's own, in production's time.
_EVERY_SECONDS = 15.0
_GROUP = "/apis/metrics.k8s.io/v1beta1"
#: What every pod of the benchmark asks for.
_REQUEST_NANOS = 250_000_000
_MEMORY = "128Mi"

#: Pods' share of their CPU request since the last look, by namespace and name.
Look = Callable[[], Mapping[tuple[str, str], tuple[float, str]]]


class MetricsApi:
    """What pods use, as it was at the last look.

    Args:
        clock: production's.
        look: asked at each look; gives the share and the container's name.
    """

    def __init__(self, clock: Clock, look: Look) -> None:
        self._clock, self._look = clock, look
        self._items: dict[str, list[dict[str, Any]]] = {}

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self._clock.sleep(_EVERY_SECONDS)
            found: dict[str, list[dict[str, Any]]] = {}
            for (namespace, name), (share, container) in self._look().items():
                found.setdefault(namespace, []).append(self._item(namespace, name, share, container))
            self._items = found

    def _item(self, namespace: str, name: str, share: float, container: str) -> dict[str, Any]:
        usage = {"cpu": f"{round(share * _REQUEST_NANOS)}n", "memory": _MEMORY}
        return {
            "metadata": {"name": name, "namespace": namespace, "creationTimestamp": timestamp()},
            "timestamp": timestamp(),
            "window": f"{self._clock.real(_EVERY_SECONDS):g}s",
            "containers": [{"name": container, "usage": usage}],
        }

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """The few paths that an autoscaler and the API server ask for."""
        parts = request.path.removeprefix(_GROUP).strip("/").split("/")
        if request.path == _GROUP:
            resource = {
                "name": "pods",
                "singularName": "",
                "namespaced": True,
                "kind": "PodMetrics",
                "verbs": ["get", "list"],
            }
            return web.json_response(
                {
                    "kind": "APIResourceList",
                    "apiVersion": "v1",
                    "groupVersion": "metrics.k8s.io/v1beta1",
                    "resources": [resource],
                }
            )
        if len(parts) == 3 and parts[0] == "namespaces" and parts[2] == "pods":
            items = self._items.get(parts[1], [])
            return web.json_response(
                {
                    "kind": "PodMetricsList",
                    "apiVersion": "metrics.k8s.io/v1beta1",
                    "metadata": {},
                    "items": items,
                }
            )
        return web.json_response(
            {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404}, status=404
        )


@contextlib.asynccontextmanager
async def serving(api: Api, metrics: MetricsApi) -> AsyncIterator[None]:
    """Serves it, and has the API server ask here."""
    runner = web.ServerRunner(web.Server(metrics.answer, access_log=None))  # type: ignore[arg-type]
    await runner.setup()
    looking = asyncio.create_task(metrics.run())
    try:
        with tempfile.TemporaryDirectory() as directory:
            _, tls = certificate(Path(directory))
        site = web.TCPSite(runner, LOOPBACK, 0, ssl_context=tls)
        await site.start()
        await _registered(api, runner.addresses[0][1])
        yield
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await runner.cleanup()


async def _registered(api: Api, port: int) -> None:
    # The API server refuses endpoints on loopback, and takes a name for it.
    await api.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "burst-metrics", "namespace": "kube-system"},
            "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
        }
    )
    service = {"name": "burst-metrics", "namespace": "kube-system", "port": port}
    name = "v1beta1.metrics.k8s.io"
    await api.gone(f"/apis/apiregistration.k8s.io/v1/apiservices/{name}")
    await api.apply(
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": name},
            "spec": {
                "group": "metrics.k8s.io",
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "insecureSkipTLSVerify": True,
                "service": service,
            },
        }
    )

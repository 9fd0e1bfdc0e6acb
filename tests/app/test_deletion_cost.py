"""What a worker's pod tells a Kubernetes API server of its load, over TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from agent_app.tasks.deletion_cost import ANNOTATION, DeletionCost
from agent_app.telemetry.metrics import Metrics
from aiohttp import web

from tests.app.certificates import certificate
from tests.app.processes import LOOPBACK

EVERY = 0.05


@dataclass
class Api:
    """Takes patches of pods, or answers with the statuses it is given first."""

    statuses: list[int] = field(default_factory=list)
    asked: list[tuple[str, str, str, Any]] = field(default_factory=list)
    at: list[float] = field(default_factory=list)

    async def patch(self, request: web.Request) -> web.Response:
        self.at.append(asyncio.get_running_loop().time())
        kind, token = request.headers["content-type"], request.headers["authorization"]
        self.asked.append((request.path, kind, token, await request.json()))
        return web.json_response({}, status=self.statuses.pop(0) if self.statuses else 200)

    @property
    def costs(self) -> list[str]:
        return [body["metadata"]["annotations"][ANNOTATION] for *_, body in self.asked]

    async def become(self, costs: list[str]) -> None:
        async with asyncio.timeout(10):
            while self.costs != costs:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@dataclass
class Pod:
    api: Api
    directory: Path
    environ: dict[str, str]
    metrics: Metrics = field(default_factory=Metrics)
    load: int = 0

    @asynccontextmanager
    async def telling(self, every: float = EVERY) -> AsyncIterator[asyncio.Task[None]]:
        cost = DeletionCost(self.directory, lambda: self.load, self.metrics, every=every)
        running = asyncio.create_task(cost.run(self.environ))
        try:
            yield running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def count(self, outcome: str) -> float:
        return (
            self.metrics.registry.get_sample_value("agent_app_deletion_costs_total", {"outcome": outcome})
            or 0
        )


@pytest.fixture
async def pod(tmp_path: Path) -> AsyncIterator[Pod]:
    authority, tls = certificate(tmp_path)
    api = Api()
    app = web.Application()
    app.router.add_patch("/{path:.*}", api.patch)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, LOOPBACK, 0, ssl_context=tls)
    await site.start()
    port = runner.addresses[0][1]
    directory = tmp_path / "pod"
    directory.mkdir()
    (directory / "ca.crt").write_bytes(authority.read_bytes())
    for name, text in {"name": "support-worker-1", "namespace": "agents", "token": "first\n"}.items():
        (directory / name).write_text(text)
    yield Pod(api, directory, {"KUBERNETES_SERVICE_HOST": LOOPBACK, "KUBERNETES_SERVICE_PORT": str(port)})
    await runner.cleanup()


async def test_a_pod_tells_its_tasks_in_hand_when_they_change_and_only_then(pod: Pod) -> None:
    async with pod.telling():
        await pod.api.become(["0"])
        pod.load = 3
        await pod.api.become(["0", "3"])
        await asyncio.sleep(5 * EVERY)
        pod.load = 0
        await pod.api.become(["0", "3", "0"])
    assert pod.api.asked[1] == (
        "/api/v1/namespaces/agents/pods/support-worker-1",
        "application/merge-patch+json",
        "Bearer first",
        {"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "3"}}},
    )
    assert pod.count("told") == 3


async def test_the_api_server_is_told_at_a_bounded_rate_and_then_the_newest(pod: Pod) -> None:
    async with pod.telling(every=0.3):
        await pod.api.become(["0"])
        for load in range(1, 20):
            pod.load = load
            await asyncio.sleep(0.005)
        await pod.api.become(["0", "19"])
    assert pod.api.at[1] - pod.api.at[0] > 0.2


async def test_what_fails_is_counted_and_tried_again_less_and_less_often(pod: Pod) -> None:
    pod.api.statuses = [403, 500, 503]
    pod.load = 2
    async with pod.telling(every=0.1):
        await pod.api.become(["2"] * 4)
    pauses = [later - sooner for sooner, later in zip(pod.api.at, pod.api.at[1:], strict=False)]
    assert pauses[2] > 0.6 > pauses[0]
    assert (pod.count("failed"), pod.count("told")) == (3, 1)


async def test_a_token_that_the_kubelet_replaced_is_used(pod: Pod) -> None:
    async with pod.telling():
        await pod.api.become(["0"])
        (pod.directory / "token").write_text("second")
        pod.load = 1
        await pod.api.become(["0", "1"])
    assert [token for _, _, token, _ in pod.api.asked] == ["Bearer first", "Bearer second"]


async def test_a_server_with_another_authority_gets_no_token(pod: Pod, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    authority, _ = certificate(other)
    (pod.directory / "ca.crt").write_bytes(authority.read_bytes())
    async with pod.telling():
        async with asyncio.timeout(10):
            while not pod.count("failed"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert not pod.api.asked


@pytest.mark.parametrize("missing", ["token", "KUBERNETES_SERVICE_HOST"])
async def test_outside_a_pod_nothing_is_told_and_nothing_goes_wrong(pod: Pod, missing: str) -> None:
    (pod.directory / missing).unlink(missing_ok=True)
    pod.environ.pop(missing, None)
    async with pod.telling() as running, asyncio.timeout(5):
        await running
    assert not pod.api.asked


async def test_a_directory_that_cannot_be_read_is_logged_and_no_more(pod: Pod) -> None:
    (pod.directory / "name").unlink()
    async with pod.telling() as running, asyncio.timeout(5):
        await running
    assert not pod.api.asked

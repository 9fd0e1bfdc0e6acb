"""A canary's questions to a cluster, answered by what speaks as an API server does."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from agent_infra.fleet.canary.cluster import ClusterError, Ended, Pods, open_cluster
from agent_infra.fleet.canary.jobs import job_like
from agent_infra.fleet.canary.kubernetes_api import KubernetesCluster

TEMPLATE = {
    "metadata": {"labels": {"app.kubernetes.io/name": "support", "agent-infra/kind": "api"}},
    "spec": {
        "serviceAccountName": "support",
        "initContainers": [{"name": "migrate", "image": "it"}],
        "containers": [
            {"name": "proxy", "image": "proxy:1"},
            {
                "name": "agent",
                "image": "it",
                "command": ["agent-app", "serve"],
                "env": [{"name": "A", "value": "1"}],
                "ports": [{"containerPort": 8000}],
                "readinessProbe": {},
                "lifecycle": {},
                "resources": {"limits": {"memory": "1Gi"}},
            },
        ],
        "topologySpreadConstraints": [{"maxSkew": 1}],
    },
}


class ApiServer:
    """One namespace with one Deployment and its pods."""

    def __init__(self) -> None:
        self.replicas = 2
        self.pods = {"support-1": True, "support-2": True, "support-3": False}
        self.leaving = "support-0"
        self.jobs: dict[str, Any] = {}
        self.job_ends = {"succeeded": 1}
        self.log = "asked\n0.75\n"
        self.busy = 0
        self.url = ""

    def app(self) -> web.Application:
        app = web.Application()
        apps, core, batch = (
            f"/{path}/namespaces/agents" for path in ("apis/apps/v1", "api/v1", "apis/batch/v1")
        )
        app.add_routes(
            [
                web.get(f"{apps}/deployments/{{name}}", self._deployment),
                web.patch(f"{apps}/deployments/{{name}}/scale", self._scale),
                web.get(f"{core}/pods", self._pods),
                web.get(f"{core}/pods/{{name}}/portforward", self._forward),
                web.get(f"{core}/pods/{{name}}/log", self._log),
                web.post(f"{batch}/jobs", self._make_job),
                web.get(f"{batch}/jobs/{{name}}/status", self._job),
                web.delete(f"{batch}/jobs/{{name}}", self._end_job),
            ]
        )
        return app

    async def _deployment(self, request: web.Request) -> web.Response:
        if self.busy:
            self.busy -= 1
            return web.json_response({"message": "busy"}, status=503)
        if request.match_info["name"] != "support":
            return web.json_response({"reason": "NotFound"}, status=404)
        labels = {"matchLabels": {"app.kubernetes.io/name": "support"}}
        spec = {"replicas": self.replicas, "selector": labels, "template": TEMPLATE}
        return web.json_response({"metadata": {"name": "support"}, "spec": spec})

    async def _scale(self, request: web.Request) -> web.Response:
        if request.match_info["name"] != "support":
            return web.json_response({"reason": "NotFound"}, status=404)
        assert request.content_type in {
            "application/merge-patch+json",
            "application/strategic-merge-patch+json",
        }
        self.replicas = (await request.json())["spec"]["replicas"]
        return web.json_response({"spec": {"replicas": self.replicas}})

    async def _pods(self, request: web.Request) -> web.Response:
        if request.query["labelSelector"].startswith("batch.kubernetes.io/job-name="):
            return web.json_response({"items": [{"metadata": {"name": "job-pod"}}]})
        assert request.query["labelSelector"] == "app.kubernetes.io/name=support"
        items = [
            {
                "metadata": {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z"},
                "status": {
                    "conditions": [{"type": "Ready", "status": str(ready)}],
                    "containerStatuses": [
                        {
                            "name": "agent",
                            "image": "it",
                            "imageID": "it",
                            "ready": ready,
                            "restartCount": 0 if ready else 2,
                        }
                    ],
                },
            }
            for name, ready in {**self.pods, self.leaving: True}.items()
        ]
        items[-1]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        return web.json_response({"items": items})

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        """As a kubelet: a channel for a port's bytes and one for errors, each begun by the port's number."""
        wire = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await wire.prepare(request)
        port = int(request.query["ports"]).to_bytes(2, "little")
        await wire.send_bytes(b"\x00" + port)
        await wire.send_bytes(b"\x01" + port)
        asked = b""
        async for message in wire:
            if message.type is not WSMsgType.BINARY:
                break
            asked += message.data[1:]
            if b"\r\n\r\n" in asked:
                break
        assert asked.startswith(b"GET /metrics HTTP/1.1\r\n")
        name = request.match_info["name"]
        status = "200 OK" if name == "support-1" else "500 No"
        page = f"of_{name} 1\n"
        answer = f"HTTP/1.1 {status}\r\ncontent-length: {len(page)}\r\n\r\n{page}"
        for part in (answer[:30], answer[30:]):
            await wire.send_bytes(b"\x00" + part.encode())
        # That the pod is done is not told; the client is, when it has what it was promised.
        assert (await wire.receive(timeout=10)).type is WSMsgType.CLOSE
        return wire

    async def _log(self, _request: web.Request) -> web.Response:
        return web.Response(text=self.log)

    async def _make_job(self, request: web.Request) -> web.Response:
        job = await request.json()
        self.jobs[job["metadata"]["name"]] = job
        return web.json_response(job)

    async def _job(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": self.job_ends})

    async def _end_job(self, request: web.Request) -> web.Response:
        self.jobs[request.match_info["name"]]["ended"] = True
        return web.json_response({})


@contextmanager
def serving(app: web.Application) -> Iterator[str]:
    """A server of this machine, in a thread; yields its address."""
    loop, started, urls = asyncio.new_event_loop(), threading.Event(), []

    async def serve() -> None:
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        urls.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        started.set()
        try:
            await ended.wait()
        finally:
            await runner.cleanup()

    ended = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert started.wait(10)
    try:
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        loop.close()


@pytest.fixture
def server() -> Iterator[ApiServer]:
    made = ApiServer()
    with serving(made.app()) as made.url:
        yield made


def kubeconfig(url: str) -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "it",
            "clusters": [{"name": "it", "cluster": {"server": url}}],
            "users": [{"name": "it", "user": {"token": "very-secret-token"}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        }
    )


@pytest.fixture
def cluster(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubernetesCluster]:
    for name in ("AGENT_INFRA_CLUSTER", "AGENT_INFRA_KUBECONFIG", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("agent_infra.fleet.canary.kubernetes_api._PAUSE_SECONDS", 0.01)
    opened = open_cluster("agents", kubeconfig(server.url))
    assert isinstance(opened, KubernetesCluster)
    yield opened
    opened._core.api_client.rest_client.pool_manager.clear()


def test_pods_that_are_on_their_way_out_do_not_count(cluster: KubernetesCluster) -> None:
    assert cluster.pods("support") == Pods(ready=2, restarts=2, wanted=2)


def test_a_deployment_that_is_not_there_has_no_pods_and_is_scaled_to_none(cluster: KubernetesCluster) -> None:
    assert cluster.pods("nobody") == Pods(ready=0, restarts=0, wanted=0)
    cluster.scale("nobody", 0)
    with pytest.raises(ClusterError, match="there is no nobody"):
        cluster.scale("nobody", 1)


def test_a_deployment_is_scaled(server: ApiServer, cluster: KubernetesCluster) -> None:
    cluster.scale("support", 5)
    assert server.replicas == 5


def test_the_pages_of_ready_pods_come_by_a_forwarded_port_and_a_bad_answer_is_none(
    cluster: KubernetesCluster,
) -> None:
    assert cluster.metrics("support", port=8000) == {"support-1": "of_support-1 1\n"}


def test_a_server_that_is_busy_is_asked_again_and_not_for_ever(
    server: ApiServer, cluster: KubernetesCluster
) -> None:
    server.busy = 2
    assert cluster.pods("support").ready == 2
    server.busy = 100
    with pytest.raises(ClusterError, match="503"):
        cluster.pods("support")


def test_a_command_runs_as_a_job_that_is_gone_afterwards(
    server: ApiServer, cluster: KubernetesCluster
) -> None:
    ended = cluster.run("support", ["agent-app", "evaluate"], variables={"CASES": "{}"}, seconds=30)
    assert ended == Ended(0, "0.75")
    ((name, job),) = server.jobs.items()
    assert name.startswith("support-evaluation-")
    assert job["ended"]


def test_a_command_that_fails_tells_its_last_line(server: ApiServer, cluster: KubernetesCluster) -> None:
    server.job_ends, server.log = {"failed": 1}, "starting\nno such model\n"
    ended = cluster.run("support", ["false"], variables={}, seconds=30)
    assert ended == Ended(1, "no such model")


def test_a_job_is_like_the_pods_without_their_traffic_and_probes() -> None:
    deployment = {"spec": {"template": TEMPLATE}}
    job = job_like(deployment, "it", command=["run"], variables={"A": "2", "B": "3"}, seconds=90)
    template = job["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert container["command"] == ["run"]
    assert container["env"] == [{"name": "A", "value": "2"}, {"name": "B", "value": "3"}]
    assert container["resources"] == {"limits": {"memory": "1Gi"}}
    assert not {"ports", "readinessProbe", "lifecycle"} & container.keys()
    assert template["spec"]["serviceAccountName"] == "support"
    assert template["spec"]["restartPolicy"] == "Never"
    assert not TEMPLATE["metadata"]["labels"].items() & template["metadata"]["labels"].items()  # type: ignore[index]
    assert job["spec"]["activeDeadlineSeconds"] == 90


def test_a_kubeconfig_that_cannot_be_used_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AGENT_INFRA_CLUSTER", raising=False)
    bad = kubeconfig("http://127.0.0.1:1").replace('"current-context": "it"', '"current-context": "other"')
    with pytest.raises(ClusterError, match="the kubeconfig cannot be used") as refused:
        open_cluster("agents", bad)
    assert "very-secret-token" not in str(refused.value)

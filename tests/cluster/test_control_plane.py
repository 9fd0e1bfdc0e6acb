"""The control plane itself: who is let in, what is admitted, and what becomes of it when something ends.

These have clusters of their own, two side by side, because they end parts of them.
"""

from __future__ import annotations

import os
import signal
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml
from kubernetes import client, config
from kubernetes.client.rest import ApiException

from agent_infra.local import cluster
from agent_infra.local.cluster import ClusterOptions, ClusterStatus, PartState
from agent_infra.local.cluster.options import Places
from agent_infra.local.environment import LocalEnvironment

pytestmark = pytest.mark.cluster

SECONDS = 60.0
#: They cannot be told to serve their own metrics on loopback alone, or not at all.
EVERYWHERE = {"keda-adapter"}


class Own:
    """One of the two clusters."""

    def __init__(self, environment: LocalEnvironment) -> None:
        self.environment = environment
        self.places = Places(environment.cluster_dir)

    @property
    def status(self) -> ClusterStatus:
        return cluster.status(self.environment)

    def client(self, holder: str | None = None) -> client.ApiClient:
        """Asks as the administrator, or as one of the parts."""
        file = self.places.kubeconfig_of(holder) if holder else cluster.kubeconfig(self.environment)
        return config.new_client_from_config(str(file))

    def apply(self, manifest: dict[str, Any], **headers: str) -> httpx.Response:
        """Server-side apply, with whose headers it is done."""
        plurals = {"Namespace": "namespaces", "Node": "nodes", "Pod": "pods", "Stage": "stages"}
        version, name = manifest["apiVersion"], manifest["metadata"]["name"]
        namespace = manifest["metadata"].get("namespace")
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        path = f"{root}{f'/namespaces/{namespace}' if namespace else ''}/{plurals[manifest['kind']]}/{name}"
        with self.http() as http:
            return http.patch(
                f"{path}?fieldManager=test&force=true",
                content=yaml.safe_dump(manifest),
                headers={"content-type": "application/apply-patch+yaml", **headers},
            )

    def http(self, *, known: bool = True) -> httpx.Client:
        context = ssl.create_default_context(cafile=str(self.places.certificate("ca")))
        if known:
            context.load_cert_chain(self.places.certificate("admin"), self.places.key("admin"))
        return httpx.Client(base_url=self.status.server, verify=context, trust_env=False)


def until(what: str, done: Callable[[], Any], *, seconds: float = SECONDS) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < deadline, f"not so after {seconds} s: {what}"
        time.sleep(0.2)
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody took note of does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def started(directory: Path) -> Own:
    environment = LocalEnvironment(directory)
    cluster.start(environment, options=ClusterOptions(nodes=2, metrics_seconds=10))
    return Own(environment)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Own, Own]]:
    root = tmp_path_factory.mktemp("clusters")
    try:
        with ThreadPoolExecutor() as pool:
            one, two = pool.map(started, (root / "one", root / "two"))
        yield one, two
    finally:
        for name in ("one", "two"):
            cluster.stop(LocalEnvironment(root / name))


@pytest.fixture(scope="module")
def own(both: tuple[Own, Own]) -> Own:
    return both[0]


def pod(name: str, **more: Any) -> dict[str, Any]:
    container = {"name": "agent", "image": "example.com/agent@sha256:" + "0" * 64}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", **more},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }


def phase(api: client.CoreV1Api, name: str) -> str | None:
    found: str | None = api.read_namespaced_pod(name, "default").status.phase
    return found


def test_two_clusters_side_by_side_share_neither_ports_nor_objects(both: tuple[Own, Own]) -> None:
    one, two = both
    assert one.status.ready
    assert two.status.ready
    assert not set(one.status.ports.values()) & set(two.status.ports.values())
    client.CoreV1Api(one.client()).create_namespace({"metadata": {"name": "ones-alone"}})
    names = [found.metadata.name for found in client.CoreV1Api(two.client()).list_namespace().items]
    assert "ones-alone" not in names


def test_who_has_no_certificate_may_ask_for_its_health_and_nothing_else(own: Own) -> None:
    with own.http(known=False) as http:
        assert http.get("/readyz").text == "ok"
        for path in ("/api", "/version", "/openapi/v2", "/api/v1/namespaces/default/secrets"):
            assert http.get(path).status_code == 401, path


def test_a_certificate_of_another_cluster_is_not_let_in(both: tuple[Own, Own]) -> None:
    one, two = both
    context = ssl.create_default_context(cafile=str(one.places.certificate("ca")))
    context.load_cert_chain(two.places.certificate("admin"), two.places.key("admin"))
    with httpx.Client(base_url=one.status.server, verify=context, trust_env=False) as http:
        assert http.get("/api/v1/nodes").status_code == 401


@pytest.mark.parametrize("part", ["kwok", "metrics-server", "keda"])
def test_a_part_may_do_its_own_work_only(own: Own, part: str) -> None:
    api = client.CoreV1Api(own.client(part))
    assert api.list_pod_for_all_namespaces().items is not None
    with pytest.raises(ApiException) as refused:
        api.create_namespaced_config_map("default", {"metadata": {"name": "not-allowed"}})
    assert refused.value.status == 403


def test_the_store_answers_nobody_without_a_certificate_of_its_own(own: Own) -> None:
    etcd = f"https://127.0.0.1:{own.status.ports['etcd']}/health"
    context = ssl.create_default_context(cafile=str(own.places.certificate("etcd-ca")))
    with pytest.raises(httpx.TransportError), httpx.Client(verify=context, trust_env=False) as http:
        http.get(etcd)
    context.load_cert_chain(own.places.certificate("admin"), own.places.key("admin"))
    with pytest.raises(httpx.TransportError), httpx.Client(verify=context, trust_env=False) as http:
        http.get(etcd)


def test_nothing_listens_beyond_loopback(own: Own) -> None:
    for part in own.status.parts:
        process = psutil.Process(part.pid)
        listening = [c.laddr for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
        assert listening, part.name
        beyond = [address for address in listening if address.ip != "127.0.0.1"]
        assert not beyond or part.name in EVERYWHERE, (part.name, beyond)


def test_restricted_is_enforced(own: Own) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "strict", "labels": labels}}
    assert own.apply(namespace).is_success
    wrong = pod("root")
    wrong["metadata"]["namespace"] = "strict"
    until("its ServiceAccount", lambda: "serviceaccount" not in own.apply(wrong).text)
    refused = own.apply(wrong)
    assert refused.status_code == 403
    assert 'violates PodSecurity "restricted' in refused.json()["message"]


def test_a_node_may_not_change_another_one(own: Own) -> None:
    as_node = {"impersonate-user": "system:node:node-0", "impersonate-group": "system:nodes"}
    mine, other = (
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "annotations": {"seen": "yes"}}}
        for name in ("node-0", "node-1")
    )
    assert own.apply(mine, **as_node).is_success
    refused = own.apply(other, **as_node)
    assert refused.status_code == 403
    assert "not allowed to modify node" in refused.json()["message"]


def test_a_quota_is_held(own: Own) -> None:
    api = client.CoreV1Api(own.client())
    api.create_namespace({"metadata": {"name": "small"}})
    quota = {"metadata": {"name": "pods"}, "spec": {"hard": {"pods": "0"}}}
    api.create_namespaced_resource_quota("small", quota)
    until(
        "the quota counts",
        lambda: api.read_namespaced_resource_quota("pods", "small").status.used is not None,
    )
    wrong = pod("one-too-many")
    wrong["metadata"]["namespace"] = "small"
    until("its ServiceAccount", lambda: "serviceaccount" not in own.apply(wrong).text)
    assert "exceeded quota" in own.apply(wrong).json()["message"]


def test_what_pods_use_is_read_by_metrics_server_from_their_annotations(own: Own) -> None:
    busy = pod("busy", annotations={"kwok.x-k8s.io/usage-cpu": "250m", "kwok.x-k8s.io/usage-memory": "64Mi"})
    assert own.apply(busy).is_success
    custom = client.CustomObjectsApi(own.client())

    def usage() -> Any:
        try:
            found = custom.get_namespaced_custom_object(
                "metrics.k8s.io", "v1beta1", "default", "pods", "busy"
            )
        except ApiException:
            return None
        return found["containers"][0]["usage"]

    found = until("metrics-server has two looks at the pod", usage)
    assert int(found["cpu"].removesuffix("n")) == pytest.approx(250_000_000, rel=0.05)
    assert found["memory"] in {"64Mi", "65536Ki"}


def test_logs_are_served_by_kwok_as_by_a_kubelet(own: Own, tmp_path: Path) -> None:
    api = client.CoreV1Api(own.client())
    assert own.apply(pod("talking")).is_success
    until("the pod runs", lambda: phase(api, "talking") == "Running")
    (tmp_path / "log").write_text("2026-01-01T00:00:00.000000000Z stdout F hello\n")
    logs = {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Logs",
        "metadata": {"name": "talking"},
        "spec": {"logs": [{"containers": ["agent"], "logsFile": str(tmp_path / "log"), "follow": False}]},
    }
    custom = client.CustomObjectsApi(own.client())
    custom.create_namespaced_custom_object("kwok.x-k8s.io", "v1alpha1", "default", "logs", logs)

    def said() -> str:
        try:
            return str(api.read_namespaced_pod_log("talking", "default"))
        except ApiException:
            return ""

    assert until("kwok knows the log", said).strip() == "hello"


def test_a_killed_api_server_is_started_again_with_all_its_objects(own: Own) -> None:
    api = client.CoreV1Api(own.client())
    api.create_namespaced_config_map("default", {"metadata": {"name": "kept"}, "data": {"a": "b"}})
    before = own.status.part("kube-apiserver")
    os.kill(before.pid, signal.SIGKILL)
    until("it is noticed", lambda: own.status.part("kube-apiserver").restarts == before.restarts + 1)
    until("all is ready again", lambda: own.status.ready)
    assert own.status.part("kube-apiserver").port == before.port
    assert client.CoreV1Api(own.client()).read_namespaced_config_map("kept", "default").data == {"a": "b"}
    assert own.apply(pod("after-it")).is_success
    until(
        "controllers and kwok go on", lambda: phase(client.CoreV1Api(own.client()), "after-it") == "Running"
    )


def test_pods_that_a_kubelet_plays_are_left_to_it_until_it_gives_them_back(own: Own) -> None:
    api = client.CoreV1Api(own.client())
    for stage in cluster.stages(leave_fleets=True):
        assert own.apply(stage).is_success

    def left(name: str) -> bool:
        assert own.apply(pod(name, labels={cluster.FLEET_LABEL: "api"})).is_success
        assert own.apply(pod(f"beside-{name}")).is_success
        until("kwok plays the other pod", lambda: phase(api, f"beside-{name}") == "Running")
        return phase(api, name) == "Pending"

    # After the end of the API server it may take kwok half a minute to look at its Stages again.
    tries = iter(range(100))
    until("kwok leaves the fleet's pod", lambda: left(f"early-{next(tries)}"))
    assert left("fleets")
    # The control plane starts again while the kubelet runs: the fleets' pods are still not kwok's.
    cluster.stop(own.environment)
    cluster.start(own.environment)
    assert phase(client.CoreV1Api(own.client()), "fleets") == "Pending"
    for stage in cluster.stages():
        assert own.apply(stage).is_success

    def played() -> bool:
        # kwok looks at a pod again when the pod changes, not when its Stages do.
        touched = {"touched": str(next(tries))}
        assert own.apply(pod("fleets", labels={cluster.FLEET_LABEL: "api"}, annotations=touched)).is_success
        time.sleep(0.5)
        return phase(client.CoreV1Api(own.client()), "fleets") == "Running"

    until("kwok plays it now", played)


def test_a_killed_supervisor_takes_its_parts_along_and_the_next_start_has_the_objects(own: Own) -> None:
    api = client.CoreV1Api(own.client())
    api.create_namespaced_config_map("default", {"metadata": {"name": "survives"}})
    before = own.status
    os.kill(before.pid, signal.SIGKILL)
    until("no part runs on", lambda: not [part for part in before.parts if alive(part.pid)])
    stopped = own.status
    assert "ended from outside" in stopped.detail
    assert {part.state for part in stopped.parts} == {PartState.STOPPED}
    again = cluster.start(own.environment)
    assert again.ready
    assert again.server == before.server
    assert client.CoreV1Api(own.client()).read_namespaced_config_map("survives", "default")


def test_a_lost_record_does_not_leave_a_second_cluster_running(both: tuple[Own, Own]) -> None:
    two = both[1]
    before = two.status
    two.places.status.write_text("{")
    again = cluster.start(two.environment)
    assert again.ready
    assert not [part for part in before.parts if alive(part.pid)]


def test_stop_ends_every_process_within_seconds_and_destroy_deletes_all(both: tuple[Own, Own]) -> None:
    two = both[1]
    before = two.status
    begun = time.monotonic()
    cluster.stop(two.environment)
    assert time.monotonic() - begun < 15
    pids = [before.pid, *(part.pid for part in before.parts)]
    assert not [pid for pid in pids if alive(pid)]
    assert {part.state for part in two.status.parts} == {PartState.STOPPED}
    cluster.destroy(two.environment)
    assert not two.environment.cluster_dir.exists()

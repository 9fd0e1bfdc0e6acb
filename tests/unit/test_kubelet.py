"""How a kubelet treats pods, on an API server and containers that are only played."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from agent_infra.local.kubelet import Kubelet, Timing
from agent_infra.local.kubelet.api import Api
from agent_infra.local.kubelet.status import is_ready
from tests.unit.cluster_fakes import FakeApi, FakeRuntime, pod, until

FAST = Timing(first_back_off=0.02, longest_back_off=0.04, retry=0.02)
ASKED = {"httpGet": {"path": "/ready"}, "periodSeconds": 0.01, "failureThreshold": 2}


class Node:
    """A kubelet that runs, and what it works with."""

    def __init__(self) -> None:
        self.api, self.runtime = FakeApi(), FakeRuntime()
        self.kubelet = Kubelet(cast("Api", self.api), self.runtime, timing=FAST)

    @asynccontextmanager
    async def running(self, *pods: dict[str, Any]) -> AsyncIterator[Node]:
        for each in pods:
            self.api.put(each)
        task = asyncio.create_task(self.kubelet.run())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def status(self, name: str = "web-1") -> dict[str, Any]:
        found: dict[str, Any] = self.api.pods[name]["status"]
        return found

    def container(self, name: str = "web-1") -> dict[str, Any]:
        found: dict[str, Any] = self.status(name).get("containerStatuses", [{}])[0]
        return found


@pytest.fixture
def node() -> Node:
    return Node()


async def test_a_pod_is_ready_when_its_probe_says_so_and_no_sooner(node: Node) -> None:
    node.runtime.answering = False
    async with node.running(pod(container={"readinessProbe": ASKED})):
        await until(lambda: "running" in node.container().get("state", {}))
        await asyncio.sleep(0.05)
        assert not is_ready(node.api.pods["web-1"])
        node.runtime.started[0].answering = True
        await until(lambda: is_ready(node.api.pods["web-1"]))
        node.runtime.started[0].answering = False
        await until(lambda: not is_ready(node.api.pods["web-1"]))
    assert node.status()["podIP"].startswith("10.")


async def test_a_pod_that_no_node_has_yet_is_left_alone(node: Node) -> None:
    unbound = pod()
    del unbound["spec"]["nodeName"]
    async with node.running(unbound):
        await asyncio.sleep(0.03)
        assert not node.runtime.started
        node.api.put(pod())
        await until(lambda: is_ready(node.api.pods["web-1"]))


async def test_init_containers_end_first_and_one_that_fails_is_tried_again(node: Node) -> None:
    async with node.running(pod(init=True)):
        await until(lambda: node.runtime.started)
        node.runtime.started[0].end(1)
        await until(lambda: len(node.runtime.started) == 2)
        assert not is_ready(node.api.pods["web-1"])
        node.runtime.started[1].end(0)
        await until(lambda: is_ready(node.api.pods["web-1"]))
    assert [each.container["name"] for each in node.runtime.started] == ["migrate", "migrate", "agent"]
    assert node.status()["initContainerStatuses"][0]["restartCount"] == 1


async def test_a_container_that_crashes_again_and_again_waits_ever_longer_and_says_so(node: Node) -> None:
    async with node.running(pod()):
        for number in range(3):
            await until(lambda number=number: len(node.runtime.started) == number + 1)  # type: ignore[misc] # bound early
            node.runtime.started[-1].end(3)
        await until(lambda: node.container().get("restartCount") == 3)
        assert node.container()["lastState"]["terminated"]["exitCode"] == 3
    waits = [
        status["containerStatuses"][0]["state"]["waiting"]["message"]
        for status in node.api.statuses
        if status["containerStatuses"][0]["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff"
    ]
    assert len(waits) == 2


async def test_what_cannot_be_started_says_why_and_is_tried_again(node: Node) -> None:
    node.runtime.refusals = ["there is no Secret 'keys'"]
    async with node.running(pod()):
        await until(lambda: is_ready(node.api.pods["web-1"]))
    reasons = [s["containerStatuses"][0]["state"].get("waiting", {}) for s in node.api.statuses]
    assert {"reason": "CreateContainerConfigError", "message": "there is no Secret 'keys'"} in reasons


@pytest.mark.parametrize("probe", ["livenessProbe", "startupProbe"])
async def test_a_container_that_fails_its_probe_is_started_anew(node: Node, probe: str) -> None:
    node.runtime.answering = False
    async with node.running(pod(container={probe: ASKED})):
        await until(lambda: len(node.runtime.started) == 2)
        assert node.runtime.started[0].signals == ["TERM"]
        await until(lambda: node.container().get("restartCount") == 1)


async def test_readiness_is_not_asked_before_the_startup_probe_has_succeeded(node: Node) -> None:
    node.runtime.answering = False
    patient = {**ASKED, "failureThreshold": 1000}
    async with node.running(pod(container={"readinessProbe": ASKED, "startupProbe": patient})):
        await until(lambda: node.runtime.started)
        await asyncio.sleep(0.03)
        assert not node.container()["started"]
        node.runtime.started[0].answering = True
        await until(lambda: is_ready(node.api.pods["web-1"]))
        assert node.container()["started"]


@pytest.mark.parametrize(
    ("stubborn", "signals"), [(False, ["TERM"]), (True, ["TERM", "KILL"])], ids=["willing", "stubborn"]
)
async def test_a_deleted_pod_ends_within_its_grace_period_and_is_gone(
    node: Node, stubborn: bool, signals: list[str]
) -> None:
    node.runtime.stubborn = stubborn
    async with node.running(pod()):
        await until(lambda: is_ready(node.api.pods["web-1"]))
        node.api.mark_deleted("web-1", grace=0.05)
        await until(lambda: node.api.removed)
        assert node.runtime.started[0].signals == signals
        await until(lambda: node.runtime.forgotten == ["web-1"])
    assert len(node.runtime.started) == 1
    assert not node.kubelet.lives


async def test_before_it_is_asked_to_end_a_container_has_the_time_that_its_hook_says(node: Node) -> None:
    hook = {"lifecycle": {"preStop": {"sleep": {"seconds": 0.1}}}}
    async with node.running(pod(container=hook)):
        await until(lambda: is_ready(node.api.pods["web-1"]))
        node.api.mark_deleted("web-1")
        await asyncio.sleep(0.05)
        assert node.runtime.started[0].signals == []
        await until(lambda: node.api.removed)
    assert node.runtime.started[0].signals == ["TERM"]


async def test_a_pod_that_is_gone_from_the_api_server_ends_at_once(node: Node) -> None:
    node.runtime.stubborn = True
    async with node.running(pod(terminationGracePeriodSeconds=60)):
        await until(lambda: is_ready(node.api.pods["web-1"]))
        node.api.put(node.api.pods["web-1"], "DELETED")
        await until(lambda: node.runtime.started[0].signals == ["KILL"])


async def test_a_pod_that_backs_off_is_deleted_without_waiting(node: Node) -> None:
    node.runtime.refusals = ["not yet"] * 1000
    async with node.running(pod()):
        await until(node.container)
        node.api.mark_deleted("web-1", grace=60)
        await until(lambda: node.api.removed == ["web-1"])


@pytest.mark.parametrize(
    ("policy", "code", "phase"),
    [
        ("Never", 0, "Succeeded"),
        ("Never", 2, "Failed"),
        ("OnFailure", 0, "Succeeded"),
        ("Never", -9, "Failed"),
    ],
)
async def test_a_jobs_pod_comes_to_its_end_and_stays(node: Node, policy: str, code: int, phase: str) -> None:
    async with node.running(pod(restartPolicy=policy)):
        await until(lambda: node.runtime.started)
        node.runtime.started[0].end(code)
        await until(lambda: node.status()["phase"] == phase)
        await asyncio.sleep(0.03)
        assert len(node.runtime.started) == 1
        assert not node.api.removed
        assert node.container()["state"]["terminated"]["exitCode"] == (137 if code == -9 else code)
        node.api.mark_deleted("web-1")
        await until(lambda: node.api.removed == ["web-1"])


async def test_a_kubelet_that_ends_lets_containers_end_and_keeps_the_pods(node: Node) -> None:
    async with node.running(pod()):
        await until(lambda: is_ready(node.api.pods["web-1"]))
    assert node.runtime.started[0].signals == ["TERM"]
    assert not is_ready(node.api.pods["web-1"])
    assert not node.api.removed
    again = Kubelet(cast("Api", node.api), node.runtime, timing=FAST)
    task = asyncio.create_task(again.run())
    await until(lambda: is_ready(node.api.pods["web-1"]))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

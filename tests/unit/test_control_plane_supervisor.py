"""The supervisor of a control plane, with small servers in place of its parts."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from agent_infra.local import cluster
from agent_infra.local.cluster import ClusterOptions, ClusterStatus, PartState, states
from agent_infra.local.cluster.options import Places
from agent_infra.local.cluster.parts import OBJECTS, Part, Probe
from agent_infra.local.cluster.plan import Plan
from agent_infra.local.cluster.ports import Ports
from agent_infra.local.cluster.supervisor import Supervisor, Work
from agent_infra.local.environment import LocalEnvironment, LocalError
from tests.unit.test_control_plane_plan import TOOLS

#: Answers every request with 200, from a socket that is bound as Go binds its own.
SERVER = """
import socket, sys
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", int(sys.argv[1])))
server.listen()
while True:
    connection, _ = server.accept()
    connection.recv(1000)
    connection.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-length: 0\\r\\n\\r\\n")
    connection.close()
"""
SECONDS = 15.0


def part(name: str, *needs: str, code: str = SERVER) -> Part:
    return Part(
        name,
        lambda plan: [sys.executable, "-S", "-E", "-c", code, str(plan.ports[name])],
        lambda plan: Probe(plan.url(name, "/", scheme="http")),
        needs=needs,
        ports=(name,),
    )


def nothing(plan: Plan) -> None:
    pass


class Cluster:
    """A supervisor that runs in this process, and what it writes down."""

    def __init__(self, environment: LocalEnvironment, supervisor: Supervisor) -> None:
        self.environment = environment
        self.supervisor = supervisor

    @property
    def status(self) -> ClusterStatus:
        return states.read(Places(self.environment.cluster_dir).status)

    async def until(self, wanted: Callable[[ClusterStatus], bool]) -> ClusterStatus:
        deadline = time.monotonic() + SECONDS
        while not wanted(found := self.status):
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.02)
        return found


@asynccontextmanager
async def running(root: Path, *parts: Part, work: Work | None = None) -> AsyncIterator[Cluster]:
    environment = LocalEnvironment(root)
    work = work or Work(nothing, nothing)
    supervisor = Supervisor(environment, parts, ClusterOptions(), TOOLS, work)
    task = asyncio.create_task(supervisor.run())
    try:
        yield Cluster(environment, supervisor)
    finally:
        supervisor.stop()
        await task


def ready(status: ClusterStatus) -> bool:
    return status.ready


async def test_parts_start_after_what_they_need_and_end_before_it(tmp_path: Path) -> None:
    order: list[str] = []
    work = Work(lambda plan: order.append("objects"), lambda plan: order.append("ready"))
    async with running(
        tmp_path, part("store"), part("server", "store"), part("user", OBJECTS), work=work
    ) as own:
        found = await own.until(ready)
        created = {each.name: each.created for each in found.parts}
        assert created["store"] < created["server"]
        assert order == ["objects", "ready"]
        assert all(each.state is PartState.RUNNING and each.pid for each in found.parts)
        pids = [each.pid for each in found.parts]
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    assert own.status.pid == 0
    assert {each.state for each in own.status.parts} == {PartState.STOPPED}


async def test_a_killed_part_is_started_again_on_its_port_and_it_is_told(tmp_path: Path) -> None:
    async with running(tmp_path, part("store")) as own:
        before = (await own.until(ready)).part("store")
        os.kill(before.pid, signal.SIGKILL)
        await own.until(lambda status: not status.ready)
        after = (await own.until(ready)).part("store")
    assert (after.pid != before.pid, after.port, after.restarts) == (True, before.port, 1)


async def test_a_part_that_hangs_is_killed_and_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_infra.local.cluster.running._RUNNING_LOOK_SECONDS", 0.02)
    monkeypatch.setattr("agent_infra.local.cluster.running._ASK_SECONDS", 0.5)
    monkeypatch.setattr("agent_infra.local.cluster.running._SILENT_LOOKS", 2)
    async with running(tmp_path, part("store")) as own:
        before = (await own.until(ready)).part("store")
        os.kill(before.pid, signal.SIGSTOP)
        after = await own.until(lambda status: status.ready and status.part("store").pid != before.pid)
        assert after.part("store").restarts == 1


async def test_a_part_is_started_again_when_what_it_is_told_changes_and_that_is_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_infra.local.cluster.running._RUNNING_LOOK_SECONDS", 0.05)
    told = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    asking = replace(part("store"), variables=lambda plan: dict(told))
    async with running(tmp_path, asking) as own:
        before = (await own.until(ready)).part("store")
        told["AWS_ENDPOINT_URL"] = "http://127.0.0.1:2"
        after = await own.until(lambda status: status.ready and status.part("store").pid != before.pid)
        environ = psutil.Process(after.part("store").pid).environ()
    assert (environ["AWS_ENDPOINT_URL"], after.part("store").restarts) == ("http://127.0.0.1:2", 0)


async def test_a_part_that_ends_again_and_again_is_failing_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_infra.local.cluster.running._BACKOFF_SECONDS", (0.0,))
    code = "raise SystemExit('no room for me here')"
    async with running(tmp_path, part("store", code=code), part("server", "store")) as own:
        found = await own.until(lambda status: bool(status.failing))
        store = found.part("store")
        assert "no room for me here" in store.detail
        assert "exit code 1" in store.detail
        assert found.part("server").state is PartState.WAITING
        assert not found.ready


async def test_who_has_too_many_clusters_is_told_which_limit_is_in_the_way(tmp_path: Path) -> None:
    code = "raise SystemExit('error connecting: too many open files')"
    async with running(tmp_path, part("store", code=code)) as own:
        found = await own.until(lambda status: bool(status.part("store").restarts))
    assert "fs.inotify.max_user_instances" in found.part("store").detail


async def test_a_program_that_is_gone_is_told_by_its_name(tmp_path: Path) -> None:
    gone = Part("store", lambda plan: ["/no/such/program"], lambda plan: Probe("http://127.0.0.1:9/"))
    async with running(tmp_path, gone) as own:
        found = await own.until(lambda status: bool(status.part("store").restarts))
    assert "/no/such/program" in found.part("store").detail or "No such file" in found.part("store").detail


async def test_what_the_api_server_refuses_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_infra.local.cluster.supervisor._AGAIN_SECONDS", 0.2)
    tries: list[int] = []

    def refused(plan: Plan) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise LocalError("PATCH /api/v1/nodes/node-0: no nodes today")

    async with running(tmp_path, part("store"), work=Work(refused, nothing)) as own:
        await own.until(lambda status: "no nodes today" in status.detail)
        found = await own.until(ready)
    assert (found.detail, len(tries)) == ("", 2)


async def test_two_clusters_at_once_have_ports_of_their_own_and_keep_them(tmp_path: Path) -> None:
    async with (
        running(tmp_path / "one", part("store")) as one,
        running(tmp_path / "two", part("store")) as two,
    ):
        ports = [(await own.until(ready)).ports["store"] for own in (one, two)]
    assert len(set(ports)) == 2
    async with running(tmp_path / "one", part("store")) as one:
        assert (await one.until(ready)).ports["store"] == ports[0]


async def test_a_deleted_environment_ends_its_cluster(tmp_path: Path) -> None:
    async with running(tmp_path / "one", part("store")) as own:
        pid = (await own.until(ready)).part("store").pid
        shutil.rmtree(own.environment.root)
        deadline = time.monotonic() + SECONDS
        while psutil.pid_exists(pid):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
    assert not own.environment.root.exists()


def test_a_port_that_another_program_has_taken_is_not_taken_from_it(tmp_path: Path) -> None:
    first = Ports(["store"], {})
    number = first.numbers["store"]
    first.close()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", number))
        other.listen()
        second = Ports(["store"], {"store": number})
    assert second.numbers["store"] != number
    second.close()


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"pid": "x", "ports": {}, "parts": []}'])
def test_a_damaged_status_file_is_as_none(tmp_path: Path, content: str) -> None:
    file = tmp_path / "status.json"
    file.write_text(content)
    assert states.read(file) == ClusterStatus()


def test_a_cluster_that_was_never_started_has_no_kubeconfig_and_nothing_to_stop(tmp_path: Path) -> None:
    environment = LocalEnvironment(tmp_path / "local")
    cluster.stop(environment)
    cluster.destroy(environment)
    assert cluster.status(environment) == ClusterStatus()
    with pytest.raises(LocalError, match="agent-infra cluster start"):
        cluster.kubeconfig(environment)
    assert not environment.root.exists()

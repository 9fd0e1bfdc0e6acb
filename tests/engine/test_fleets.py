"""A real supervisor over hand-written manifests, whose pods are a small web server."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from agent_infra.local import fleets
from agent_infra.local.environment import LocalEnvironment, LocalError
from agent_infra.local.fleets.front import PORT_ANNOTATION
from agent_infra.local.services.process import free_port

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("fleets")]

SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{os.environ['VERSION']} {os.getpid()}".encode()
        self.send_response(500 if os.environ["VERSION"] == "bad" else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
print("serving", os.environ["VERSION"], flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["AGENT_APP_PORT"])), Handler).serve_forever()
"""


class Fleet:
    """An environment with one fleet, and what a test does to it."""

    def __init__(self, root: Path) -> None:
        self.environment = LocalEnvironment(root / "local")
        self.environment.manifests_dir.mkdir(parents=True)
        self.environment.logs_dir.mkdir()
        self.script = root / "server.py"
        self.port = _port_of_its_own()
        self.script.write_text(SERVER)

    def say(self, version: str, *, replicas: int = 2, **container: Any) -> None:
        labels = {"app.kubernetes.io/managed-by": "agent-infra", "app": "web"}
        pod = {
            "name": "web",
            "image": "web:1",
            "command": [sys.executable, str(self.script)],
            "env": [{"name": "VERSION", "value": version}],
            "readinessProbe": {"httpGet": {"path": "/", "port": 8000}},
            **container,
        }
        objects = [
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "web", "namespace": "agents", "labels": labels},
                "spec": {
                    "replicas": replicas,
                    "progressDeadlineSeconds": 4,
                    "selector": {"matchLabels": {"app": "web"}},
                    "template": {"metadata": {"labels": labels}, "spec": {"containers": [pod]}},
                },
            },
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {
                    "name": "web",
                    "namespace": "agents",
                    "annotations": {PORT_ANNOTATION: str(self.port)},
                },
                "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8000}]},
            },
        ]
        (self.environment.manifests_dir / "all.yaml").write_text(yaml.safe_dump_all(objects))

    @property
    def address(self) -> str:
        return fleets.status(self.environment).services["web"].address

    def ask(self) -> str:
        with urllib.request.urlopen(self.address, timeout=5) as response:
            return str(response.read().decode())

    @property
    def ready(self) -> int:
        return fleets.status(self.environment).fleets["web"].ready


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path)
    try:
        yield made
    finally:
        fleets.stop(made.environment)


def _port_of_its_own() -> int:
    """Below those that the system gives out, and not the one every other environment asks for first:
    nobody takes it while a supervisor is down."""
    return next(port for port in random.sample(range(20_000, 30_000), 50) if free_port(port) == port)


def eventually(true: Any, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def processes(fleet: Fleet) -> list[int]:
    mine = str(fleet.script)
    return [p.pid for p in psutil.process_iter(["cmdline"]) if mine in (p.info["cmdline"] or [])]


def test_the_declared_number_of_processes_answers_behind_one_address(fleet: Fleet) -> None:
    fleet.say("one", replicas=3)
    status = fleets.apply(fleet.environment)
    assert status.fleets["web"].ready == 3
    assert len({fleet.ask() for _ in range(9)}) == 3
    fleet.say("one", replicas=1)
    assert fleets.apply(fleet.environment).fleets["web"].ready == 1
    eventually(lambda: len(processes(fleet)) == 1)


def test_a_killed_replica_comes_back(fleet: Fleet) -> None:
    fleet.say("one")
    replicas = fleets.apply(fleet.environment).fleets["web"].replicas
    os.kill(replicas[0].pid, signal.SIGKILL)
    eventually(lambda: replicas[0].pid not in processes(fleet))
    eventually(lambda: fleet.ready == 2)
    assert fleet.ask().startswith("one")


def test_a_new_revision_takes_over_without_one_failed_request(fleet: Fleet) -> None:
    fleet.say("one")
    fleets.apply(fleet.environment)
    answers: list[str] = []
    failures: list[Exception] = []
    over = threading.Event()

    def keep_asking() -> None:
        deadline = time.monotonic() + 60
        while not over.is_set() and time.monotonic() < deadline:
            try:
                answers.append(fleet.ask())
            except (urllib.error.URLError, OSError) as error:
                failures.append(error)
            time.sleep(0.02)

    asker = threading.Thread(target=keep_asking)
    asker.start()
    try:
        fleet.say("two")
        fleets.apply(fleet.environment)
        time.sleep(0.5)
    finally:
        over.set()
        asker.join()
    assert failures == []
    assert answers[0].startswith("one") and answers[-1].startswith("two")


def test_a_bad_revision_is_given_up_and_the_old_one_serves_on(fleet: Fleet) -> None:
    fleet.say("one")
    fleets.apply(fleet.environment)
    fleet.say("bad")
    with pytest.raises(LocalError, match=r"web: its newest revision did not get ready.*\n.*serving bad"):
        fleets.apply(fleet.environment)
    assert {fleet.ask().split()[0] for _ in range(6)} == {"one"}
    fleet.say("three")
    fleets.apply(fleet.environment)
    assert fleet.ask().startswith("three")


def test_what_cannot_run_here_says_why(fleet: Fleet) -> None:
    fleet.say("one", command=None)
    with pytest.raises(LocalError, match=r"leaves the command to the image 'web:1'.*say `command`"):
        fleets.apply(fleet.environment)
    fleet.say("one", env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "a"}}}])
    with pytest.raises(LocalError, match="Secret 'keys' in namespace 'agents', and there is none"):
        fleets.apply(fleet.environment)


def test_stop_leaves_no_process_and_a_killed_supervisor_takes_its_replicas_along(fleet: Fleet) -> None:
    fleet.say("one")
    supervisor = psutil.Process(fleets.apply(fleet.environment).pid)
    address = fleet.address
    supervisor.kill()
    eventually(lambda: not processes(fleet))
    fleets.apply(fleet.environment)
    assert fleet.address == address == f"http://127.0.0.1:{fleet.port}"
    fleets.stop(fleet.environment)
    assert processes(fleet) == []
    assert fleets.status(fleet.environment).fleets == {}
    fleets.stop(fleet.environment)


def test_a_supervisor_whose_record_was_damaged_is_replaced(fleet: Fleet) -> None:
    fleet.say("one")
    first = fleets.apply(fleet.environment).pid
    address = fleet.address
    fleet.environment.fleets_file.write_text("{")
    assert fleets.status(fleet.environment).fleets == {}
    second = fleets.apply(fleet.environment)
    assert not psutil.pid_exists(first)
    assert second.pid != first
    assert len(processes(fleet)) == 2
    assert fleet.address.rpartition(":")[0] == address.rpartition(":")[0]
    fleet.environment.fleets_file.write_text("{")
    fleets.stop(fleet.environment)
    assert processes(fleet) == []

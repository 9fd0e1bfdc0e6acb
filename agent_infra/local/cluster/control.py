"""How everybody else speaks to a cluster's supervisor."""

from __future__ import annotations

import fcntl
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil

from agent_infra.local import tools
from agent_infra.local.cluster import certificates, plan, states
from agent_infra.local.cluster.options import ClusterOptions, Places
from agent_infra.local.cluster.states import ClusterStatus, PartState, PartStatus
from agent_infra.local.environment import LocalEnvironment, LocalError, plainly
from agent_infra.local.progress import Report, silent
from agent_infra.local.services.process import Identity, end, last_words, living_in
from agent_infra.local.services.process import start as start_process

_MODULE = "agent_infra.local.cluster"
_LOOK_SECONDS = 0.1
_START_SECONDS = 120.0
_STOP_SECONDS = 20.0
#: Parts end by themselves when their supervisor does; what is left is asked once more.
_STRAY_SECONDS = 2.0


def start(
    environment: LocalEnvironment,
    report: Report | None = None,
    options: ClusterOptions | None = None,
    *,
    seconds: float = _START_SECONDS,
) -> ClusterStatus:
    """Starts a control plane and waits until it is ready; one that runs with the same options is left alone.

    Objects that were there before are there again.

    Args:
        environment: whose; its services need not run, but KEDA reads its moto.
        report: is told what is going on.
        options: what is asked for; otherwise as it was asked for last, or the defaults.
        seconds: how long to wait.

    Raises:
        LocalError: a tool is missing, or a part does not get ready: the message has its last words.
    """
    say = report or silent
    places = Places(environment.cluster_dir)
    with plainly(environment.root), _held(environment, say):
        before = _last(environment)
        wanted = options or (before[0] if before else ClusterOptions())
        found = tools.ensure_cluster(say, argo=wanted.argo)
        running = _supervisor(environment)
        if running is not None and before != (wanted, found):
            say("Ending the cluster, to start it with other options", 5)
            end(running, seconds=_STOP_SECONDS)
            running = None
        if running is None:
            _end_strays(environment)
            plan.write(environment, wanted, found)
            certificates.ensure(places.certificates)
            say("Starting the control plane", 10)
            log = places.logs / "supervisor.log"
            running = start_process(
                [sys.executable, "-P", "-m", _MODULE, str(environment.root)], log=log, directory=places.root
            )
        return _ready(environment, running, seconds)


def stop(environment: LocalEnvironment) -> None:
    """Ends a control plane; its objects stay, for the next start.

    Raises:
        LocalError: a process is another user's.
    """
    if not environment.cluster_dir.exists():
        return
    with plainly(environment.root), _held(environment, silent):
        running = _supervisor(environment)
        if running is not None:
            end(running, seconds=_STOP_SECONDS)
        _end_strays(environment)


def destroy(environment: LocalEnvironment) -> None:
    """Ends a control plane and deletes all that it has.

    Raises:
        LocalError: a process is another user's, or something may not be deleted.
    """
    stop(environment)
    with plainly(environment.cluster_dir):
        if environment.cluster_dir.exists():
            shutil.rmtree(environment.cluster_dir)


def status(environment: LocalEnvironment) -> ClusterStatus:
    """How each part is now, with the memory that it holds. Changes nothing."""
    found = states.read(Places(environment.cluster_dir).status)
    if _supervisor(environment) is None:
        killed = found.pid != 0
        detail = "its supervisor was ended from outside; start it again" if killed else ""
        ports = {part.name: part for part in found.parts}
        stopped = [PartStatus(name, port=part.port, log=part.log) for name, part in ports.items()]
        return ClusterStatus(ports=found.ports, parts=stopped, detail=detail)
    return replace(found, parts=[replace(part, memory_bytes=_memory(part)) for part in found.parts])


def kubeconfig(environment: LocalEnvironment) -> Path:
    """The administrator's kubeconfig.

    Raises:
        LocalError: the cluster was never started.
    """
    file = Places(environment.cluster_dir).kubeconfig
    if not file.exists():
        raise LocalError(
            f"Environment {environment.name!r} has no cluster: run `agent-infra cluster start` first."
        )
    return file


def last_options(environment: LocalEnvironment) -> ClusterOptions:
    """What was asked for last, or the defaults."""
    last = _last(environment)
    return last[0] if last else ClusterOptions()


def _last(environment: LocalEnvironment) -> tuple[ClusterOptions, tools.ClusterTools] | None:
    try:
        return plan.read(environment)
    except LocalError:
        return None


def _supervisor(environment: LocalEnvironment) -> psutil.Process | None:
    known = states.read(Places(environment.cluster_dir).status)
    return Identity(known.pid, known.created).process() if known.pid else None


def _end_strays(environment: LocalEnvironment) -> None:
    """Ends what runs for this cluster and nothing written down leads to."""
    places = Places(environment.cluster_dir)
    for stray in living_in(places.root, lambda process: _MODULE in process.cmdline()):
        end(stray, seconds=_STOP_SECONDS)
    if not places.run.exists():
        return
    deadline = time.monotonic() + _STRAY_SECONDS
    while strays := living_in(places.run, lambda _: True):
        if time.monotonic() > deadline:
            break
        time.sleep(_LOOK_SECONDS)
    for stray in strays:
        end(stray, seconds=_STRAY_SECONDS)


def _ready(environment: LocalEnvironment, running: psutil.Process, seconds: float) -> ClusterStatus:
    places = Places(environment.cluster_dir)
    identity = Identity.of(running)
    deadline = time.monotonic() + seconds
    while True:
        now = states.read(places.status)
        if now.pid == running.pid and now.ready:
            return status(environment)
        if identity.process() is None:
            raise LocalError(f"The cluster's supervisor ended. {last_words(places.logs / 'supervisor.log')}")
        if now.pid == running.pid and now.failing:
            part = now.failing[0]
            raise LocalError(f"{part.name} does not start. {part.detail}")
        if time.monotonic() > deadline:
            raise LocalError(f"The cluster is not ready after {seconds:.0f} s. {_why(now)}")
        time.sleep(_LOOK_SECONDS)


def _why(now: ClusterStatus) -> str:
    waiting = [f"{part.name} is {part.state}" for part in now.parts if part.state is not PartState.RUNNING]
    return "; ".join([*waiting, *([now.detail] if now.detail else [])])


def _memory(part: PartStatus) -> int:
    process = Identity(part.pid, part.created).process() if part.pid else None
    try:
        return process.memory_full_info().uss if process else 0
    except psutil.Error:
        return 0


@contextmanager
def _held(environment: LocalEnvironment, say: Report) -> Iterator[None]:
    """One start or stop at a time."""
    places = Places(environment.cluster_dir)
    places.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with places.lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another start or stop of the cluster")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield

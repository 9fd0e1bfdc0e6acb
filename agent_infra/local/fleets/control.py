"""How everybody else speaks to an environment's supervisor."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import psutil

from agent_infra.local.environment import LocalEnvironment, LocalError
from agent_infra.local.fleets import manifests
from agent_infra.local.fleets.status import FleetsStatus, FleetState, read_status
from agent_infra.local.services.process import Identity, end, last_words, living_in
from agent_infra.local.services.process import start as start_process

_MODULE = "agent_infra.local.fleets"
_LOOK_SECONDS = 0.1
#: More than a rollout's own deadline, so that the supervisor has the first word.
_APPLY_SECONDS = 180.0
_STOP_SECONDS = 60.0


def _supervisor(environment: LocalEnvironment) -> psutil.Process | None:
    known = read_status(environment.fleets_file)
    return Identity(known.pid, known.created).process() if known.pid else None


def _strays(environment: LocalEnvironment) -> list[psutil.Process]:
    """Supervisors that nothing written down leads to: fleets.json was lost or damaged."""
    return living_in(environment.root, lambda process: _MODULE in process.cmdline())


def start(environment: LocalEnvironment, *, kubeconfig: Path | None = None) -> None:
    """Starts the supervisor, or tells the one that runs to look at what is wanted.

    Args:
        environment: whose.
        kubeconfig: of the API server that says what is wanted; None where the manifests' files do.

    Raises:
        LocalError: it does not start.
    """
    running = _supervisor(environment)
    if running is not None:
        if read_status(environment.fleets_file).kubeconfig == str(kubeconfig or ""):
            running.send_signal(signal.SIGHUP)
            return
        stop(environment)
    for stray in _strays(environment):
        end(stray, seconds=_STOP_SECONDS)
    log = environment.logs_dir / "supervisor.log"
    process = start_process(
        [sys.executable, "-m", _MODULE, str(environment.root), *([str(kubeconfig)] if kubeconfig else [])],
        log=log,
        directory=environment.root,
    )
    identity = Identity.of(process)
    deadline = time.monotonic() + 20
    while read_status(environment.fleets_file).pid != process.pid:
        if identity.process() is None or time.monotonic() > deadline:
            raise LocalError(f"The fleets' supervisor does not start. {last_words(log)}")
        time.sleep(_LOOK_SECONDS)


def apply(
    environment: LocalEnvironment, *, kubeconfig: Path | None = None, seconds: float = _APPLY_SECONDS
) -> FleetsStatus:
    """Waits until every fleet runs what the manifests, or the API server of a kubeconfig, say now.

    Raises:
        LocalError: a fleet cannot run, or did not get ready in time; what ran before serves on.
    """
    if kubeconfig is None:
        wanted = manifests.read(environment.manifests_dir).digest
    else:
        from agent_infra.local.kubelet.wanted import wanted_digest

        wanted = wanted_digest(kubeconfig)
    start(environment, kubeconfig=kubeconfig)
    deadline = time.monotonic() + seconds
    while True:
        now = status(environment)
        if now.digest == wanted and now.settled:
            break
        if time.monotonic() > deadline:
            raise LocalError(
                f"The fleets did not settle within {seconds:.0f} s: `agent-infra status` shows them."
            )
        if _supervisor(environment) is None:
            raise LocalError(
                f"The fleets' supervisor ended. {last_words(environment.logs_dir / 'supervisor.log')}"
            )
        time.sleep(_LOOK_SECONDS)
    bad = [
        f"{name}: {fleet.message}"
        for name, fleet in now.fleets.items()
        if fleet.state is not FleetState.RUNNING
    ]
    if bad:
        raise LocalError("Not every fleet runs:\n" + "\n".join(bad))
    return now


def stop(environment: LocalEnvironment) -> None:
    """Ends the supervisor and with it every replica, each within its grace period."""
    running = _supervisor(environment)
    before = read_status(environment.fleets_file)
    if running is not None:
        end(running, seconds=_STOP_SECONDS)
    for stray in _strays(environment):
        end(stray, seconds=_STOP_SECONDS)
    replicas = [
        process
        for fleet in before.fleets.values()
        for replica in fleet.replicas
        if (process := Identity(replica.pid, replica.created).process()) is not None
    ]
    for process in replicas:
        process.kill()
    psutil.wait_procs(replicas, timeout=5)


def status(environment: LocalEnvironment) -> FleetsStatus:
    """What runs now; nothing where the supervisor does not run."""
    if _supervisor(environment) is None:
        return FleetsStatus()
    return read_status(environment.fleets_file)

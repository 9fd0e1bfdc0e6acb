"""A roll-out's deadline, without processes."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent_infra.local.fleets import deployment as deployments
from agent_infra.local.fleets.deployment import Deployment
from agent_infra.local.fleets.status import FleetState


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    now = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr(deployments.time, "monotonic", lambda: now.seconds)
    return now


def _deployment(tmp_path: Path, *ready: bool) -> tuple[Deployment, list[Any]]:
    made = Deployment("web", tmp_path)
    pod: Any = SimpleNamespace(revision="1", init_commands=(), deadline_seconds=60.0)
    made.want(pod, len(ready))
    replicas: list[Any] = [
        SimpleNamespace(revision="1", ready=each, ending=False, started=0.0, log=tmp_path / "none")
        for each in ready
    ]
    made.replicas = replicas
    return made, replicas


def _state(made: Deployment) -> FleetState:
    made._judge()
    return made._state()[0]


def test_a_revision_without_progress_is_given_up_at_its_deadline(tmp_path: Path, clock: Any) -> None:
    made, _ = _deployment(tmp_path, False, False)
    assert _state(made) is FleetState.PROGRESSING
    clock.seconds += 61
    assert _state(made) is FleetState.DEGRADED


def test_each_replica_that_gets_ready_begins_the_deadline_anew(tmp_path: Path, clock: Any) -> None:
    made, replicas = _deployment(tmp_path, False, False, False)
    for replica in replicas[:2]:
        clock.seconds += 50
        replica.ready = True
        assert _state(made) is FleetState.PROGRESSING
    # One that gets ready and dies again and again is no progress.
    for _ in range(2):
        replicas[0].ready = not replicas[0].ready
        clock.seconds += 31
        state = _state(made)
    assert state is FleetState.DEGRADED

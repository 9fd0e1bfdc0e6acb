import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent_infra.local.environment import LocalEnvironment, LocalError
from agent_infra.local.lock import locked
from agent_infra.local.state import State


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(LocalEnvironment(tmp_path / "local"), "shop", "local")


def write_checkpoint(state: State, resources: list[dict[str, Any]], **latest: Any) -> None:
    state.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    content = {"version": 3, "checkpoint": {"latest": {"resources": resources, **latest}}}
    state.checkpoint.write_text(json.dumps(content))


QUEUE = {"type": "aws:sqs/queue:Queue", "urn": "urn:pulumi:local::shop::aws:sqs/queue:Queue::tasks"}


def test_a_stack_without_resources_is_not_forgotten(state: State) -> None:
    assert not state.forgotten_by("one")
    write_checkpoint(state, [{"type": "pulumi:pulumi:Stack"}])
    assert not state.forgotten_by("one")


def test_a_cloud_started_anew_has_forgotten_what_the_state_knows(state: State) -> None:
    write_checkpoint(state, [QUEUE])
    state.remember("one")
    assert not state.forgotten_by("one")
    assert state.forgotten_by("two")


def test_an_interrupted_run_shows(state: State) -> None:
    write_checkpoint(state, [QUEUE])
    assert not state.interrupted()
    write_checkpoint(state, [QUEUE], pending_operations=[{"type": "creating"}])
    assert state.interrupted()
    state.forget_interruption()
    assert not state.interrupted()
    assert state.resources() == [QUEUE]


def test_a_broken_checkpoint_is_kept_aside_and_its_newest_good_copy_restored(state: State) -> None:
    write_checkpoint(state, [QUEUE])
    good = state.checkpoint.read_text()
    state.checkpoint.with_name("local.json.bak").write_text(good)
    state.checkpoint.write_text(good[:40])
    (said,) = state.mend()
    assert "local.json.corrupt-1" in said
    assert state.checkpoint.read_text() == good
    assert state.checkpoint.with_name("local.json.corrupt-1").read_text() == good[:40]
    assert state.mend() == []


def test_a_broken_checkpoint_without_a_copy_is_kept_too(state: State) -> None:
    write_checkpoint(state, [])
    state.checkpoint.write_text("")
    (said,) = state.mend()
    assert "no good copy" in said
    assert not state.exists


def test_the_lock_of_a_dead_run_is_released(state: State) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    lock = state.environment.state_dir / ".pulumi" / "locks" / "organization" / "shop" / "local" / "a.json"
    lock.parent.mkdir(parents=True)
    lock.write_text(json.dumps({"pid": ended.pid}))
    (said,) = state.mend()
    assert str(ended.pid) in said
    assert not lock.exists()


def test_a_second_run_is_told_who_holds_the_environment(state: State) -> None:
    with (
        locked(state.environment, action="agent-infra up"),
        pytest.raises(LocalError, match=rf"`agent-infra up` \(process {os.getpid()}"),
        locked(state.environment, action="agent-infra destroy"),
    ):
        pass
    with locked(state.environment, action="agent-infra destroy"):
        pass

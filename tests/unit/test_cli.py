import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from pulumi.automation.events import DiagnosticEvent, EngineEvent
from rich.text import Text
from typer.testing import CliRunner

from agent_infra.automation import Diagnostic, Event, Phase, Progress, Step, UpdateResult
from agent_infra.automation.errors import EnvironmentLocked, UpdateCancelled, UpdateFailed, from_command
from agent_infra.automation.events import translate
from agent_infra.cli import interruption
from agent_infra.cli.display import line, summary
from agent_infra.cli.interruption import interruptible
from agent_infra.cli.main import app


def plain(text: Text | None) -> str | None:
    return text.plain if text is not None else None


def step(op: str, *, done: bool = True, failed: bool = False) -> Step:
    return Step(op=op, type="aws:sqs/queue:Queue", name="tasks", urn="urn", done=done, failed=failed)


def test_what_changes_is_a_line_and_what_stays_is_not() -> None:
    assert plain(line(step("create"))) == "+ tasks (aws Queue)"
    assert plain(line(step("delete", failed=True))) == "! delete failed: tasks (aws Queue)"
    assert line(step("same")) is None
    assert line(step("create", done=False)) is None
    assert plain(line(Phase("Building", 90))) == "Building (about 90 s) ..."
    assert plain(line(Diagnostic("warning", "old"))) == "warning: old"
    assert plain(line(Diagnostic("warning", "old", "urn:x::web"))) == "warning: web: old"
    assert plain(line(Progress("[2/2] 1 of 3", "web", "urn:x::web"))) == "  web: [2/2] 1 of 3"
    assert line(Progress("", "web", "urn:x::web")) is None


def test_a_result_is_told_in_one_line() -> None:
    result = UpdateResult("local", "up", {"create": 2, "same": 40}, 12.4)
    assert summary(result) == "up local: 2 created, 40 unchanged in 12 s"
    assert result.changed == 2
    assert summary(UpdateResult("dev", "destroy", {}, 0.1)) == "destroy dev: nothing to do in 0 s"


class Failed(Exception):
    pass


def test_the_engines_failures_become_errors_with_a_way_out() -> None:
    locked = from_command(
        Failed("error: the stack is currently locked by 1 lock(s).\n  x.json: created by me@host (pid 7)"),  # type: ignore[arg-type] # only its text is read
        action="up",
        problems=[],
    )
    assert isinstance(locked, EnvironmentLocked)
    assert "pid 7" in str(locked)
    for text in ("error: update canceled", "error: update cancelled", "code: -2\nstdout:", "signal: killed"):
        cancelled = from_command(Failed(text), action="up", problems=[])  # type: ignore[arg-type] # the same
        assert isinstance(cancelled, UpdateCancelled)
    failed = from_command(Failed("code: 255\nstderr: error: no"), action="up", problems=["tasks: bad"])  # type: ignore[arg-type] # the same
    assert isinstance(failed, UpdateFailed)
    assert failed.problems == ("tasks: bad",)


def test_outside_a_project_a_command_says_so_in_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(app, ["up"])
    assert told.exit_code == 1
    assert told.stderr.startswith("agent-infra: No Pulumi.yaml in")
    as_json = CliRunner().invoke(app, ["up", "--json"])
    assert json.loads(as_json.stdout)["kind"] == "error"


def test_many_failures_of_one_cause_are_counted_and_all_kept() -> None:
    failed = UpdateFailed("up", [f"queue-{number}: gone" for number in range(12)])
    assert str(failed).splitlines()[-1] == "and 2 more"
    assert str(failed).count("gone") == 10
    assert len(failed.problems) == 12


def test_what_the_engine_adds_to_the_reasons_is_left_out() -> None:
    def told(message: str) -> object:
        return translate(EngineEvent(0, 0, diagnostic_event=DiagnosticEvent(message, "never", "error")))

    assert told("update failed") is None
    assert told("an unhandled error occurred: program exited with non-zero exit code: 1") is None
    assert told("the queue is gone") == Diagnostic("error", "the queue is gone")


def test_what_goes_on_with_a_resource_is_progress_and_its_reasons_are_lines() -> None:
    def told(message: str, **more: Any) -> object:
        event = DiagnosticEvent(message, "never", more.pop("severity", "info"), urn="urn:x::web", **more)
        return translate(EngineEvent(0, 0, diagnostic_event=event))

    assert told("1 of 3\n", ephemeral=True) == Progress("1 of 3", "web", "urn:x::web")
    assert told("\n", ephemeral=True) == Progress("", "web", "urn:x::web")
    assert told("1 of 3", ephemeral=True, severity="debug") is None
    reasons = "2 errors occurred:\n\t* web is not ready\n\t* pod a: no node\n\n"
    failed = told(reasons, severity="error")
    assert failed == Diagnostic("error", "web is not ready\n  pod a: no node", "urn:x::web")


def test_what_ctrl_c_cut_off_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Event] = []
    monkeypatch.setattr(interruption, "_engines", lambda: ["an engine"])
    with (
        pytest.raises(UpdateCancelled, match=r"up was stopped.*run it again"),
        interruptible("up") as pressed,
    ):
        listen = pressed.quieten(heard.append)
        listen(Diagnostic("info", "before"))
        os.kill(os.getpid(), signal.SIGINT)
        listen(Diagnostic("info", "Traceback"))
        listen(step("create"))
        raise UpdateFailed("up", ["a call was cut off"])
    assert heard == [Diagnostic("info", "before"), step("create")]
    with pytest.raises(UpdateFailed), interruptible("up"):
        raise UpdateFailed("up", ["nobody pressed anything"])


def test_ctrl_c_before_the_engine_runs_stops_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruption, "_engines", list)
    with pytest.raises(UpdateCancelled), interruptible("up"):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
        pytest.fail("it went on")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose local environment has logs, and runs nothing."""
    (tmp_path / "Pulumi.yaml").write_text("name: mine\nruntime: python\n")
    (tmp_path / "Pulumi.local.yaml").write_text("config: {}\n")
    logs = tmp_path / ".agent-infra" / "local" / "logs"
    logs.mkdir(parents=True)
    for name in ("fleet-support-0", "moto"):
        (logs / f"{name}.log").write_text(f"{name} one\n{name} two\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_logs_are_listed_shown_and_missed(project: Path) -> None:
    assert CliRunner().invoke(app, ["logs"]).stdout == "fleet-support-0\nmoto\n"
    assert CliRunner().invoke(app, ["logs", "support", "-n", "1"]).stdout == "fleet-support-0 two\n"
    missed = CliRunner().invoke(app, ["logs", "suport"])
    assert missed.exit_code == 1
    assert "There is no log of 'suport' in 'local'; there are: fleet-support-0, moto." in missed.stderr


def test_what_is_not_simulated_is_told_for_what_the_stack_says(project: Path) -> None:
    resource = {"type": "aws:sqs/queue:Queue", "urn": "urn", "inputs": {"redriveAllowPolicy": "x"}}
    state = project / ".agent-infra" / "local" / "state" / ".pulumi" / "stacks" / "mine" / "local.json"
    state.parent.mkdir(parents=True)
    state.write_text(json.dumps({"checkpoint": {"latest": {"resources": [resource]}}}))
    told = json.loads(CliRunner().invoke(app, ["status", "--json"]).stdout)["not_simulated"]
    assert [(note["type"], note["property"]) for note in told] == [
        ("aws:sqs/queue:Queue", "redriveAllowPolicy")
    ]
    everything = json.loads(CliRunner().invoke(app, ["status", "--json", "--all"]).stdout)["not_simulated"]
    assert len(everything) > 100
    table = CliRunner().invoke(app, ["status"], env={"COLUMNS": "200"}).stdout
    assert "aws:sqs/queue:Queue  redriveAllowPolicy" in table
    assert "status --all" in table


def test_every_command_has_help() -> None:
    for command in ("up", "preview", "refresh", "destroy", "status", "logs", "chat", "env", "tools", "queue"):
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0

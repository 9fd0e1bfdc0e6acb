"""The life of one environment on the real engine and the local cloud, in the order it is lived."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from agent_infra.automation import AutomationError, Environment, Event, Project, Step, UpdateResult
from agent_infra.local import fleets, services
from tests.engine.conftest import Steps, aws, call, change_settings

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600), pytest.mark.xdist_group("environment")]


#: What a user may have set for the real clouds; nothing of it is for this machine's own.
THEIRS = {
    "AWS_PROFILE": "nobody-here",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
    "PULUMI_CONFIG_PASSPHRASE": "that of another stack",
    "PULUMI_BACKEND_URL": "s3://nobody-here",
}


@pytest.fixture(scope="module")
def environment(project: Project) -> Iterator[Environment]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
            patch.delenv(name, raising=False)
        for name, value in THEIRS.items():
            patch.setenv(name, value)
        yield Environment.open("local", project=project)


@pytest.fixture(scope="module")
def result(environment: Environment) -> UpdateResult:
    """The first `up`."""
    return environment.up()


@pytest.fixture
def address(result: UpdateResult) -> str:
    (address,) = result.endpoints.values()
    return address


def test_the_first_up_creates_and_starts_everything(environment: Environment, result: UpdateResult) -> None:
    assert environment.local is not None
    assert set(result.changes) == {"create"}
    assert {str(service.state) for service in services.status(environment.local)} == {"running"}
    status = fleets.status(environment.local)
    assert status.fleets
    assert all(fleet.ready == fleet.desired for fleet in status.fleets.values())


def test_chat_remembers_the_conversation(address: str) -> None:
    first = call(f"{address}/v1/chat", {"message": "My name is Ada."})
    second = call(f"{address}/v1/chat", {"message": "Again.", "session_id": first["session_id"]})
    assert second["session_id"] == first["session_id"]
    history = call(f"{address}/v1/sessions/{first['session_id']}")
    assert "My name is Ada." in str(history)
    assert "Again." in str(history)


def test_a_task_goes_through_the_queue_and_a_worker(address: str) -> None:
    task = call(f"{address}/v1/tasks", {"input": {"prompt": "Summarise: water is wet."}})
    deadline = time.monotonic() + 60
    while (state := call(f"{address}/v1/tasks/{task['task_id']}"))["status"] not in {"succeeded", "failed"}:
        assert time.monotonic() < deadline, state
        time.sleep(0.2)
    assert state["status"] == "succeeded"
    assert state["result"]


def test_a_second_up_changes_nothing(environment: Environment, result: UpdateResult) -> None:
    steps = Steps()
    assert environment.up(listener=steps).changed == 0, steps.types()


def test_a_preview_changes_nothing_and_a_refresh_finds_nothing(
    environment: Environment, result: UpdateResult
) -> None:
    steps = Steps()
    assert environment.preview().changed == 0
    assert environment.refresh(listener=steps).changed == 0, steps.types()


def test_a_changed_setting_updates_just_what_it_should(
    environment: Environment, result: UpdateResult
) -> None:
    def more_replicas(config: dict[str, Any]) -> None:
        (fleet,) = config["agent-infra:fleets"].values()
        # No more than the database has connections for, or each process gets fewer.
        fleet["replicas"] = {"min": 3, "max": 4}

    change_settings(environment.project, "local", more_replicas)
    steps = Steps()
    environment.up(listener=steps)
    # The worker is left alone; the Deployment hands its number of replicas over to an autoscaler.
    assert {(step.op, step.type.rsplit(":", 1)[-1], step.name) for step in steps.done} == {
        ("create", "HorizontalPodAutoscaler", "support"),
        ("update", "Deployment", "support"),
    }
    assert environment.local is not None
    assert 3 in {fleet.ready for fleet in fleets.status(environment.local).fleets.values()}


def test_a_change_behind_the_engines_back_is_found_and_mended(
    environment: Environment, result: UpdateResult
) -> None:
    sqs = aws(environment, "sqs")
    (url,) = [url for url in sqs.list_queues()["QueueUrls"] if "dead" not in url and "dlq" not in url]
    wanted = ["VisibilityTimeout", "Policy"]
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"]
    # moto drops a queue's policy when it is not said again.
    sqs.set_queue_attributes(QueueUrl=url, Attributes={**before, "VisibilityTimeout": "17"})
    assert environment.refresh().changes.get("update") == 1
    steps = Steps()
    environment.up(listener=steps)
    assert steps.types() == {("update", "aws:sqs/queue:Queue")}
    assert sqs.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"] == before


def test_when_the_cloud_has_forgotten_everything_up_fills_it_again(
    environment: Environment, result: UpdateResult, address: str
) -> None:
    assert environment.local is not None
    kept = call(f"{address}/v1/chat", {"message": "Remember the heron."})["session_id"]
    os.kill(environment.local.service("moto")["pid"], signal.SIGKILL)
    assert environment.up().reconciled
    assert environment.up().changed == 0
    (now,) = [service.address for service in fleets.status(environment.local).services.values()]
    assert "heron" in str(call(f"{now}/v1/sessions/{kept}"))


def test_after_a_lost_state_and_a_killed_engine_up_begins_anew_and_what_people_said_is_kept(
    environment: Environment, result: UpdateResult
) -> None:
    assert environment.local is not None
    (address,) = [service.address for service in fleets.status(environment.local).services.values()]
    kept = call(f"{address}/v1/chat", {"message": "Remember the stork."})["session_id"]
    shutil.rmtree(environment.local.state_dir)

    def kill_in_the_middle(event: Event) -> None:
        if isinstance(event, Step) and event.op == "create" and event.type == "aws:kms/key:Key":
            (engine,) = [each for each in psutil.Process().children() if each.name() == "pulumi"]
            for process in [*engine.children(recursive=True), engine]:
                process.kill()

    with pytest.raises(AutomationError):
        environment.up(listener=kill_in_the_middle)
    again = environment.up()
    assert set(again.changes) <= {"create", "same"}
    assert environment.up().changed == 0
    (address,) = again.endpoints.values()
    assert "stork" in str(call(f"{address}/v1/sessions/{kept}"))


def test_a_run_beside_another_is_told_who_holds_the_environment(
    environment: Environment, result: UpdateResult
) -> None:
    refused: list[AutomationError] = []

    def meanwhile(_event: object) -> None:
        if not refused:
            with pytest.raises(AutomationError, match=r"in use by .*process") as told:
                environment.preview()
            refused.append(told.value)

    environment.preview(listener=meanwhile)
    assert refused


def test_destroy_leaves_the_cloud_empty_and_nothing_running(
    environment: Environment, result: UpdateResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = environment.local
    assert local is not None
    processes = [local.service(name)["pid"] for name in ("moto", "redis", "postgres")]
    stop = services.stop
    left: dict[str, list[Any]] = {}

    def look_then_stop(of: Any, *names: Any) -> None:
        left["queues"] = aws(environment, "sqs").list_queues().get("QueueUrls", [])
        left["secrets"] = aws(environment, "secretsmanager").list_secrets()["SecretList"]
        left["clusters"] = aws(environment, "eks").list_clusters()["clusters"]
        left["databases"] = aws(environment, "rds").describe_db_instances()["DBInstances"]
        left["aurora"] = aws(environment, "rds").describe_db_clusters()["DBClusters"]
        caches = aws(environment, "elasticache").describe_replication_groups()["ReplicationGroups"]
        # moto keeps a deleted one in this state for good.
        left["caches"] = [cache for cache in caches if cache["Status"] != "deleting"]
        left["buckets"] = aws(environment, "s3").list_buckets()["Buckets"]
        left["images"] = aws(environment, "ecr").describe_repositories()["repositories"]
        networks = aws(environment, "ec2").describe_vpcs()["Vpcs"]
        left["networks"] = [network for network in networks if not network["IsDefault"]]
        roles = aws(environment, "iam").list_roles()["Roles"]
        left["roles"] = [role["RoleName"] for role in roles]
        stop(of, *names)

    monkeypatch.setattr(services, "stop", look_then_stop)
    environment.destroy()
    monkeypatch.undo()
    assert "encryptionsalt" not in environment.project.settings_file("local").read_text()
    assert left
    assert {kind: found for kind, found in left.items() if found} == {}
    assert not [pid for pid in processes if psutil.pid_exists(pid)]
    assert str(local.root) not in " ".join(_command_lines())
    environment.destroy()


def _command_lines() -> list[str]:
    return [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]

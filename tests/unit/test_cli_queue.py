"""`agent-infra queue`, against moto's server; what moto has not is stubbed or faked."""

from __future__ import annotations

import builtins
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import NoCredentialsError
from botocore.stub import Stubber
from hypothesis import given, settings
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer
from typer.testing import CliRunner, Result

from agent_infra.automation import AutomationError, Environment, redrives
from agent_infra.automation.queues import Queues
from agent_infra.cli.main import app

REGION = "eu-central-1"
SECRET = "sk-do-not-show"


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.fixture
def sqs(moto: str) -> Any:
    return boto3.client(
        "sqs",
        endpoint_url=moto,
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(proxies={"http": ""}),
    )


class Cloud:
    """A project whose local environment says that its fleets have queues in moto."""

    def __init__(self, root: Path, moto: str, sqs: Any, *, fifo: bool = False) -> None:
        self.sqs = sqs
        ending = ".fifo" if fifo else ""
        made = {"FifoQueue": "true"} if fifo else {}
        name = f"tasks-{uuid.uuid4().hex[:8]}"
        self.url, self.dead = (
            sqs.create_queue(QueueName=f"{name}{part}{ending}", Attributes=made)["QueueUrl"]
            for part in ("", "-dead-letters")
        )
        (root / "Pulumi.yaml").write_text("name: mine\nruntime: python\n")
        (root / "Pulumi.local.yaml").write_text(f"config: {{'aws:region': {REGION}}}\n")
        local = root / ".agent-infra" / "local"
        self.state = local / "state" / ".pulumi" / "stacks" / "mine" / "local.json"
        self.state.parent.mkdir(parents=True)
        self.services = local / "services.json"
        self.services.write_text(json.dumps({"services": {"moto": {"url": moto}}}))
        self.export(
            region=REGION,
            fleets={"support": {}, "chat": {}},
            queue_urls={"support": self.url},
            dead_letter_queue_urls={"support": self.dead},
        )

    def export(self, **outputs: Any) -> None:
        stack = {"type": "pulumi:pulumi:Stack", "urn": "urn", "outputs": outputs}
        self.state.write_text(json.dumps({"checkpoint": {"latest": {"resources": [stack]}}}))

    def fail(self, count: int, **more: Any) -> list[str]:
        """Puts dead letters as the fleet sends tasks, with a secret in what is not the fleet's."""
        tasks = [str(uuid.uuid4()) for _ in range(count)]
        for task in tasks:
            body = json.dumps({"task_id": task, "request_id": "req-1", "prompt": SECRET})
            fifo = {"MessageGroupId": task, "MessageDeduplicationId": task} if "fifo" in self.dead else {}
            self.sqs.send_message(QueueUrl=self.dead, MessageBody=body, **fifo, **more)
        return tasks

    def count(self, url: str, name: str = "ApproximateNumberOfMessages") -> int:
        answer = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])
        return int(answer["Attributes"][name])

    def waiting(self) -> list[dict[str, Any]]:
        """What the fleet would receive now."""
        found: list[dict[str, Any]] = []
        while messages := self.sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            found += messages
        return found


@pytest.fixture
def cloud(tmp_path: Path, moto: str, sqs: Any, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    monkeypatch.chdir(tmp_path)
    # Waiting for more costs a second a test.
    monkeypatch.setattr(redrives, "_WAIT_SECONDS", 0)
    return Cloud(tmp_path, moto, sqs)


def run(*command: str, input: str | None = None) -> Result:
    return CliRunner().invoke(app, ["queue", *command], env={"COLUMNS": "200"}, input=input)


def objects(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_status_counts_what_waits_is_worked_on_is_delayed_and_failed(cloud: Cloud) -> None:
    for delay in (0, 0, 60):
        cloud.sqs.send_message(QueueUrl=cloud.url, MessageBody="{}", DelaySeconds=delay)
    cloud.sqs.receive_message(QueueUrl=cloud.url, MaxNumberOfMessages=1)
    cloud.fail(4)
    assert objects(run("status", "--json")) == [
        {
            "kind": "queue",
            "fleet": "support",
            "waiting": 1,
            "in_flight": 1,
            "delayed": 1,
            "dead_letters": 4,
            "oldest_seconds": None,
        }
    ]
    table = run("status", "support").stdout
    assert "dead letters" in table
    assert table.splitlines()[-1].split() == ["support", "1", "1", "1", "4", "not", "known"]


def test_dead_letters_are_shown_without_what_is_in_them_and_stay(cloud: Cloud) -> None:
    tasks = cloud.fail(3)
    cloud.sqs.send_message(QueueUrl=cloud.dead, MessageBody=f"not ours: {SECRET}")
    result = run("peek", "support", "--json")
    found = objects(result)
    assert {item["task_id"] for item in found} == {*tasks, None}
    assert SECRET not in result.stdout
    assert all(item["bytes"] > 10 and item["sent_at"] and item["received"] >= 1 for item in found)
    assert cloud.count(cloud.dead) == 4
    table = run("peek", "support", "-n", "2").stdout
    assert SECRET not in table
    assert len([line for line in table.splitlines() if "20" in line]) == 2


def test_what_only_looks_like_an_identifier_is_not_shown(cloud: Cloud) -> None:
    body = json.dumps({"task_id": str(uuid.uuid4()), "request_id": f"Bearer {SECRET}"})
    cloud.sqs.send_message(QueueUrl=cloud.dead, MessageBody=body)
    assert objects(run("peek", "support", "--json"))[0]["request_id"] is None


def test_all_dead_letters_go_back_as_they_were(cloud: Cloud) -> None:
    attributes = {"tenant": {"DataType": "String", "StringValue": "acme"}}
    tasks = cloud.fail(23, MessageAttributes=attributes)
    (done,) = objects(run("redrive", "support", "--json"))
    assert done == {"kind": "redrive", "fleet": "support", "found": 23, "moved": 23, "dry_run": False}
    assert cloud.count(cloud.dead) == 0
    back = cloud.waiting()
    assert {json.loads(message["Body"])["task_id"] for message in back} == set(tasks)
    assert all(message["MessageAttributes"] == attributes for message in back)


def test_a_limit_leaves_the_others(cloud: Cloud) -> None:
    cloud.fail(12)
    result = run("redrive", "support", "--limit", "5")
    assert result.stdout == "5 of 12 dead letters of support were moved back.\n"
    assert (cloud.count(cloud.dead), cloud.count(cloud.url)) == (7, 5)


def test_a_dry_run_moves_nothing(cloud: Cloud) -> None:
    cloud.fail(3)
    result = run("redrive", "support", "--dry-run", "--limit", "2")
    assert result.stdout == "2 of 3 dead letters of support would be moved back.\n"
    assert (cloud.count(cloud.dead), cloud.count(cloud.url)) == (3, 0)


def test_no_dead_letters_are_no_error(cloud: Cloud) -> None:
    result = run("redrive", "support")
    assert (result.exit_code, result.stdout) == (0, "There are no dead letters of support.\n")
    assert run("peek", "support").stdout == "Dead letters: none.\n"


def test_a_rate_is_kept(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(redrives.time, "sleep", slept.append)
    monkeypatch.setattr(redrives.time, "monotonic", lambda: 0.0)
    cloud.fail(6)
    assert run("redrive", "support", "--rate", "2").exit_code == 0
    assert slept == [1.0, 2.0, 3.0]


def test_a_fifo_queues_dead_letters_keep_their_groups_and_are_not_taken_for_duplicates(
    tmp_path: Path, moto: str, sqs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(redrives, "_WAIT_SECONDS", 0)
    cloud = Cloud(tmp_path, moto, sqs, fifo=True)
    (task,) = cloud.fail(1)
    sqs.send_message(QueueUrl=cloud.url, MessageBody="{}", MessageGroupId="g", MessageDeduplicationId=task)
    assert objects(run("peek", "support", "--json"))[0]["group"] == task
    assert objects(run("redrive", "support", "--json"))[0]["moved"] == 1
    assert cloud.count(cloud.url) == 2


@pytest.mark.parametrize("command", [("status", "suport"), ("peek", "suport"), ("redrive", "suport")])
def test_an_unknown_fleet_is_told_with_those_there_are(cloud: Cloud, command: tuple[str, ...]) -> None:
    result = run(*command)
    assert result.exit_code == 1
    assert "There is no fleet 'suport' in 'local'. Did you mean 'support'? It has chat, support." in (
        result.stderr
    )


def test_a_fleet_without_a_queue_is_told_how_to_get_one(cloud: Cloud) -> None:
    result = run("status", "chat")
    assert result.exit_code == 1
    assert "Fleet 'chat' has no queue: say `worker: {}`" in result.stderr


def test_an_environment_that_is_not_up_says_so(cloud: Cloud) -> None:
    cloud.state.unlink()
    result = run("status", "--json")
    assert result.exit_code == 1
    (error,) = objects(result)
    assert error["message"].startswith("'local' is not up, so it has no queues: `agent-infra up -s local`")


def test_services_that_were_never_started_are_told(cloud: Cloud) -> None:
    cloud.services.unlink()
    assert "run `agent-infra up` first" in run("status").stderr


def test_a_cloud_that_does_not_answer_is_told(cloud: Cloud) -> None:
    cloud.services.write_text(json.dumps({"services": {"moto": {"url": "http://127.0.0.1:9"}}}))
    result = run("status")
    assert result.exit_code == 1
    assert "AWS does not answer for 'local'" in result.stderr


def test_a_queue_that_is_gone_is_told(cloud: Cloud) -> None:
    cloud.sqs.delete_queue(QueueUrl=cloud.url)
    assert "is in its state and not in AWS: run `agent-infra up`" in run("status").stderr


def test_a_stack_that_does_not_export_its_dead_letters_is_told(cloud: Cloud) -> None:
    cloud.export(queue_urls={"support": cloud.url})
    assert "export `dead_letter_queue_urls`" in run("peek", "support").stderr


def test_a_state_that_is_half_written_is_told(cloud: Cloud) -> None:
    cloud.state.write_text("{")
    assert "cannot be read just now" in run("status").stderr


def test_without_boto3_the_way_to_get_it_is_told(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any, **more: Any) -> Any:
        if name == "boto3":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    result = run("status")
    assert result.exit_code == 1
    assert "pip install 'agent-infra[local]'" in result.stderr


class Refusing:
    """A client whose every call fails alike."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        def call(**_: Any) -> Any:
            raise self._error

        return call


def in_the_cloud(client: Any) -> Queues:
    return Queues(
        environment="prod",
        urls={"support": "https://sqs.eu-central-1.amazonaws.com/1/tasks"},
        dead_letter_urls={"support": "https://sqs.eu-central-1.amazonaws.com/1/tasks-dead-letters"},
        fleets=("support",),
        client=lambda _service: client,
    )


def test_missing_credentials_are_told_with_the_way_out() -> None:
    with pytest.raises(AutomationError, match=r"no AWS credentials for 'prod'.*aws sso login"):
        in_the_cloud(Refusing(NoCredentialsError())).status()


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"rate": 0}, {"rate": 501}])
def test_wrong_numbers_are_refused(wrong: dict[str, int]) -> None:
    (name,) = wrong
    with pytest.raises(AutomationError, match=rf"{name} \d+ is wrong: say 1"):
        in_the_cloud(Refusing(AssertionError())).redrive("support", **wrong)  # type: ignore[arg-type] # one of two


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Stubber]]:
    monkeypatch.setattr(redrives.time, "sleep", lambda _seconds: None)
    client: Any = boto3.client("sqs", region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stubber:
        yield client, stubber


DEAD_ARN = "arn:aws:sqs:eu-central-1:123456789012:tasks-dead-letters"
ARN = "arn:aws:sqs:eu-central-1:123456789012:tasks"


def answers(stubber: Stubber, *states: dict[str, Any]) -> None:
    """Six dead letters, and a move that goes through these states."""
    for attributes in (
        {"ApproximateNumberOfMessages": "6"},
        {"QueueArn": DEAD_ARN},
        {"QueueArn": ARN},
    ):
        stubber.add_response("get_queue_attributes", {"Attributes": attributes})
    for number, state in enumerate(states):
        stubber.add_response(
            "list_message_move_tasks", {"Results": [state]}, {"SourceArn": DEAD_ARN, "MaxResults": 1}
        )
        if number == 0 and state.get("Status") != "RUNNING":
            stubber.add_response(
                "start_message_move_task",
                {"TaskHandle": "handle"},
                {"SourceArn": DEAD_ARN, "DestinationArn": ARN, "MaxNumberOfMessagesPerSecond": 50},
            )


def test_in_the_cloud_sqs_moves_them_itself(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    answers(
        stubber,
        {"Status": "COMPLETED", "ApproximateNumberOfMessagesMoved": 99, "StartedTimestamp": 1},
        {"Status": "COMPLETED", "ApproximateNumberOfMessagesMoved": 99, "StartedTimestamp": 1},
        {"Status": "RUNNING", "ApproximateNumberOfMessagesMoved": 2, "StartedTimestamp": 2},
        {"Status": "COMPLETED", "ApproximateNumberOfMessagesMoved": 6, "StartedTimestamp": 2},
    )
    told: list[int] = []
    done = in_the_cloud(client).redrive("support", rate=50, on_progress=told.append)
    assert (done.moved, told) == (6, [2, 6])
    stubber.assert_no_pending_responses()


def test_a_move_that_sqs_gave_up_is_told(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    failed = {"Status": "FAILED", "ApproximateNumberOfMessagesMoved": 1, "FailureReason": "AccessDenied"}
    answers(stubber, {}, {**failed, "StartedTimestamp": 1})
    with pytest.raises(AutomationError, match=r"stopped after 1 messages \(FAILED: AccessDenied\)"):
        in_the_cloud(client).redrive("support", rate=50)


def test_a_second_move_is_not_begun(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    answers(stubber, {"Status": "RUNNING"})
    with pytest.raises(AutomationError, match="already moving these dead letters"):
        in_the_cloud(client).redrive("support", rate=50)


def test_in_the_cloud_nothing_is_moved_without_a_yes(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.fail(2)
    queues = Queues.open(Environment.open("local"))
    real = Queues("prod", queues.urls, queues.dead_letter_urls, queues.fleets, queues.client, managed=True)
    monkeypatch.setattr("agent_infra.cli.queue._queues", lambda *_, **__: real)
    refused = run("redrive", "support", "--limit", "1", input="n\n")
    assert refused.exit_code == 1
    assert "Move 1 dead letters of 'support'" in refused.stdout
    asked_for_json = run("redrive", "support", "--json")
    assert "say --yes" in objects(asked_for_json)[0]["message"]
    assert cloud.count(cloud.dead) == 2
    assert run("redrive", "support", "--limit", "1", "--yes").exit_code == 0
    assert cloud.count(cloud.dead) == 1


class Flaky:
    """SQS in memory, which refuses some entries of some batches, and now and then to delete."""

    def __init__(self, bodies: list[str], refuse: list[bool], stuck: list[bool]) -> None:
        self.dead = {str(number): body for number, body in enumerate(bodies)}
        self.back: list[str] = []
        self._hidden: set[str] = set()
        self._refuse, self._stuck = iter(refuse), iter(stuck)

    def receive_message(self, **call: Any) -> dict[str, Any]:
        ids = [id for id in self.dead if id not in self._hidden][: call["MaxNumberOfMessages"]]
        self._hidden.update(ids)
        return {"Messages": [{"MessageId": i, "ReceiptHandle": i, "Body": self.dead[i]} for i in ids]}

    def send_message_batch(self, **call: Any) -> dict[str, Any]:
        assert (
            sum(len(entry["MessageBody"]) for entry in call["Entries"]) <= 262_144
            or len(call["Entries"]) == 1
        )
        done, failed = [], []
        for entry in call["Entries"]:
            if next(self._refuse, False):
                failed.append({"Id": entry["Id"], "Code": "InternalError", "Message": "no"})
            else:
                done.append({"Id": entry["Id"]})
                self.back.append(entry["MessageBody"])
        return {"Successful": done, "Failed": failed}

    def delete_message_batch(self, **call: Any) -> dict[str, Any]:
        failed = []
        for entry in call["Entries"]:
            if next(self._stuck, False):
                failed.append({"Id": entry["Id"]})
            else:
                del self.dead[entry["ReceiptHandle"]]
        return {"Failed": failed}

    def change_message_visibility_batch(self, **call: Any) -> None:
        self._hidden -= {entry["ReceiptHandle"] for entry in call["Entries"]}

    def seen(self) -> set[str]:
        return {id for id in self.dead if id not in self._hidden}


@given(
    st.lists(st.sampled_from([10, 100_000, 262_145]), max_size=25),
    st.lists(st.booleans(), max_size=25),
    st.lists(st.booleans(), max_size=25),
)
@settings(max_examples=50, deadline=None)
def test_whatever_fails_no_message_is_lost(sizes: list[int], refuse: list[bool], stuck: list[bool]) -> None:
    bodies = [f"{number}:".ljust(size, "x") for number, size in enumerate(sizes)]
    flaky = Flaky(bodies, refuse, stuck)
    try:
        moved = redrives.in_batches(
            flaky, source="d", destination="q", count=100, rate=None, on_progress=lambda _moved: None
        )
    except AutomationError as error:
        assert "Stopped after" in str(error)
    else:
        assert moved == len(bodies) == len(flaky.back)
        assert not flaky.dead
    assert {*flaky.dead.values(), *flaky.back} == set(bodies)
    # What was not sent can be received again at once.
    assert {flaky.dead[id] for id in flaky.seen()} >= set(flaky.dead.values()) - set(flaky.back)

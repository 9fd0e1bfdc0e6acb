"""The fake SQS, beside moto where both should do the same, and what goes wrong on purpose."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiobotocore.session
import boto3
import httpx
import pytest
from aiobotocore.config import AioConfig
from botocore.exceptions import ClientError, HTTPClientError

from tests.app.processes import tool
from tests.app.sqs_fake import SqsFake
from tests.app.stores import moto

KEYS: dict[str, str] = {
    "aws_access_key_id": "local",
    "aws_secret_access_key": "local",
    "region_name": "eu-central-1",
}
ATTRIBUTES: dict[str, Any] = {
    "Reason": {"DataType": "String", "StringValue": "naïve"},
    "Receives": {"DataType": "Number", "StringValue": "3"},
    "Raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
}
ATTRIBUTES_MD5 = "33d664e1c3192f398a21b7a739a29947"


@pytest.fixture(scope="module", params=["fake", "moto"])
def either(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of the fake, and of moto."""
    directory = tmp_path_factory.mktemp("sqs")
    with tool("sqs_fake", directory) if request.param == "fake" else moto(directory) as url:
        client: Any = boto3.client("sqs", endpoint_url=url, **KEYS)  # type: ignore[call-overload]
        yield client
        client.close()


@pytest.fixture
def queue(either: Any, request: pytest.FixtureRequest) -> str:
    name = f"q{abs(hash(request.node.name))}"
    url: str = either.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "1"})["QueueUrl"]
    return url


def refused(call: Any, **options: Any) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as raised:
        call(**options)
    error = raised.value
    return (
        type(error).__name__,
        error.response["Error"]["Code"],
        error.response["ResponseMetadata"]["HTTPStatusCode"],
    )


def depths(client: Any, queue: str) -> tuple[int, int, int]:
    """Visible, in flight, delayed."""
    told = client.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    kinds = ("", "NotVisible", "Delayed")
    visible, hidden, delayed = (int(told[f"ApproximateNumberOfMessages{kind}"]) for kind in kinds)
    return visible, hidden, delayed


def test_a_message_comes_with_its_attributes_and_sums_until_it_is_deleted(either: Any, queue: str) -> None:
    before = int(time.time() * 1000)
    sent = either.send_message(QueueUrl=queue, MessageBody="tüt", MessageAttributes=ATTRIBUTES)
    names = {"MessageSystemAttributeNames": ["All"], "MessageAttributeNames": ["All"]}
    (got,) = either.receive_message(QueueUrl=queue, **names)["Messages"]  # botocore checks the body's MD5
    assert (got["MessageId"], got["Body"]) == (sent["MessageId"], "tüt")
    assert (
        got["MD5OfBody"]
        == sent["MD5OfMessageBody"]
        == hashlib.md5("tüt".encode(), usedforsecurity=False).hexdigest()
    )
    assert got["MessageAttributes"] == ATTRIBUTES
    assert got["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"] == ATTRIBUTES_MD5
    assert got["Attributes"]["ApproximateReceiveCount"] == "1"
    assert before <= int(got["Attributes"]["SentTimestamp"]) <= time.time() * 1000
    assert depths(either, queue) == (0, 1, 0)
    assert "Messages" not in either.receive_message(QueueUrl=queue)
    either.delete_message(QueueUrl=queue, ReceiptHandle=got["ReceiptHandle"])
    either.delete_message(QueueUrl=queue, ReceiptHandle=got["ReceiptHandle"])  # again is no error
    assert depths(either, queue) == (0, 0, 0)


def test_only_the_attributes_asked_for_come(either: Any, queue: str) -> None:
    either.send_message(QueueUrl=queue, MessageBody="x", MessageAttributes=ATTRIBUTES)
    asked = {"MessageSystemAttributeNames": ["SentTimestamp"], "MessageAttributeNames": ["Receives"]}
    (got,) = either.receive_message(QueueUrl=queue, VisibilityTimeout=0, **asked)["Messages"]
    assert list(got["Attributes"]) == ["SentTimestamp"]
    assert list(got["MessageAttributes"]) == ["Receives"]
    (bare,) = either.receive_message(QueueUrl=queue)["Messages"]
    assert "Attributes" not in bare
    assert "MessageAttributes" not in bare


def test_what_is_not_deleted_comes_again_with_another_receipt(either: Any, queue: str) -> None:
    either.send_message(QueueUrl=queue, MessageBody="x")
    first = either.receive_message(QueueUrl=queue)["Messages"][0]
    asked = {"MessageSystemAttributeNames": ["ApproximateReceiveCount"]}
    second = either.receive_message(QueueUrl=queue, WaitTimeSeconds=5, **asked)["Messages"][0]
    assert second["MessageId"] == first["MessageId"]
    assert second["ReceiptHandle"] != first["ReceiptHandle"]
    assert second["Attributes"]["ApproximateReceiveCount"] == "2"


def test_visibility_is_changed_for_longer_and_to_nothing(either: Any, queue: str) -> None:
    either.send_message(QueueUrl=queue, MessageBody="x")
    (got,) = either.receive_message(QueueUrl=queue)["Messages"]
    receipt = {"QueueUrl": queue, "ReceiptHandle": got["ReceiptHandle"]}
    either.change_message_visibility(**receipt, VisibilityTimeout=60)
    time.sleep(1.1)
    assert "Messages" not in either.receive_message(QueueUrl=queue)
    either.change_message_visibility(**receipt, VisibilityTimeout=0)
    assert len(either.receive_message(QueueUrl=queue)["Messages"]) == 1
    too_long = refused(either.change_message_visibility, **receipt, VisibilityTimeout=43201)
    assert too_long == ("ClientError", "InvalidParameterValue", 400)


def test_a_long_poll_ends_when_a_delayed_message_ripens(either: Any, queue: str) -> None:
    either.send_message(QueueUrl=queue, MessageBody="x", DelaySeconds=1)
    assert depths(either, queue) == (0, 0, 1)
    before = time.monotonic()
    assert either.receive_message(QueueUrl=queue, WaitTimeSeconds=10)["Messages"]
    assert 0.5 < time.monotonic() - before < 5


def test_a_message_received_too_often_goes_to_the_dead_letters(either: Any, queue: str) -> None:
    dead = either.create_queue(QueueName=queue.rpartition("/")[2] + "-dead")["QueueUrl"]
    arn = either.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = {"deadLetterTargetArn": arn, "maxReceiveCount": 2}
    either.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": json.dumps(policy)})
    sent = either.send_message(QueueUrl=queue, MessageBody="poison", MessageAttributes=ATTRIBUTES)
    for _ in range(2):
        assert either.receive_message(QueueUrl=queue, VisibilityTimeout=0)["Messages"]
    assert "Messages" not in either.receive_message(QueueUrl=queue, VisibilityTimeout=0)
    assert depths(either, queue) == (0, 0, 0)
    (letter,) = either.receive_message(QueueUrl=dead, MessageAttributeNames=["All"])["Messages"]
    assert (letter["MessageId"], letter["Body"]) == (sent["MessageId"], "poison")
    assert letter["MessageAttributes"] == ATTRIBUTES


def test_batches_tell_of_each_entry(either: Any, queue: str) -> None:
    entries = [{"Id": f"e{number}", "MessageBody": f"m{number}"} for number in range(10)]
    sent = either.send_message_batch(QueueUrl=queue, Entries=entries)
    assert [item["Id"] for item in sent["Successful"]] == [entry["Id"] for entry in entries]
    got = either.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=30)["Messages"]
    assert {item["MessageId"] for item in got} == {item["MessageId"] for item in sent["Successful"]}
    receipts = [{"Id": str(place), "ReceiptHandle": item["ReceiptHandle"]} for place, item in enumerate(got)]
    shown = [{**receipt, "VisibilityTimeout": 0} for receipt in receipts[:2]]
    answer = either.change_message_visibility_batch(QueueUrl=queue, Entries=shown)
    assert [item["Id"] for item in answer["Successful"]] == ["0", "1"]
    assert depths(either, queue) == (2, 8, 0)
    wrong = {"Id": "wrong", "ReceiptHandle": "nonsense"}
    answer = either.delete_message_batch(QueueUrl=queue, Entries=[*receipts[2:], wrong])
    assert [item["Id"] for item in answer["Successful"]] == [str(place) for place in range(2, 10)]
    ((failed),) = answer["Failed"]
    assert (failed["Id"], failed["Code"], failed["SenderFault"]) == ("wrong", "ReceiptHandleIsInvalid", True)
    assert depths(either, queue) == (2, 0, 0)


def test_a_purge_leaves_nothing(either: Any, queue: str) -> None:
    either.send_message(QueueUrl=queue, MessageBody="x")
    either.send_message(QueueUrl=queue, MessageBody="y", DelaySeconds=60)
    either.purge_queue(QueueUrl=queue)
    assert depths(either, queue) == (0, 0, 0)
    assert "Messages" not in either.receive_message(QueueUrl=queue)


def test_a_queue_is_made_once_and_found_by_its_name(either: Any, queue: str) -> None:
    name = queue.rpartition("/")[2]
    assert either.get_queue_url(QueueName=name)["QueueUrl"] == queue
    assert either.create_queue(QueueName=name)["QueueUrl"] == queue
    assert queue in either.list_queues()["QueueUrls"]
    other = {"VisibilityTimeout": "2"}
    again = refused(either.create_queue, QueueName=name, Attributes=other)
    assert again == ("QueueNameExists", "QueueAlreadyExists", 400)
    either.set_queue_attributes(QueueUrl=queue, Attributes=other)
    told = either.get_queue_attributes(QueueUrl=queue, AttributeNames=["VisibilityTimeout", "QueueArn"])
    arn = f"arn:aws:sqs:eu-central-1:123456789012:{name}"
    assert told["Attributes"] == {"VisibilityTimeout": "2", "QueueArn": arn}


PREFIX = "AWS.SimpleQueueService."
X = {"Id": "1", "MessageBody": "x"}


@pytest.mark.parametrize(
    ("action", "options", "name", "code"),
    [
        ("get_queue_url", {"QueueName": "missing"}, "QueueDoesNotExist", f"{PREFIX}NonExistentQueue"),
        ("create_queue", {"QueueName": "not a name"}, "ClientError", "InvalidParameterValue"),
        ("send_message", {"MessageBody": "x", "DelaySeconds": 901}, "ClientError", "InvalidParameterValue"),
        ("send_message", {"MessageBody": "x" * (2**20 + 1)}, "ClientError", "InvalidParameterValue"),
        ("receive_message", {"MaxNumberOfMessages": 11}, "ClientError", "InvalidParameterValue"),
        ("receive_message", {"WaitTimeSeconds": 21}, "ClientError", "InvalidParameterValue"),
        ("receive_message", {"VisibilityTimeout": 43201}, "ClientError", "InvalidParameterValue"),
        ("delete_message", {"ReceiptHandle": "x"}, "ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid"),
        (
            "change_message_visibility",
            {"ReceiptHandle": "x", "VisibilityTimeout": 1},
            "ReceiptHandleIsInvalid",
            "ReceiptHandleIsInvalid",
        ),
        ("get_queue_attributes", {"AttributeNames": ["X"]}, "InvalidAttributeName", "InvalidAttributeName"),
        ("send_message_batch", {"Entries": []}, "EmptyBatchRequest", f"{PREFIX}EmptyBatchRequest"),
        (
            "send_message_batch",
            {"Entries": [X, X]},
            "BatchEntryIdsNotDistinct",
            f"{PREFIX}BatchEntryIdsNotDistinct",
        ),
        (
            "send_message_batch",
            {"Entries": [{"Id": "a b", "MessageBody": "x"}]},
            "InvalidBatchEntryId",
            f"{PREFIX}InvalidBatchEntryId",
        ),
        (
            "send_message_batch",
            {"Entries": [{"Id": str(number), "MessageBody": "x"} for number in range(11)]},
            "TooManyEntriesInBatchRequest",
            f"{PREFIX}TooManyEntriesInBatchRequest",
        ),
    ],
)
def test_what_sqs_refuses_is_refused_in_its_words(
    either: Any, queue: str, action: str, options: dict[str, Any], name: str, code: str
) -> None:
    place = {} if "QueueName" in options else {"QueueUrl": queue}
    assert refused(getattr(either, action), **place, **options) == (name, code, 400)
    if place:
        gone = refused(getattr(either, action), QueueUrl=f"{queue}-missing", **options)
        assert gone[2] == 400


# What only the fake does.


@pytest.fixture
def fake() -> SqsFake:
    return SqsFake(seed=1)


@pytest.fixture
async def sqs(fake: SqsFake) -> AsyncIterator[Any]:
    async with fake.running() as url:
        config = AioConfig(retries={"total_max_attempts": 1}, max_pool_connections=100)
        session = aiobotocore.session.get_session()
        client = session.create_client(
            "sqs",
            endpoint_url=url,
            config=config,
            region_name="eu-central-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )
        async with client as opened:
            await opened.create_queue(QueueName="tasks")
            yield opened


PLACE = {"QueueUrl": "http://any/1/tasks"}


@pytest.mark.parametrize(
    ("rule", "status"),
    [({"kind": "status", "status": 503}, 503), ({"kind": "status"}, 500), ({"kind": "throttle"}, 400)],
)
async def test_an_action_is_refused_as_often_as_told_and_not_done(
    fake: SqsFake, sqs: Any, rule: dict[str, Any], status: int
) -> None:
    fake.faults.set([{**rule, "match": "SendMessage tasks", "next": 2}])
    for _ in range(2):
        with pytest.raises(ClientError) as raised:
            await sqs.send_message(**PLACE, MessageBody="x")
        assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert fake.stats()["queues"]["tasks"]["visible"] == 0
    await sqs.send_message(**PLACE, MessageBody="x")
    stats = fake.stats()
    assert stats["queues"]["tasks"]["visible"] == 1
    assert stats["faults"][rule["kind"]] == 2


@pytest.mark.parametrize(("kind", "kept"), [("lost", 1), ("refuse", 0)])
async def test_an_answer_is_lost_after_the_action_or_before_it(
    fake: SqsFake, sqs: Any, kind: str, kept: int
) -> None:
    fake.faults.set([{"kind": kind, "match": "SendMessage"}])
    with pytest.raises(HTTPClientError):
        await sqs.send_message(**PLACE, MessageBody="x")
    assert fake.stats()["queues"]["tasks"]["visible"] == kept


async def test_the_clients_own_retries_are_throttles_and_server_errors(fake: SqsFake) -> None:
    fake.faults.set([{"kind": "throttle", "next": 1}, {"kind": "status", "next": 1}])
    async with fake.running() as url:
        config = AioConfig(retries={"mode": "standard", "total_max_attempts": 3})
        session = aiobotocore.session.get_session()
        keys = {"aws_access_key_id": "l", "aws_secret_access_key": "l", "region_name": "eu-central-1"}
        async with session.create_client("sqs", endpoint_url=url, config=config, **keys) as sqs:
            await sqs.create_queue(QueueName="q")
    assert fake.counts["CreateQueue"] == 3


async def test_a_delivery_comes_twice_and_each_copy_is_deleted_by_itself(fake: SqsFake, sqs: Any) -> None:
    await sqs.send_message(**PLACE, MessageBody="x")
    fake.faults.set([{"kind": "duplicate", "next": 1}])
    (one,) = (await sqs.receive_message(**PLACE))["Messages"]
    (two,) = (await sqs.receive_message(**PLACE))["Messages"]
    assert one["MessageId"] == two["MessageId"]
    assert one["ReceiptHandle"] != two["ReceiptHandle"]
    await sqs.delete_message(**PLACE, ReceiptHandle=one["ReceiptHandle"])
    assert fake.stats()["queues"]["tasks"]["in_flight"] == 1
    await sqs.delete_message(**PLACE, ReceiptHandle=two["ReceiptHandle"])
    assert fake.stats()["queues"]["tasks"]["in_flight"] == 0
    assert fake.stats()["faults"]["duplicate"] == 1


async def test_a_delay_holds_an_action_up(fake: SqsFake, sqs: Any) -> None:
    fake.faults.set([{"kind": "delay", "seconds": 0.3}])
    before = time.monotonic()
    await sqs.send_message(**PLACE, MessageBody="x")
    assert time.monotonic() - before >= 0.3


async def test_an_older_receipt_deletes_nothing_and_hides_nothing(fake: SqsFake, sqs: Any) -> None:
    await sqs.send_message(**PLACE, MessageBody="x")
    (old,) = (await sqs.receive_message(**PLACE, VisibilityTimeout=0))["Messages"]
    await sqs.receive_message(**PLACE)
    await sqs.delete_message(**PLACE, ReceiptHandle=old["ReceiptHandle"])
    assert fake.stats()["queues"]["tasks"]["in_flight"] == 1
    with pytest.raises(ClientError, match="MessageNotInflight"):
        await sqs.change_message_visibility(**PLACE, ReceiptHandle=old["ReceiptHandle"], VisibilityTimeout=0)


async def test_every_message_wakes_one_of_those_who_wait(fake: SqsFake, sqs: Any) -> None:
    polls = [asyncio.create_task(sqs.receive_message(**PLACE, WaitTimeSeconds=20)) for _ in range(20)]
    await asyncio.sleep(0.3)
    before = time.monotonic()
    for number in range(20):
        await sqs.send_message(**PLACE, MessageBody=str(number))
    answers = await asyncio.gather(*polls)
    assert time.monotonic() - before < 10
    assert {answer["Messages"][0]["Body"] for answer in answers} == {str(number) for number in range(20)}


async def test_who_waits_gets_what_another_hid_meanwhile(fake: SqsFake, sqs: Any) -> None:
    poll = asyncio.create_task(sqs.receive_message(**PLACE, WaitTimeSeconds=10, VisibilityTimeout=1))
    await asyncio.sleep(0.1)
    await sqs.send_message(**PLACE, MessageBody="x")
    (got,) = (await poll)["Messages"]
    before = time.monotonic()
    (again,) = (await sqs.receive_message(**PLACE, WaitTimeSeconds=10))["Messages"]
    assert time.monotonic() - before < 5
    assert again["MessageId"] == got["MessageId"]


async def test_a_message_is_not_given_to_one_who_has_gone(fake: SqsFake, sqs: Any) -> None:
    poll = asyncio.create_task(sqs.receive_message(**PLACE, WaitTimeSeconds=20))
    await asyncio.sleep(0.2)
    poll.cancel()
    await asyncio.gather(poll, return_exceptions=True)
    await asyncio.sleep(0.2)
    await sqs.send_message(**PLACE, MessageBody="x")
    assert fake.stats()["queues"]["tasks"]["visible"] == 1


@pytest.mark.parametrize(("body", "code"), [("", "MissingParameter"), ("\x01", "InvalidMessageContents")])
async def test_a_body_that_sqs_would_not_carry_is_refused(sqs: Any, body: str, code: str) -> None:
    with pytest.raises(ClientError, match=code):
        await sqs.send_message(**PLACE, MessageBody=body)


async def test_all_of_many_messages_come_once_each_through_losses(fake: SqsFake, sqs: Any) -> None:
    fake.faults.set([{"kind": "status", "match": "DeleteMessage", "probability": 0.2}])
    await asyncio.gather(*[sqs.send_message(**PLACE, MessageBody=str(number)) for number in range(300)])
    seen: list[str] = []

    async def work() -> None:
        while got := (await sqs.receive_message(**PLACE, MaxNumberOfMessages=10)).get("Messages", []):
            for message in got:
                seen.append(message["Body"])
                for _ in range(30):
                    try:
                        await sqs.delete_message(**PLACE, ReceiptHandle=message["ReceiptHandle"])
                        break
                    except ClientError:
                        continue

    await asyncio.gather(*[work() for _ in range(5)])
    assert sorted(map(int, seen)) == list(range(300))
    stats = fake.stats()["queues"]["tasks"]
    assert (stats["sent"], stats["delivered"], stats["deleted"]) == (300, 300, 300)
    assert (stats["visible"], stats["in_flight"], stats["oldest_seconds"]) == (0, 0, None)


def test_faults_and_stats_are_there_over_http(tmp_path: Path) -> None:
    with tool("sqs_fake", tmp_path) as url:
        wrong = httpx.post(f"{url}/__faults", json={"rules": [{"kind": "garbage"}]})
        assert wrong.status_code == 422
        assert "allowed are delay, duplicate" in wrong.text
        rule = {"kind": "status", "match": "CreateQueue"}
        assert httpx.post(f"{url}/__faults", json={"rules": [rule]}).is_success
        target = {"x-amz-target": "AmazonSQS.CreateQueue"}
        assert httpx.post(url, headers=target, json={"QueueName": "q"}).status_code == 500
        assert httpx.delete(f"{url}/__faults").json() == {"rules": []}
        assert httpx.post(url, headers=target, json={"QueueName": "q"}).status_code == 200
        assert httpx.post(url, headers=target, content=b"{").status_code == 400
        assert httpx.get(f"{url}/__stats").json()["actions"] == {"CreateQueue": 3}
        assert httpx.delete(f"{url}/__stats").json()["actions"] == {}

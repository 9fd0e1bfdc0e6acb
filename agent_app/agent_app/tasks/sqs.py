"""SQS: deletes and changes of visibility go in batches of ten."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import structlog

from agent_app.tasks.queue import DEFAULT_VISIBILITY_SECONDS, Delivery, Note

log = structlog.get_logger(__name__)

#: SQS' own: entries in one request, and messages in one receipt.
_BATCH = 10
#: What an entry waits for others to go with.
_GATHER_SECONDS = 0.005
_ATTRIBUTES = ["ApproximateReceiveCount", "SentTimestamp"]


class NotTaken(Exception):
    """SQS refused one entry of a batch; the message is its code."""


class _Batch:
    """Gathers entries for a moment and sends them together; each waits for its own answer."""

    def __init__(self, send: Callable[[list[dict[str, Any]]], Awaitable[dict[str, Any]]]) -> None:
        self._send = send
        self._waiting: list[tuple[dict[str, Any], asyncio.Future[None]]] = []
        self._flushes: set[asyncio.Task[None]] = set()

    async def add(self, entry: dict[str, Any]) -> None:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, answer))
        if len(self._waiting) >= _BATCH:
            self._begin(0)
        elif len(self._waiting) == 1:
            self._begin(_GATHER_SECONDS)
        await answer

    def _begin(self, wait: float) -> None:
        task = asyncio.create_task(self._flush(wait))
        self._flushes.add(task)
        task.add_done_callback(self._flushes.discard)

    async def _flush(self, wait: float) -> None:
        if wait:
            await asyncio.sleep(wait)
        taken, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
        if not taken:
            return
        if self._waiting:
            self._begin(0)
        entries = [{"Id": str(place), **entry} for place, (entry, _) in enumerate(taken)]
        try:
            answer = await self._send(entries)
        except BaseException as error:  # noqa: BLE001 (handed to those who wait)
            failed = {str(place): error for place in range(len(taken))}
        else:
            failed = {item["Id"]: NotTaken(item.get("Code", "unknown")) for item in answer.get("Failed", [])}
        for place, (_, waiting) in enumerate(taken):
            if waiting.done():
                continue
            if error_of := failed.get(str(place)):
                waiting.set_exception(error_of)
            else:
                waiting.set_result(None)


class SqsQueue:
    """An SQS queue, standard or FIFO; with the URL of its dead-letter queue tasks end there at once."""

    system = "aws_sqs"

    def __init__(self, client: Any, url: str, dead_letter_url: str | None = None) -> None:
        self._client = client
        self.name = url.rpartition("/")[2]
        self._url = url
        self._dead_letter_url = dead_letter_url
        self._deletes = _Batch(
            lambda entries: client.delete_message_batch(QueueUrl=url, Entries=entries),
        )
        self._hides = _Batch(
            lambda entries: client.change_message_visibility_batch(QueueUrl=url, Entries=entries),
        )

    async def send(self, note: Note) -> None:
        await self._send(self._url, note.dump(), str(note.task_id), {})

    async def receive(self, limit: int, wait: int, visibility: int) -> list[Delivery]:
        answer = await self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=min(limit, _BATCH),
            WaitTimeSeconds=wait,
            VisibilityTimeout=visibility,
            MessageSystemAttributeNames=_ATTRIBUTES,
        )
        now = _now(answer)
        return [_delivery(message, now) for message in answer.get("Messages", [])]

    async def delete(self, delivery: Delivery) -> None:
        await self._deletes.add({"ReceiptHandle": delivery.receipt})

    async def hide(self, delivery: Delivery, seconds: int) -> None:
        await self._hides.add({"ReceiptHandle": delivery.receipt, "VisibilityTimeout": seconds})

    async def postpone(self, delivery: Delivery, seconds: int) -> None:
        """Sent anew, for SQS moves what it delivered too often to the dead letters; FIFO can only hide."""
        if delivery.note is None or self._url.endswith(".fifo"):
            await self.hide(delivery, seconds)
            return
        await self._client.send_message(QueueUrl=self._url, MessageBody=delivery.body, DelaySeconds=seconds)
        await self.delete(delivery)

    async def bury(self, delivery: Delivery, reason: str) -> None:
        """Moves it to the dead-letter queue with the attribute `Reason`; else SQS does, without one.

        Sent before it is deleted: a crash in between leaves a second copy, never none.
        """
        if self._dead_letter_url is None:
            await self.hide(delivery, 0)
            return
        attributes = {
            "Reason": {"DataType": "String", "StringValue": reason[:1000] or "unknown"},
            "Receives": {"DataType": "Number", "StringValue": str(delivery.received)},
        }
        group = str(delivery.note.task_id) if delivery.note else uuid.uuid4().hex
        await self._send(self._dead_letter_url, delivery.body, group, attributes)
        await self.delete(delivery)

    async def check(self) -> None:
        await self._attribute("QueueArn")

    async def visibility(self) -> int:
        return int(await self._attribute("VisibilityTimeout") or DEFAULT_VISIBILITY_SECONDS)

    async def _send(self, url: str, body: str, group: str, attributes: Mapping[str, Any]) -> None:
        options: dict[str, Any] = {"MessageAttributes": attributes} if attributes else {}
        if url.endswith(".fifo"):
            # A group of its own for each task: tasks do not wait for one another. No two sends are the same
            # to SQS either, for Postgres tells duplicates.
            options |= {"MessageGroupId": group, "MessageDeduplicationId": str(uuid.uuid4())}
        await self._client.send_message(QueueUrl=url, MessageBody=body, **options)

    async def _attribute(self, name: str) -> str | None:
        answer = await self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=[name])
        value: str | None = answer.get("Attributes", {}).get(name)
        return value


def _now(answer: dict[str, Any]) -> datetime:
    """SQS' own time: this machine's clock may be wrong."""
    try:
        return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    except (KeyError, ValueError):
        return datetime.now(UTC)


def _delivery(message: dict[str, Any], now: datetime) -> Delivery:
    body = message["Body"]
    note = Note.load(body)
    if note is None:
        log.warning("a message in the queue is not one of ours", message_id=message.get("MessageId"))
    attributes = message.get("Attributes", {})
    told = attributes.get("SentTimestamp")
    sent = None if told is None else datetime.fromtimestamp(int(told) / 1000, UTC)
    age = None if sent is None else max(0.0, (now - sent).total_seconds())
    received = int(attributes.get("ApproximateReceiveCount", 1))
    return Delivery(note, message["ReceiptHandle"], received, body, sent, age)

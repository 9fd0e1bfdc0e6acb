"""The queue between the API and its workers: SQS, or this process's memory."""

from __future__ import annotations

import asyncio
import itertools
import json
import uuid
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

log = structlog.get_logger(__name__)

#: When the queue does not tell its own visibility timeout; SQS's own default.
_VISIBILITY_SECONDS = 30


@dataclass(frozen=True)
class Delivery:
    """One receipt of a message; `task_id` is None when the body is not one of ours."""

    task_id: uuid.UUID | None
    receipt: str
    received: int
    request_id: str | None = None


class Queue(Protocol):
    """Delivers each task at least once, and again if it is not deleted within the visibility timeout."""

    async def send(self, task_id: uuid.UUID, request_id: str | None) -> None:
        """Puts a task into the queue."""

    async def receive(self, limit: int, wait: int, visibility: int) -> list[Delivery]:
        """Up to `limit` deliveries, each hidden for `visibility` s; waits up to `wait` s for the first."""

    async def delete(self, delivery: Delivery) -> None:
        """The work is done: it is not delivered again."""

    async def hide(self, delivery: Delivery, seconds: int) -> None:
        """It is delivered again after `seconds`, at once for 0, unless it is deleted or hidden longer."""

    async def check(self) -> None:
        """Raises if the queue cannot be reached."""

    async def visibility(self) -> int:
        """For how many seconds a received message stays hidden."""


class MemoryQueue:
    """A queue that lives and dies with the process."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[Delivery] = asyncio.Queue()
        self._hidden: dict[str, asyncio.TimerHandle] = {}
        self._receipts = itertools.count(1)

    async def send(self, task_id: uuid.UUID, request_id: str | None) -> None:
        self._waiting.put_nowait(Delivery(task_id, "", 0, request_id))

    async def receive(self, limit: int, wait: int, visibility: int) -> list[Delivery]:
        try:
            async with asyncio.timeout(wait):
                taken = [await self._waiting.get()]
        except TimeoutError:
            return []
        while len(taken) < limit and not self._waiting.empty():
            taken.append(self._waiting.get_nowait())
        deliveries = [
            Delivery(item.task_id, str(next(self._receipts)), item.received + 1, item.request_id)
            for item in taken
        ]
        for delivery in deliveries:
            await self.hide(delivery, visibility)
        return deliveries

    async def delete(self, delivery: Delivery) -> None:
        timer = self._hidden.pop(delivery.receipt, None)
        if timer is not None:
            timer.cancel()

    async def hide(self, delivery: Delivery, seconds: int) -> None:
        await self.delete(delivery)
        timer = asyncio.get_running_loop().call_later(seconds, self._return, delivery)
        self._hidden[delivery.receipt] = timer

    def _return(self, delivery: Delivery) -> None:
        self._hidden.pop(delivery.receipt, None)
        self._waiting.put_nowait(delivery)

    async def check(self) -> None:
        return

    async def visibility(self) -> int:
        return _VISIBILITY_SECONDS


class SqsQueue:
    """An SQS queue, standard or FIFO."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    async def send(self, task_id: uuid.UUID, request_id: str | None) -> None:
        body = json.dumps({"task_id": str(task_id), "request_id": request_id})
        options: dict[str, str] = {}
        if self._url.endswith(".fifo"):
            # A group of its own for each task: tasks do not wait for one another. No two sends are the same
            # to SQS either, for Postgres tells duplicates.
            options = {"MessageGroupId": str(task_id), "MessageDeduplicationId": str(uuid.uuid4())}
        await self._client.send_message(QueueUrl=self._url, MessageBody=body, **options)

    async def receive(self, limit: int, wait: int, visibility: int) -> list[Delivery]:
        answer = await self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=min(limit, 10),
            WaitTimeSeconds=wait,
            VisibilityTimeout=visibility,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        return [_delivery(message) for message in answer.get("Messages", [])]

    async def delete(self, delivery: Delivery) -> None:
        await self._client.delete_message(QueueUrl=self._url, ReceiptHandle=delivery.receipt)

    async def hide(self, delivery: Delivery, seconds: int) -> None:
        await self._client.change_message_visibility(
            QueueUrl=self._url, ReceiptHandle=delivery.receipt, VisibilityTimeout=seconds
        )

    async def check(self) -> None:
        await self._attribute("QueueArn")

    async def visibility(self) -> int:
        return int(await self._attribute("VisibilityTimeout") or _VISIBILITY_SECONDS)

    async def _attribute(self, name: str) -> str | None:
        answer = await self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=[name])
        value: str | None = answer.get("Attributes", {}).get(name)
        return value


def _delivery(message: dict[str, Any]) -> Delivery:
    task_id, request_id = None, None
    try:
        body = json.loads(message["Body"])
        task_id, request_id = uuid.UUID(body["task_id"]), body.get("request_id")
    except (ValueError, TypeError, KeyError, AttributeError):
        log.warning("a message in the queue is not one of ours", message_id=message.get("MessageId"))
    received = int(message.get("Attributes", {}).get("ApproximateReceiveCount", 1))
    return Delivery(task_id, message["ReceiptHandle"], received, request_id)

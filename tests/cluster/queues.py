"""A queue of the local AWS, and workers that are nothing but their messages' time in hand."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config

from tests.cluster.conftest import Cluster

REGION = "eu-central-1"
#: No message comes back by itself while a test runs.
_HIDDEN_SECONDS = 600
_BATCH = 10


def aws(cluster: Cluster, service: str) -> Any:
    """A client of the local AWS, which KEDA asks too."""
    return boto3.client(
        service,
        endpoint_url=cluster.environment.service("moto")["url"],
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(proxies={"http": None}, max_pool_connections=4),
    )


@dataclass
class Queue:
    """A queue and the messages that somebody has in hand."""

    client: Any
    url: str
    name: str
    in_hand: list[str] = field(default_factory=list)

    @property
    def connection(self) -> dict[str, str]:
        """What a fleet is told of it."""
        arn = f"arn:aws:sqs:{REGION}:123456789012:{self.name}"
        return {"url": self.url, "arn": arn}

    def send(self, number: int) -> None:
        for first in range(0, number, _BATCH):
            many = range(first, min(first + _BATCH, number))
            entries = [{"Id": str(each), "MessageBody": "a task"} for each in many]
            self.client.send_message_batch(QueueUrl=self.url, Entries=entries)

    def take(self, most: int) -> int:
        """Takes waiting messages into hand; returns how many there were."""
        taken = 0
        while taken < most:
            answer = self.client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=min(_BATCH, most - taken),
                VisibilityTimeout=_HIDDEN_SECONDS,
                WaitTimeSeconds=0,
            )
            found = [each["ReceiptHandle"] for each in answer.get("Messages", ())]
            if not found:
                break
            self.in_hand += found
            taken += len(found)
        return taken

    def finish(self, number: int) -> None:
        """Deletes as many of those in hand, the oldest first."""
        done, self.in_hand = self.in_hand[:number], self.in_hand[number:]
        for first in range(0, len(done), _BATCH):
            entries = [
                {"Id": str(index), "ReceiptHandle": handle}
                for index, handle in enumerate(done[first : first + _BATCH])
            ]
            self.client.delete_message_batch(QueueUrl=self.url, Entries=entries)

    def counts(self) -> tuple[int, int]:
        """How many wait, and how many are in hand."""
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        found = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=list(names))["Attributes"]
        return int(found[names[0]]), int(found[names[1]])


def made(cluster: Cluster) -> Queue:
    client, name = aws(cluster, "sqs"), f"tasks-{uuid.uuid4().hex[:8]}"
    return Queue(client, client.create_queue(QueueName=name)["QueueUrl"], name)


@contextmanager
def worked_on(
    queue: Queue, *, workers: Callable[[], int], concurrency: int, seconds: float
) -> Iterator[list[tuple[float, int]]]:
    """While the block runs, each worker has so many tasks in hand at once, and each takes so long.

    Yields how many tasks there are, waiting and in hand, as it was seen all the while.
    """
    over = threading.Event()
    seen: list[tuple[float, int]] = []

    def work() -> None:
        due: list[float] = []
        while not over.wait(0.1):
            now = time.monotonic()
            done = sum(each <= now for each in due)
            queue.finish(done)
            due = due[done:]
            free = workers() * concurrency - len(due)
            if free > 0:
                due += [now + seconds] * queue.take(free)
            seen.append((now, sum(queue.counts())))

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        try:
            yield seen
        finally:
            over.set()
        working.result()

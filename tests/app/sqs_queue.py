"""A standard SQS queue in memory, for load: an action takes as long on a deep queue as on a shallow one.

Where SQS promises less than it mostly does, this does the less: an older receipt of a message that was
received again deletes nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import itertools
import json
import time
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter, deque
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tests.app.sqs_errors import no_such_receipt, prefixed

ACCOUNT = "123456789012"
DEFAULTS = {
    "DelaySeconds": "0",
    "MaximumMessageSize": "1048576",
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "SqsManagedSseEnabled": "true",
    "VisibilityTimeout": "30",
}
LONGEST_VISIBILITY = 43200


class State(Enum):
    VISIBLE = "visible"
    HIDDEN = "in_flight"
    DELAYED = "delayed"
    GONE = "gone"


@dataclass(slots=True, eq=False)
class Message:
    """One copy of a message."""

    id: str
    body: str
    md5: str
    attributes: dict[str, dict[str, Any]]
    sent_ms: int
    number: int = 0
    """Within its queue; receipts are made of it."""
    count: int = 0
    """How often it was received, across redrives."""
    first_received_ms: int = 0
    due: float = 0
    """Monotonic seconds at which it becomes visible."""
    state: State = State.GONE
    source_arn: str | None = None
    """The queue it was redriven from."""


@dataclass(eq=False)
class Queue:
    """One queue; used from one event loop."""

    name: str
    region: str
    attributes: dict[str, str]
    created: int = field(default_factory=lambda: int(time.time()))
    counts: Counter[str] = field(default_factory=Counter)
    """What was done since the start: `sent`, `delivered`, `deleted`, `redriven`, `duplicated`, ..."""
    most_in_flight: int = 0

    def __post_init__(self) -> None:
        self._messages: dict[int, Message] = {}
        self._visible: deque[Message] = deque()
        self._timers: list[tuple[float, int, Message]] = []
        self._numbers = itertools.count(1)
        self._states: Counter[State] = Counter()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def arn(self) -> str:
        return f"arn:aws:sqs:{self.region}:{ACCOUNT}:{self.name}"

    @property
    def redrive(self) -> tuple[str, int] | None:
        """The dead-letter queue's ARN, and after how many receipts."""
        if not (policy := self.attributes.get("RedrivePolicy")):
            return None
        told = json.loads(policy)
        return told["deadLetterTargetArn"], int(told["maxReceiveCount"])

    def described(self) -> dict[str, str]:
        """All attributes, as GetQueueAttributes gives them."""
        self._ripen()
        return {
            **self.attributes,
            "ApproximateNumberOfMessages": str(self._states[State.VISIBLE]),
            "ApproximateNumberOfMessagesDelayed": str(self._states[State.DELAYED]),
            "ApproximateNumberOfMessagesNotVisible": str(self._states[State.HIDDEN]),
            "CreatedTimestamp": str(self.created),
            "LastModifiedTimestamp": str(self.created),
            "QueueArn": self.arn,
        }

    def stats(self) -> dict[str, Any]:
        self._ripen()
        oldest = min((message.sent_ms for message in self._messages.values()), default=None)
        return {
            **self.counts,
            **{state.value: self._states[state] for state in State if state is not State.GONE},
            "most_in_flight": self.most_in_flight,
            "oldest_seconds": None if oldest is None else time.time() - oldest / 1000,
        }

    def send(self, body: str, attributes: dict[str, dict[str, Any]], delay: float) -> Message:
        digest = hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()
        message = Message(str(uuid.uuid4()), body, digest, attributes, int(time.time() * 1000))
        self.counts["sent"] += 1
        self._add(message, delay)
        return message

    async def receive(
        self, limit: int, visibility: float, wait: float, dead_letters: Queue | None
    ) -> list[Message]:
        """Up to `limit` messages, hidden for `visibility` s; waits up to `wait` s for the first."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        while True:
            taken = self._take(limit, visibility, dead_letters)
            left = deadline - loop.time()
            if taken or left <= 0:
                self.counts["delivered"] += len(taken)
                self.counts["empty_receives"] += not taken
                return taken
            waiter = loop.create_future()
            self._waiting.append(waiter)
            try:
                await asyncio.wait([waiter], timeout=left)
            except asyncio.CancelledError:
                if waiter.done():
                    self._wake(1)  # what it was woken for is for somebody else
                raise
            finally:
                if not waiter.done():
                    waiter.cancel()

    def receipt(self, message: Message) -> str:
        """Of its latest delivery."""
        return urlsafe_b64encode(f"{self.name}/{message.number}/{message.count}".encode()).decode()

    def delete(self, receipt: str) -> None:
        """Deletes the message; nothing if it is gone, or was received again since.

        Raises:
            SqsError: it is no receipt of this queue.
        """
        message, is_latest = self._received(receipt)
        if message is not None and is_latest:
            self.counts["deleted"] += 1
            self._remove(message)

    def change_visibility(self, receipt: str, seconds: int) -> None:
        """Hides a message in flight for `seconds` from now; 0 shows it.

        Raises:
            SqsError: it is no receipt of this queue, or its message is gone or not in flight.
        """
        message, is_latest = self._received(receipt)
        if message is None:
            raise no_such_receipt()
        self._ripen()
        if message.state is not State.HIDDEN or not is_latest:
            raise prefixed("MessageNotInflight", "The message referred to isn't in flight.")
        self._place(message, seconds, State.HIDDEN)

    def duplicate(self, message: Message, delay: float) -> None:
        """Adds a second copy, as where one of SQS' own servers did not hear of a delivery."""
        self.counts["duplicated"] += 1
        fields = (message.id, message.body, message.md5, message.attributes, message.sent_ms)
        copy = Message(*fields, count=message.count - 1, source_arn=message.source_arn)
        copy.first_received_ms = message.first_received_ms
        self._add(copy, delay)

    def purge(self) -> None:
        for message in list(self._messages.values()):
            self.counts["purged"] += 1
            self._remove(message)

    def _received(self, receipt: str) -> tuple[Message | None, bool]:
        try:
            name, number, count = urlsafe_b64decode(receipt.encode()).decode().split("/")
            if name != self.name:
                raise no_such_receipt()
            message = self._messages.get(int(number))
        except ValueError:
            raise no_such_receipt() from None
        return message, message is not None and message.count == int(count)

    def _take(self, limit: int, visibility: float, dead_letters: Queue | None) -> list[Message]:
        self._ripen()
        redrive = self.redrive if self._visible else None
        taken: list[Message] = []
        while self._visible and len(taken) < limit:
            message = self._visible.popleft()
            if message.state is not State.VISIBLE:
                continue
            if redrive is not None and dead_letters is not None and message.count >= redrive[1]:
                self._remove(message)
                self.counts["redriven"] += 1
                message.source_arn = self.arn
                dead_letters.counts["redriven_here"] += 1
                dead_letters._add(message, 0)
                continue
            message.count += 1
            message.first_received_ms = message.first_received_ms or int(time.time() * 1000)
            taken.append(message)
        for message in taken:  # not before: with a visibility of 0 one would be taken twice
            self._place(message, visibility, State.HIDDEN)
        self.most_in_flight = max(self.most_in_flight, self._states[State.HIDDEN])
        return taken

    def _add(self, message: Message, delay: float) -> None:
        message.number = next(self._numbers)
        self._messages[message.number] = message
        self._place(message, delay, State.DELAYED)

    def _remove(self, message: Message) -> None:
        self._enter(message, State.GONE)
        del self._messages[message.number]

    def _place(self, message: Message, seconds: float, state: State) -> None:
        """Makes it visible after `seconds`, and until then what `state` says."""
        if seconds <= 0:
            self._enter(message, State.VISIBLE)
            self._visible.append(message)
            self._wake(1)
            return
        message.due = time.monotonic() + seconds
        self._enter(message, state)
        heapq.heappush(self._timers, (message.due, next(self._numbers), message))
        self._set_alarm()

    def _enter(self, message: Message, state: State) -> None:
        self._states[message.state] -= 1
        self._states[state] += 1
        message.state = state

    def _ripen(self) -> None:
        """Shows what has been hidden or delayed long enough."""
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            due, _, message = heapq.heappop(self._timers)
            if message.due == due and message.state in {State.HIDDEN, State.DELAYED}:
                self._enter(message, State.VISIBLE)
                self._visible.append(message)
                self._wake(1)

    def _set_alarm(self) -> None:
        """For those who wait: nobody else may come when the next message ripens."""
        loop, due = asyncio.get_running_loop(), self._timers[0][0]
        if self._alarm is not None:
            if self._alarm.when() <= due:
                return
            self._alarm.cancel()
        self._alarm = loop.call_at(due, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._ripen()
        if self._timers:
            self._set_alarm()

    def _wake(self, count: int) -> None:
        while count and self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                count -= 1

"""What a worker's pod does here: it takes tasks, calls the vendor, and ends when it is told to."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

from benchmarks.burst.accounts import Record, Refusal
from benchmarks.burst.arms import CONCURRENCY
from benchmarks.burst.compress import Clock
from benchmarks.burst.provider import Bucket, Window, retry_seconds
from benchmarks.burst.trace import CALLS
from tests.app.sqs_errors import SqsError
from tests.app.sqs_queue import Message, Queue

#: As long as SQS lets a request wait for a message.
_LONG_POLL_SECONDS = 20.0
#: Of the CPU request, with nothing in hand.
IDLE_SHARE = 0.05


@dataclass
class Ground:
    """What all workers of one arm share."""

    clock: Clock
    queue: Queue
    vendor: Bucket
    record: Record
    seconds: list[float]
    """How long each task takes, by its number, which is the message's body."""
    visibility: float
    busy_share: float
    """Of the CPU request, with as many tasks in hand as a worker takes."""
    hold: int | None = None
    window: Window | None = None
    slots: int = 0
    """How many tasks at once the running pods take."""
    failures: list[BaseException] = field(default_factory=list)
    """Of the benchmark itself: any ends it."""
    random: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311


def note(task: asyncio.Task[None], failures: list[BaseException]) -> None:
    """Keeps what a task that nobody waits for failed by."""
    if not task.cancelled() and (error := task.exception()):
        failures.append(error)


class Worker:
    """One pod's process, from its start on."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._tasks: set[asyncio.Task[None]] = set()
        self._freed = asyncio.Event()
        self._taking = asyncio.create_task(self._take())
        self._taking.add_done_callback(lambda task: note(task, ground.failures))
        self._spent = 0.0
        self._counted = self._asked = ground.clock.now()
        ground.slots += CONCURRENCY

    @property
    def in_hand(self) -> int:
        return len(self._tasks)

    def cpu_share(self) -> float:
        """Of its CPU request, on average since it was asked last."""
        self._count()
        passed = max(self._counted - self._asked, 1e-6)
        busy, self._spent, self._asked = self._spent / passed / CONCURRENCY, 0.0, self._counted
        return IDLE_SHARE + (self._ground.busy_share - IDLE_SHARE) * min(busy, 1.0)

    async def end(self, grace: float) -> None:
        """SIGTERM: it takes nothing more, and has so many seconds for what it has; then it is killed."""
        self._taking.cancel()
        await asyncio.gather(self._taking, return_exceptions=True)
        if self._tasks:
            _, cut = await asyncio.wait(self._tasks, timeout=self._ground.clock.real(grace))
            for task in cut:
                task.cancel()
            await asyncio.gather(*cut, return_exceptions=True)
        self._ground.slots -= CONCURRENCY

    def _count(self) -> None:
        """Adds up the seconds of tasks in hand."""
        now = self._ground.clock.now()
        self._spent += (now - self._counted) * len(self._tasks)
        self._counted = now

    async def _take(self) -> None:
        ground = self._ground
        while True:
            if (free := CONCURRENCY - len(self._tasks)) <= 0:
                self._freed.clear()
                await self._freed.wait()
                continue
            wait = ground.clock.real(_LONG_POLL_SECONDS)
            hidden = ground.clock.real(ground.hold or ground.visibility)
            for message in await ground.queue.receive(free, hidden, wait, None):
                self._count()
                task = asyncio.create_task(self._work(message, ground.queue.receipt(message)))
                self._tasks.add(task)
                task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._count()
        self._tasks.discard(task)
        self._freed.set()
        note(task, self._ground.failures)

    async def _work(self, message: Message, receipt: str) -> None:
        ground, number = self._ground, int(message.body)
        task = ground.record.tasks[number]
        task.starts.append(ground.clock.now())
        beating = asyncio.create_task(self._beat(receipt)) if ground.hold else None
        try:
            for _ in range(CALLS):
                await self._call(ground.seconds[number] / CALLS)
            ground.queue.delete(receipt)
            if task.done is None:
                task.done = ground.clock.now()
        except asyncio.CancelledError:
            task.cuts.append(ground.clock.now())
            raise
        finally:
            if beating:
                beating.cancel()

    async def _beat(self, receipt: str) -> None:
        """Hides the message again and again at a third of `hold`, as the agent service does."""
        ground = self._ground
        hold = float(ground.hold or 0)
        while True:
            await ground.clock.sleep(hold / 3)
            try:
                ground.queue.change_visibility(receipt, ground.clock.real(hold))  # type: ignore[arg-type] # the fake takes parts of a second
            except SqsError:
                return

    async def _call(self, seconds: float) -> None:
        """One call of the model; what is refused is tried again until it is not."""
        ground = self._ground
        while ground.window and (wait := ground.window.admit(ground.clock.now())):
            await ground.clock.sleep(wait)
        attempt = 0
        ground.record.calls += 1
        while not ground.vendor.take(ground.clock.now()):
            ground.record.refusals.append(Refusal(ground.clock.now(), ground.slots))
            await ground.clock.sleep(retry_seconds(attempt, ground.random.random()))
            attempt += 1
        await ground.clock.sleep(seconds)

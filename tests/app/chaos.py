"""What goes wrong in the chaos test: one thing every second, drawn from a seed, for about a second each."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.app.drill import Drill
from tests.app.toxiproxy import Proxy

#: A Redis that lost its windows admits nothing for 5 s: more often than this, and nothing would get done.
_REDIS_EVERY = 20.0
#: A restart takes a store a second or two on a busy machine.
_POSTGRES_EVERY = 10.0
_SQS: list[list[dict[str, Any]]] = [
    [{"kind": "status", "status": 503, "probability": 0.3}],
    [{"kind": "throttle", "probability": 0.3}],
    [{"kind": "lost", "probability": 0.2}],
    [{"kind": "refuse", "probability": 0.3}],
    [{"kind": "duplicate", "probability": 0.5, "seconds": 0.5}],
    [{"kind": "delay", "probability": 0.3, "seconds": 0.5}],
]
_LLM: list[list[dict[str, Any]]] = [
    [{"kind": "status", "status": 429, "retry_after": 1, "probability": 0.5}],
    [{"kind": "status", "status": 500, "probability": 0.5}],
    [{"kind": "status", "status": 529, "probability": 0.5}],
    [{"kind": "hang", "seconds": 3, "probability": 0.2}],
    [{"kind": "cut", "after": 0.5, "probability": 0.5}],
    [{"kind": "garbage", "probability": 0.5}],
    [{"kind": "empty", "probability": 0.5}],
]


class Chaos(threading.Thread):
    """Runs until `stop`; then nothing goes wrong any more."""

    def __init__(self, fleet: Drill, *, seed: int, postgres: Proxy, redis: Proxy) -> None:
        super().__init__(daemon=True)
        self.done: Counter[str] = Counter()
        self.statuses: list[int] = []
        """The exit statuses of the workers that were told to end."""
        self.error: BaseException | None = None
        self._fleet = fleet
        self._postgres = postgres
        self._redis = redis
        self._random = random.Random(seed)  # noqa: S311 - chance, not secrecy
        self._latest: dict[str, float] = {}
        self._over = threading.Event()
        self._ending: list[Any] = []

    def run(self) -> None:
        faults: list[tuple[Callable[[], None], float]] = [
            (self.kill_worker, 0),
            (self.end_worker, 0),
            (self.lose_redis, _REDIS_EVERY),
            (self.restart_postgres, _POSTGRES_EVERY),
            (self.kill_postgres, _POSTGRES_EVERY),
            (self.disturb_sqs, 0),
            (self.disturb_sqs, 0),
            (self.disturb_model, 0),
            (self.disturb_model, 0),
            (self.slow_postgres, 0),
            (self.cut_postgres, 0),
            (self.slow_redis, 0),
        ]
        try:
            while not self._over.is_set():
                began = time.monotonic()
                fault, every = self._random.choice(faults)
                name = fault.__name__
                store = name.rpartition("_")[2]
                if not every or began - self._latest.get(store, 0) >= every:
                    self._latest[store] = began
                    self.done[name] += 1
                    fault()
                self._over.wait(max(0.0, 1 - (time.monotonic() - began)))
        except BaseException as error:  # noqa: BLE001 (the test raises it)
            self.error = error

    def stop(self) -> None:
        self._over.set()
        self.join(60)
        self._fleet.sqs_faults()
        self._fleet.llm_faults()
        self.statuses += [worker.running.wait(60) for worker in self._ending]
        if self.error is not None:
            raise self.error

    @property
    def cuts(self) -> int:
        """How often a process or a store was lost, amid whatever its workers were doing."""
        names = ("kill_worker", "restart_postgres", "kill_postgres", "cut_postgres")
        return sum(self.done[name] for name in names)

    def kill_worker(self) -> None:
        worker = self._random.choice(self._fleet.workers)
        worker.running.kill()
        worker.running.wait()
        self._fleet.start("work")

    def end_worker(self) -> None:
        # One that has not begun to start has no handler yet, and nothing in hand.
        working = [worker for worker in self._fleet.workers if '"working"' in worker.log.read_text()]
        if not working:
            return
        worker = self._random.choice(working)
        worker.running.send_signal(signal.SIGTERM)
        self._ending.append(worker)
        self._fleet.workers.remove(worker)
        self._fleet.start("work")

    def lose_redis(self) -> None:
        self._fleet.redis.gone_for(self._random.uniform(0, 2))

    def restart_postgres(self) -> None:
        self._fleet.postgres.restart()

    def kill_postgres(self) -> None:
        self._fleet.postgres.gone_for(self._random.uniform(0, 2))

    def disturb_sqs(self) -> None:
        self._fleet.sqs_faults(*self._random.choice(_SQS))
        self._over.wait(0.9)
        self._fleet.sqs_faults()

    def disturb_model(self) -> None:
        self._fleet.llm_faults(*self._random.choice(_LLM))
        self._over.wait(0.9)
        self._fleet.llm_faults()

    def slow_postgres(self) -> None:
        with self._postgres.toxic("latency", latency=50, jitter=50):
            self._over.wait(0.9)

    def cut_postgres(self) -> None:
        with self._postgres.down():
            self._over.wait(0.3)

    def slow_redis(self) -> None:
        with self._redis.toxic("latency", latency=50, jitter=50):
            self._over.wait(0.9)

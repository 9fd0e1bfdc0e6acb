"""Sends chats to one address and times the answers; prints one JSON line. `python -m benchmarks.load --help`

A process of its own, so that what it costs is not what it measures. `--rate` sends at a mean rate however
slow the answers are, at moments drawn from the seed (Poisson), and times each from the moment it was due: a
server that stalls is charged for all who wait. `--at-once` keeps so many requests going, for throughput.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import random
import sys
import time
from collections.abc import Iterator
from typing import Any

import aiohttp

#: A session is left after this many turns, so that histories stay as long as people's are.
TURNS = 10
_SESSIONS = 100
_MESSAGE = "What is a heron, and where would I have to go in order to see one on a rainy afternoon?"


def bodies(kind: str, run: str) -> Iterator[bytes]:
    """The requests' bodies, without end.

    Args:
        kind: `plain` is a message alone; `sessions` one in a session, a new one every TURNS turns; `openai` a
            chat completion; `task` a task; `same` the same message each time.
        run: told apart from other runs by this.
    """
    for number in itertools.count():
        message = _MESSAGE if kind == "same" else f"{_MESSAGE} {run}-{number}"
        body: dict[str, Any] = {"message": message}
        if kind == "sessions":
            generation, place = divmod(number, _SESSIONS)
            body["session_id"] = f"{run}-{generation // TURNS}-{place}"
        elif kind == "task":
            body = {"agent": "assistant", "input": message}
        elif kind == "openai":
            body = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": message}]}
        yield json.dumps(body).encode()


class Load:
    """Asks one address; `taken` has the seconds of those that were answered."""

    def __init__(self, session: aiohttp.ClientSession, url: str, bodies: Iterator[bytes]) -> None:
        self.taken: list[float] = []
        self.failed = 0
        self._session = session
        self._url = url
        self._bodies = bodies

    async def ask(self, due: float) -> None:
        try:
            async with self._session.post(self._url, data=next(self._bodies)) as response:
                await response.read()
                status = response.status
        except aiohttp.ClientError as error:
            status = 0
            print(f"no answer: {error!r}", file=sys.stderr)
        if status in {200, 202}:
            self.taken.append(time.perf_counter() - due)
        else:
            self.failed += 1

    async def at_rate(self, rate: float, seconds: float, seed: int) -> None:
        chance, loop = random.Random(seed), asyncio.get_running_loop()  # noqa: S311 (not a secret)
        asking: set[asyncio.Task[None]] = set()
        began = due = time.perf_counter()
        while (due := due + chance.expovariate(rate)) < began + seconds:
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            task = loop.create_task(self.ask(due))
            asking.add(task)
            task.add_done_callback(asking.discard)
        await asyncio.gather(*asking)

    async def at_once(self, many: int, seconds: float, count: int | None) -> None:
        end, numbers = (
            time.perf_counter() + seconds,
            iter(itertools.count() if count is None else range(count)),
        )

        async def keep_asking() -> None:
            while (now := time.perf_counter()) < end and next(numbers, None) is not None:
                await self.ask(now)

        await asyncio.gather(*(keep_asking() for _ in range(many)))


async def run(options: argparse.Namespace) -> dict[str, Any]:
    headers = {"content-type": "application/json"}
    if options.key:
        headers["authorization"] = f"Bearer {options.key}"
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout) as session:
        load = Load(session, options.url, bodies(options.body, f"r{options.seed}"))
        # The collector's pauses would count as the server's.
        gc.disable()
        began = time.perf_counter()
        if options.rate:
            await load.at_rate(options.rate, options.seconds, options.seed)
        else:
            await load.at_once(options.at_once, options.seconds, options.count)
        took = time.perf_counter() - began
    return {
        "milliseconds": sorted(round(seconds * 1000, 3) for seconds in load.taken),
        "failed": load.failed,
        "per_second": round(len(load.taken) / took, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--body", choices=["plain", "sessions", "openai", "task", "same"], default="plain")
    parser.add_argument("--key", help="of a service on loopback, made for this run")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--seed", type=int, default=0)
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--rate", type=float, help="requests a second")
    how.add_argument("--at-once", type=int)
    parser.add_argument("--count", type=int, help="the most requests, with --at-once")
    print(json.dumps(asyncio.run(run(parser.parse_args()))))


if __name__ == "__main__":
    main()

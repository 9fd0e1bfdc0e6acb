"""What traces cost a chat of the built-in model: `python -m benchmarks.traces [rounds]`.

One process for each way of tracing, all over the same Redis, Postgres and receiver; they are asked in turns,
in another order each round, so that what else the machine does falls on all. Paired: each is compared with
`off` of the same round. The CPU time is the served process' own.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from tests.app import stack as stacks
from tests.app.otlp import receiving
from tests.app.stack import App, Stack

AT_ONCE, REQUESTS, WARM = 16, 200, 200


def _ways(receiver: str) -> dict[str, dict[str, str]]:
    on = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver}
    some = {**on, "OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}
    return {
        "off": {},
        "0 %": {**on, "OTEL_TRACES_SAMPLER": "always_off"},
        "10 %": {**some, "OTEL_TRACES_SAMPLER_ARG": "0.1"},
        "100 %": on,
    }


def _cpu(app: App) -> float:
    threads = Path(f"/proc/{app.running.pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


async def _ask(app: App, requests: int) -> tuple[float, float]:
    """Requests a second, and milliseconds of CPU time for each."""
    left = requests

    async def client(session: aiohttp.ClientSession) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            async with session.post("/v1/chat", json={"message": "What is a heron?"}) as answer:
                assert answer.status == 200, await answer.text()
                await answer.read()

    async with aiohttp.ClientSession(app.url) as session:
        cpu, began = _cpu(app), time.perf_counter()
        await asyncio.gather(*(client(session) for _ in range(AT_ONCE)))
        seconds = time.perf_counter() - began
        return requests / seconds, (_cpu(app) - cpu) / requests * 1000


async def _measure(apps: dict[str, App], rounds: int) -> None:
    taken: dict[str, list[tuple[float, float]]] = {way: [] for way in apps}
    for app in apps.values():
        await _ask(app, WARM)
    order = list(apps)
    for _ in range(rounds):
        random.shuffle(order)
        for way in order:
            taken[way].append(await _ask(apps[way], REQUESTS))
    print(f"POST /v1/chat, built-in model, {AT_ONCE} at once, {rounds} rounds of {REQUESTS}; medians")
    for way, results in taken.items():
        rate, cpu = (statistics.median(column) for column in zip(*results, strict=True))
        pairs = list(zip(results, taken["off"], strict=True))
        slower = statistics.median(1 - its[0] / off[0] for its, off in pairs)
        dearer = statistics.median(its[1] / off[1] - 1 for its, off in pairs)
        print(
            f"{way:6} {rate:7.1f} requests/s ({-slower:+6.1%})   {cpu:6.3f} ms of CPU each ({dearer:+6.1%})"
        )


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with contextlib.ExitStack() as open_:
        directory = Path(open_.enter_context(tempfile.TemporaryDirectory()))
        receiver = open_.enter_context(receiving(keeps=False))
        postgres = open_.enter_context(stacks.postgres(directory))
        redis = open_.enter_context(stacks.redis(directory))
        moto = open_.enter_context(stacks.moto(directory))
        stack = Stack(directory, postgres, redis, moto)
        stack.fleet()
        stack.migrate().check_returncode()
        ways = _ways(receiver.url)
        apps = {way: open_.enter_context(stack.app(**variables)) for way, variables in ways.items()}
        for app in apps.values():
            app.ready()
        asyncio.run(_measure(apps, rounds))


if __name__ == "__main__":
    main()

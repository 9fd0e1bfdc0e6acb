"""How much longer a chat takes than a bare route that calls the same model: `python -m benchmarks.overhead`.

Both, one process each, are sent requests at the same moments of Poisson arrivals, below what either saturates
at, one after the other, round by round; a ratio is of the two of one round. The service has sessions in Redis
and Postgres (the history is sent to the model), limits, a budget, API keys, metrics and traces.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from benchmarks import results, running

DELAY = 0.05
RATES = (20, 80)
ROUNDS, SECONDS = 5, 4.0
BARE = ("with_httpx", "with_sdk")
OURS = "agent-app"


def main() -> None:
    with ExitStack() as parts:
        ground = parts.enter_context(running.ground(DELAY))
        stack, vendor = ground.stack, ground.vendor
        urls = {name: parts.enter_context(running.bare(stack.directory, name, vendor)) for name in BARE}
        ours = parts.enter_context(stack.app(**ground.everything))
        ours.ready()
        urls[OURS] = ours.url
        for name in urls:
            # A new window of limits admits nothing for its first 5 s.
            _load(urls, name, 25, seconds=7, seed=0)
        found = {f"{rate} a second": _compared(urls, rate) for rate in RATES}
        found["memory_mib"] = {"serve": running.memory(ours)}
    results.write("overhead", {"delay_ms": DELAY * 1000, "rounds": ROUNDS, "seconds": SECONDS, **found})


def _compared(urls: dict[str, str], rate: float) -> dict[str, Any]:
    taken: dict[str, dict[str, list[float]]] = {name: {"p50": [], "p99": []} for name in urls}
    for round_ in range(1, ROUNDS + 1):
        for name in urls:
            times = _load(urls, name, rate, seconds=SECONDS, seed=round_)
            taken[name]["p50"].append(results.percentile(times, 0.5))
            taken[name]["p99"].append(results.percentile(times, 0.99))
    found: dict[str, Any] = {name: {} for name in urls}
    for name, percentiles in taken.items():
        for which, values in percentiles.items():
            found[name][f"{which}_ms"] = results.spread(values)
            if name != OURS:
                pairs = zip(taken[OURS][which], values, strict=True)
                ratio = results.spread([ours / theirs for ours, theirs in pairs])
                found[name][f"agent-app_to_this_{which}"] = ratio
        print(
            f"{rate:4} a second, {name:10}",
            *(f"{k} {results.shown(v)}" for k, v in found[name].items()),
            sep="  ",
        )
    return found


def _load(urls: dict[str, str], name: str, rate: float, *, seconds: float, seed: int) -> list[float]:
    body = "sessions" if name == OURS else "plain"
    times: list[float] = running.load(f"{urls[name]}/v1/chat", body, seconds=seconds, rate=rate, seed=seed)[
        "milliseconds"
    ]
    return times


if __name__ == "__main__":
    main()

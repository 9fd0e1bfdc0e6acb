"""How long an answer from the cache takes: `python -m benchmarks.cached`.

The same question again and again, in sessions of their own: each turn is kept in Postgres and Redis as any
other. One at a time, then at a rate; the vendor would take 50 ms, and must not be asked.
"""

from __future__ import annotations

from contextlib import ExitStack

import httpx

from benchmarks import results, running

RATE, ROUNDS, SECONDS = 50, 5, 4.0


def main() -> None:
    with ExitStack() as parts:
        ground = parts.enter_context(running.ground(0.05))
        stack, vendor = ground.stack, ground.vendor
        variables = {**ground.everything, "AGENT_APP_RESPONSE_CACHE_SECONDS": "3600"}
        app = parts.enter_context(stack.app(**variables))
        app.ready()
        url = f"{app.url}/v1/chat"
        running.load(
            url, "same", seconds=7, at_once=1
        )  # a new window of limits admits nothing for its first 5 s
        httpx.delete(f"{vendor}/__calls")
        taken: dict[str, dict[str, list[float]]] = {}
        for round_ in range(1, ROUNDS + 1):
            for name, how in {"one at a time": {"at_once": 1}, f"{RATE} a second": {"rate": RATE}}.items():
                times = running.load(url, "same", seconds=SECONDS, seed=round_, **how)["milliseconds"]
                kept = taken.setdefault(name, {"p50_ms": [], "p99_ms": []})
                kept["p50_ms"].append(results.percentile(times, 0.5))
                kept["p99_ms"].append(results.percentile(times, 0.99))
        asked = httpx.get(f"{vendor}/__calls?records=0").json()["total"]
    assert asked == 0, f"the vendor was asked {asked} times"
    found = {name: {k: results.spread(v) for k, v in kept.items()} for name, kept in taken.items()}
    for name, spreads in found.items():
        print(f"{name:15}", *(f"{k} {results.shown(v)}" for k, v in spreads.items()))
    results.write("cached", {"rounds": ROUNDS, "seconds": SECONDS, **found})


if __name__ == "__main__":
    main()

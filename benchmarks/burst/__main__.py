"""How fleets take bursts of tasks: `python -m benchmarks.burst [rounds]`.

Five arms work off the same trace at the same time on one real control plane (etcd, API server, controller
manager, scheduler, KEDA): the seed's three manifests, KEDA with its defaults, AgentFleet with its defaults,
and the first and the last once more with workers that use their whole CPU request. The pods are simulated.
Time is compressed by 5 (a round takes some ten minutes); `--full` takes production's own time. What is
measured, and how: docs/local-cluster.md.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

from agent_infra.local.cluster import ClusterOptions
from benchmarks import results
from benchmarks.burst import plot
from benchmarks.burst.accounts import Figures, figures, verdicts
from benchmarks.burst.arms import CONCURRENCY, arms, contract
from benchmarks.burst.compress import FACTORS
from benchmarks.burst.provider import slots_kept_busy
from benchmarks.burst.run import Plan, run
from benchmarks.burst.trace import CALLS, MEAN_SECONDS, QUICK, Shape, draw
from benchmarks.planes import plane
from tests.app.processes import LOOPBACK, free_port

#: Keeps 37.5 tasks going, so nine workers with four in hand; ten are one too many.
LIMIT = 150
#: As README calls the arms.
_SHOWN = {
    "seed": "the seed's HPA, CPU 70 %, 3 to 10",
    "keda": "KEDA's defaults, 0 to 100",
    "fleet": "AgentFleet's defaults",
    "seed-busy": "the HPA, if workers used all their CPU",
    "fleet-busy": "AgentFleet's defaults, likewise",
}
_COLUMNS = {
    "waiting_p50": "waiting p50 s",
    "waiting_p99": "p99 s",
    "drain_seconds": "to drain s",
    "replica_minutes": "replica-min",
    "most_replicas": "most",
    "cut_off": "cut off",
    "late": "lost",
    "redone": "redone",
    "not_done": "not done",
    "refused": "429s",
    "refused_by_scaling": "by scaling",
}


def main() -> None:
    options = _options()
    shape = QUICK if options.quick else Shape()
    plan = Plan(shape, options.factor, LIMIT)
    sustained = slots_kept_busy(LIMIT, calls=CALLS, seconds=MEAN_SECONDS)
    rounds: list[dict[str, Figures]] = []
    port = free_port()
    sides = arms(f"http://{LOOPBACK}:{port}", LIMIT)
    with plane(_cluster(options.factor), there=options.kubeconfig) as running:
        for turn in range(options.rounds):
            trace = draw(shape, options.seed + turn)
            minutes = shape.horizon / 60 / options.factor
            print(
                f"round {turn + 1}: {len(trace)} tasks in {minutes:.0f} minutes and what it takes to settle"
            )
            records = asyncio.run(run(plan, trace, running.kubeconfig, sides, port=port))
            rounds.append(
                {
                    name: figures(record, shape, task_timeout=contract().task_timeout, sustained=sustained)
                    for name, record in records.items()
                }
            )
            _show(rounds[-1])
            if turn == 0 and not options.quick:
                for file in plot.draw(records, results.DIRECTORY / "burst"):
                    print(f"written to {file}")
    if not options.quick:
        _keep(options, rounds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("rounds", nargs="?", type=int, default=1)
    parser.add_argument("--seed", type=int, default=7, help="of the first round's trace; each has its own")
    parser.add_argument("--factor", type=int, choices=FACTORS, default=5, help="by which time is divided")
    parser.add_argument("--full", dest="factor", action="store_const", const=1, help="production's own time")
    parser.add_argument("--quick", action="store_true", help="a short trace, to see whether all works")
    parser.add_argument("--kubeconfig", type=Path, help="a control plane that is there, KEDA included")
    return parser.parse_args()


def _cluster(factor: int) -> ClusterOptions:
    """With the controllers' own times divided as all others are."""
    usual = ClusterOptions()
    return ClusterOptions(
        hpa_sync_seconds=usual.hpa_sync_seconds / factor,
        hpa_cpu_initialization_seconds=usual.hpa_cpu_initialization_seconds / factor,
        hpa_readiness_seconds=usual.hpa_readiness_seconds / factor,
    )


def _show(found: dict[str, Figures]) -> None:
    print(" " * 11 + "  ".join(f"{title:>{_width(title)}}" for title in _COLUMNS.values()))
    for name, each in found.items():
        values = (f"{round(getattr(each, field)):>{_width(title)}}" for field, title in _COLUMNS.items())
        print(f"{name:<11}" + "  ".join(values))
    for what, (value, reached) in verdicts(found).items():
        print(f"measured: {what}: {value} {'reached' if reached else 'NOT reached'}")


def _row(shown: str, found: dict[str, float]) -> str:
    """A row of README's table."""
    value = {name: f"{round(each):,}" for name, each in found.items()}
    lost = f" ({value['late']} lost)" if found["cut_off"] else ""
    scaling = f" ({value['refused_by_scaling']} by scaling)" if found["refused"] else ""
    cells = (
        shown,
        f"{value['waiting_p50']} s, {value['waiting_p99']} s",
        f"{value['drain_seconds']} s",
        value["replica_minutes"],
        value["cut_off"] + lost,
        value["refused"] + scaling,
    )
    return f"| {' | '.join(cells)} |"


def _width(title: str) -> int:
    return max(len(title), 5)


def _keep(options: argparse.Namespace, rounds: list[dict[str, Figures]]) -> None:
    found: dict[str, Any] = {}
    for name in rounds[0]:
        told = [figures_[name].as_json() for figures_ in rounds]
        found[name] = {field: results.spread([each[field] for each in told]) for field in told[0]}
    ratios = [each["fleet"].waiting_p99 / each["seed"].waiting_p99 for each in rounds]
    paid = [each["fleet"].replica_minutes / each["keda"].replica_minutes for each in rounds]
    for name, shown in _SHOWN.items():
        print(f"measured: {_row(shown, {field: each['median'] for field, each in found[name].items()})}")
    print(f"measured: p99 waiting against the seed's {results.shown(results.spread(ratios))}")
    print(f"measured: replica-minutes against KEDA's {results.shown(results.spread(paid))}")
    results.write(
        "burst",
        {
            "rounds": len(rounds),
            "first seed": options.seed,
            "time compressed by": options.factor,
            "vendor's calls a minute": LIMIT,
            "tasks at once of a worker": CONCURRENCY,
            "p99 waiting against the seed's": results.spread(ratios),
            "replica-minutes against KEDA's": results.spread(paid),
            "arms": found,
        },
    )


if __name__ == "__main__":
    main()

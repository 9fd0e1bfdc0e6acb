"""How an environment grows: `python -m benchmarks.scale [fleets ...]`.

For 1, 10, 50 and 200 fleets of ten pods each: the time of an `up` that makes all, of one that changes
nothing, and of `destroy`, by the real engine with the kubernetes stand-in on a real API server, where kwok
has the pods; the memory and the CPU time of all parts. Each size is a project and a state of its own.

The engine writes its whole state twice for each resource that changes, so that nothing is forgotten in a
crash: to files that takes time with the square of the resources, and hides what all else takes. It is left
out here, unless `--checkpoints` asks for it.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from agent_infra.automation import Environment, Project
from agent_infra.local.cluster import ClusterOptions
from agent_infra.local.standins.kubernetes.standin import KUBECONFIG
from benchmarks import results
from benchmarks.planes import plane
from benchmarks.scale.measured import Stopwatch, Usage

SIZES = (1, 10, 50, 200)
PODS = 10
_NAME = "scale"
_PROGRAM = """
import pulumi
import pulumi_kubernetes as kubernetes
from agent_infra import AgentFleet

config = pulumi.Config()
pods = config.require_int("pods")
namespace = kubernetes.core.v1.Namespace("scale", metadata={"name": "scale", "labels": {
    "pod-security.kubernetes.io/enforce": "restricted"}})
for number in range(config.require_int("fleets")):
    AgentFleet(f"fleet-{number}", {
        "image": "registry.example.com/agent@sha256:" + "0" * 64,
        "namespace": namespace.metadata.name,
        "replicas": {"min": pods, "max": pods},
        "cache": {"url": "rediss://cache:6379/0"},
        "database": {"url": "postgresql://db:5432/agents"},
    })
"""


def main() -> None:
    options = _options()
    found: dict[str, dict[str, Any]] = {}
    with plane(ClusterOptions(), there=options.kubeconfig) as running:
        os.environ[KUBECONFIG] = str(running.kubeconfig)
        if not options.checkpoints:
            os.environ["PULUMI_SKIP_CHECKPOINTS"] = "true"
        for fleets in options.fleets:
            found[str(fleets)] = _measure(fleets, options.pods, running.parts)
    _tell(found, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("fleets", nargs="*", type=int, default=list(SIZES))
    parser.add_argument("--pods", type=int, default=PODS, help="of each fleet")
    parser.add_argument("--checkpoints", action="store_true", help="as users have them")
    parser.add_argument("--kubeconfig", type=Path, help="a control plane that is there")
    return parser.parse_args()


def _measure(fleets: int, pods: int, parts: Mapping[str, int]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as directory, Usage(parts) as usage:
        environment = _environment(Path(directory), fleets, pods)
        seconds: dict[str, float] = {}
        try:
            for name, run in (("up", environment.up), ("no change", environment.up)):
                watch = Stopwatch()
                changes = run(listener=watch).changes
                seconds[name] = watch.seconds()
                print(
                    f"{fleets:>4} fleets, {fleets * pods:>5} pods: {name} {seconds[name]:.1f} s {changes}",
                    flush=True,
                )
        finally:
            watch = Stopwatch()
            environment.destroy(listener=watch)
            seconds["destroy"] = watch.seconds()
        print(f"{fleets:>4} fleets, {fleets * pods:>5} pods: destroy {seconds['destroy']:.1f} s", flush=True)
    return {
        "pods": fleets * pods,
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "seconds a fleet": {name: round(value / fleets, 3) for name, value in seconds.items()},
        "most MiB": _rounded(usage.most_mib),
        "CPU seconds": _rounded(usage.cpu_seconds()),
    }


def _rounded(found: Mapping[str, float]) -> dict[str, int]:
    return {name: round(value) for name, value in sorted(found.items())}


def _environment(directory: Path, fleets: int, pods: int) -> Environment:
    (directory / "Pulumi.yaml").write_text(f"name: {_NAME}\nruntime: python\n")
    settings = {f"{_NAME}:fleets": str(fleets), f"{_NAME}:pods": str(pods)}
    (directory / "Pulumi.local.yaml").write_text(yaml.safe_dump({"config": settings}))
    (directory / "__main__.py").write_text(_PROGRAM)
    return Environment.open("local", project=Project.find(directory))


def _tell(found: dict[str, dict[str, Any]], options: argparse.Namespace) -> None:
    sizes = list(found)
    ratios = {
        f"{more} against {fewer} fleets": _ratios(found[fewer], found[more])
        for fewer, more in itertools.pairwise(sizes[1:])
    }
    for size, each in found.items():
        print(f"measured: {_row(size, each)}")
    for which, each in ratios.items():
        print(f"measured: time of a fleet, {which}: {each}")
    results.write(
        "scale-checkpoints" if options.checkpoints else "scale",
        {"pods of a fleet": options.pods, "sizes": found, "time of a fleet": ratios},
    )


def _row(fleets: str, each: dict[str, Any]) -> str:
    """A row of README's table."""
    seconds, mib = each["seconds"], dict(each["most MiB"])
    own = [f"{mib.pop(role, 0)}" for role in ("engine", "program", "stand-in for Kubernetes")]
    cells = (
        f"{int(fleets):,}, {each['pods']:,}",
        *(f"{seconds[name]:.0f} s" for name in ("up", "no change", "destroy")),
        f"{sum(each['CPU seconds'].values())} s",
        f"{sum(mib.values()) / 1024:.1f} GiB, {', '.join(own)} MiB",
    )
    return f"| {' | '.join(cells)} |"


def _ratios(fewer: dict[str, Any], more: dict[str, Any]) -> dict[str, float]:
    """What a fleet takes among more of them against among fewer; 1 and less is linear."""
    times = {name: more["seconds a fleet"][name] / value for name, value in fewer["seconds a fleet"].items()}
    cpu = [sum(each["CPU seconds"].values()) / each["pods"] for each in (fewer, more)]
    return {name: round(value, 2) for name, value in {**times, "CPU time": cpu[1] / cpu[0]}.items()}


if __name__ == "__main__":
    main()

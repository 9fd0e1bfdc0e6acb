"""What a fleet costs a program: `python -m benchmarks.fleets [rounds]`.

Three questions, each asked of processes of their own, in turns. A process of its own stands in for the engine
(`monitor.py`) and answers every registration at once, so that what is left is the program's own time:

- does the time grow with the number of fleets as a straight line: 1, 10, 100 and 500 of them;
- what a fleet costs against `handwritten_fleet.py`, which registers the same resources by hand;
- what `import agent_infra` costs against importing all of pulumi_aws and pulumi_kubernetes that it uses.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import results

NUMBERS = (1, 10, 100, 500)
COMPARED = 100
_STORED = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:"
#: What an `AgentPlatform` connects each of its fleets to.
CONNECTED: dict[str, Any] = {
    "namespace": "agents",
    "cluster_name": "agents",
    "cluster_arn": "arn:aws:eks:eu-central-1:123456789012:cluster/agents",
    "region": "eu-central-1",
    "cache": {"url": "rediss://cache:6379/0", "secret_arn": f"{_STORED}cache-1"},
    "database": {"url": "postgresql://db:5432/agents?sslmode=require", "secret_arn": f"{_STORED}db-1"},
    "queue": {
        "url": "https://sqs.eu-central-1.amazonaws.com/123456789012/tasks",
        "arn": "arn:aws:sqs:eu-central-1:123456789012:tasks",
    },
    "bucket": {"name": "artifacts", "arn": "arn:aws:s3:::artifacts"},
    "api_keys_secret_arn": f"{_STORED}keys-1",
    "deletion_cost_role": "agent-infra-deletion-cost",
}
_IMPORTS = {
    "agent_infra": "import agent_infra",
    "pulumi alone": "import pulumi",
    "the SDKs": "import pulumi_aws, pulumi_kubernetes\n"
    "from pulumi_aws import cloudwatch, ec2, ecr, eks, elasticache, iam, kms, rds, s3, secretsmanager, sqs\n"
    "from pulumi_kubernetes import apps, autoscaling, core, helm, networking, policy, rbac",
}


def _with_the_library(name: str) -> None:
    from agent_infra import AgentFleet
    from benchmarks.handwritten_fleet import IMAGE

    AgentFleet(name, {"image": IMAGE, **CONNECTED})


def _by_hand(name: str) -> None:
    from benchmarks import handwritten_fleet

    handwritten_fleet.fleet(name)


_WAYS: dict[str, Callable[[str], None]] = {"library": _with_the_library, "hand": _by_hand}


def seconds(way: str, count: int) -> tuple[float, float]:
    """The time that a program of so many fleets takes here, and its CPU time; imports are not in it."""
    from pulumi.runtime import settings
    from pulumi.runtime.stack import run_in_stack

    from benchmarks.monitor import serving

    make = _WAYS[way]

    async def run(names: Sequence[str]) -> None:
        await run_in_stack(lambda: [make(name) for name in names] and None)

    with serving() as address:
        settings.configure(
            settings.Settings(
                project="benchmarks",
                stack="test",
                monitor=address,
                engine=address,
                parallel=16,
                dry_run=False,
            )
        )
        # What is imported or built on first use.
        asyncio.run(run(["first"]))
        names = [f"fleet-{number}" for number in range(count)]
        began, began_cpu = time.perf_counter(), time.process_time()
        asyncio.run(run(names))
        return time.perf_counter() - began, time.process_time() - began_cpu


def _in_its_own_process(way: str, count: int) -> tuple[float, float]:
    code = f"import json\nfrom benchmarks.fleets import seconds\nprint(json.dumps(seconds({way!r}, {count})))"
    wall, cpu = json.loads(_python(code))
    return float(wall), float(cpu)


def _python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def _import_seconds(statement: str) -> float:
    timed = f"import time\nbegan = time.process_time()\n{statement}\nprint(time.process_time() - began)"
    return float(_python(timed))


def _same_resources() -> int:
    """How many resources a fleet is.

    Raises:
        SystemExit: the hand-written program registers something else.
    """
    from benchmarks.handwritten_fleet import IMAGE
    from tests.unit.recording import record

    def told(program: Callable[[], Any]) -> dict[tuple[str, str], Any]:
        return {
            (item.type, item.name): (item.inputs, item.dependencies) for item in record(program).resources
        }

    from agent_infra import AgentFleet

    ours = told(lambda: AgentFleet("support", {"image": IMAGE, **CONNECTED}) and None)
    theirs = told(lambda: _by_hand("support"))
    different = [key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)]
    if different:
        sys.exit(f"benchmarks/handwritten_fleet.py does not register what AgentFleet does: {different}")
    return len(ours) - 1  # the stack


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    resources = _same_resources()
    print(f"a fleet is {resources} resources")
    grown: dict[int, list[float]] = {count: [] for count in NUMBERS}
    ratios: list[float] = []
    cpu_ratios: list[float] = []
    imports: dict[str, list[float]] = {name: [] for name in _IMPORTS}
    for turn in range(rounds):
        for count in NUMBERS:
            grown[count].append(_in_its_own_process("library", count)[1] / count * 1000)
        found = {}
        for way in ("library", "hand") if turn % 2 else ("hand", "library"):
            found[way] = _in_its_own_process(way, COMPARED)
        ratios.append(found["library"][0] / found["hand"][0])
        cpu_ratios.append(found["library"][1] / found["hand"][1])
        for name, statement in _IMPORTS.items():
            imports[name].append(_import_seconds(statement))
    of_sdks = [ours / sdks for ours, sdks in zip(imports["agent_infra"], imports["the SDKs"], strict=True)]
    growth = {str(count): results.spread(each) for count, each in grown.items()}
    for count, each in growth.items():
        print(f"{count:>4} fleets: {results.shown(each)} ms of CPU time each")
    print(f"against hand-written: {results.shown(results.spread(ratios))} of its time")
    print(f"                      {results.shown(results.spread(cpu_ratios))} of its CPU time")
    for name, each in imports.items():
        print(f"import of {name}: {results.shown(results.spread(each))} s of CPU time")
    print(f"agent_infra against the SDKs: {results.shown(results.spread(of_sdks))}")
    results.write(
        "fleets",
        {
            "rounds": rounds,
            "resources of a fleet": resources,
            "ms of CPU time for each fleet, by their number": growth,
            "against hand-written": results.spread(ratios),
            "against hand-written, CPU time": results.spread(cpu_ratios),
            "import, s of CPU time": {name: results.spread(each) for name, each in imports.items()},
            "import against the SDKs": results.spread(of_sdks),
        },
    )


if __name__ == "__main__":
    main()

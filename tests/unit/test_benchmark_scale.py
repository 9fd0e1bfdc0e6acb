"""How `benchmarks.scale` takes its figures."""

from __future__ import annotations

import os

from agent_infra.automation import Finished, Phase, Step
from benchmarks.scale.measured import Look, Stopwatch, Usage, pss, role_of


def test_the_engines_time_is_from_the_last_preparation_to_its_end() -> None:
    moments = iter([0.0, 1.0, 5.0, 12.0])
    watch = Stopwatch(clock=lambda: next(moments))
    watch(Phase("Starting moto", 3))
    watch(Phase("Starting Redis", 1))
    watch(Step(op="create", type="t", name="n", urn="u", done=True))
    watch(Finished(changes={}))
    watch(Phase("Starting the fleets", 5))
    assert watch.seconds() == 7


def test_a_roles_memory_is_the_most_at_one_moment_and_its_cpu_time_that_of_all_its_processes() -> None:
    usage = Usage()
    usage.note([Look(1, "engine", 100, 2), Look(2, "program", 40, 1), Look(3, "program", 30, 1)])
    usage.note([Look(1, "engine", 90, 6), Look(3, "program", 50, 4)])
    assert usage.most_mib == {"engine": 100, "program": 70}
    assert usage.cpu_seconds() == {"engine": 6, "program": 5}


def test_a_process_is_known_by_its_command_line() -> None:
    assert role_of("/x/bin/pulumi up --yes") == "engine"
    assert role_of("/usr/bin/python -m agent_infra.local.standins kubernetes") == "stand-in for Kubernetes"
    assert role_of("python /x/pulumi-language-python-exec --pwd /p") == "program"
    assert role_of("/usr/bin/redis-server") is None


def test_a_process_that_is_gone_has_no_memory() -> None:
    assert pss(os.getpid()) > 1
    assert pss(2**22 + 1) == 0

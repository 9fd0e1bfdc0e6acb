"""How `benchmarks.scale` takes its figures."""

from __future__ import annotations

import os

from agent_infra.automation import Finished, Phase, Step
from benchmarks.scale.measured import Memory, Stopwatch, pss, role_of


def test_the_engines_time_is_from_the_last_preparation_to_its_end() -> None:
    moments = iter([0.0, 1.0, 5.0, 12.0])
    watch = Stopwatch(clock=lambda: next(moments))
    watch(Phase("Starting moto", 3))
    watch(Phase("Starting Redis", 1))
    watch(Step(op="create", type="t", name="n", urn="u", done=True))
    watch(Finished(changes={}))
    watch(Phase("Starting the fleets", 5))
    assert watch.seconds() == 7


def test_memory_is_the_most_that_a_roles_processes_had_at_one_moment() -> None:
    memory = Memory()
    memory.note([("engine", 100), ("program", 40), ("program", 30)])
    memory.note([("engine", 90), ("program", 50)])
    assert memory.most == {"engine": 100, "program": 70}


def test_a_process_is_known_by_its_command_line() -> None:
    assert role_of("/x/bin/pulumi up --yes") == "engine"
    assert role_of("/usr/bin/python -m agent_infra.local.standins kubernetes") == "stand-in for Kubernetes"
    assert role_of("python /x/pulumi-language-python-exec --pwd /p") == "program"
    assert role_of("/usr/bin/redis-server") is None


def test_a_process_that_is_gone_has_no_memory() -> None:
    assert pss(os.getpid()) > 1
    assert pss(2**22 + 1) == 0

"""The stand-ins as processes of an engine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from agent_infra.local.environment import ENVIRONMENT_DIR
from agent_infra.local.workspace import STANDINS

pytestmark = pytest.mark.engine

ENGINE = """
import subprocess, sys
command = [sys.executable, "-m", "agent_infra.local.standins", sys.argv[1]]
standin = subprocess.Popen(command, stdout=subprocess.PIPE)
standin.stdout.readline()
print(standin.pid, flush=True)
standin.wait()
"""


@pytest.mark.parametrize("name", STANDINS)
def test_a_standin_ends_when_its_engine_was_killed(tmp_path: Path, name: str) -> None:
    engine = subprocess.Popen(
        [sys.executable, "-c", ENGINE, name],
        env={**os.environ, ENVIRONMENT_DIR: str(tmp_path)},
        stdout=subprocess.PIPE,
    )
    assert engine.stdout is not None
    standin = psutil.Process(int(engine.stdout.readline()))
    try:
        engine.kill()
        engine.wait()
        standin.wait(20)
    finally:
        engine.stdout.close()
        if standin.is_running():
            standin.kill()

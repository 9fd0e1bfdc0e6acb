"""The logs of an environment's fleets and services."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

from agent_infra.automation import AutomationError, Environment


def show(environment: Environment, name: str | None, *, follow: bool, lines: int) -> None:
    """Writes the last lines of the logs whose name begins with `name`, and with `follow` what comes after.

    Without a name it lists the logs.

    Raises:
        AutomationError: there is no such log.
    """
    if environment.local is None:
        _from_cluster(environment, name, follow=follow, lines=lines)
        return
    found = {file.stem: file for file in sorted(environment.local.logs_dir.glob("*.log"))}
    if name is None:
        sys.stdout.write("".join(f"{stem}\n" for stem in found))
        return
    chosen = {
        stem: file
        for stem, file in found.items()
        if stem == name or stem.startswith((f"{name}-", f"fleet-{name}-"))
    }
    if not chosen:
        raise AutomationError(
            f"There is no log of {name!r} in {environment.name!r}; "
            f"there are: {', '.join(found) or 'none (run `agent-infra up`)'}."
        )
    positions = {}
    for stem, file in chosen.items():
        with file.open(errors="replace") as content:
            for line in deque(content, maxlen=lines):
                _write(stem, line, alone=len(chosen) == 1)
            positions[file] = content.tell()
    while follow:
        time.sleep(0.3)
        for stem, file in chosen.items():
            positions[file] = _more(stem, file, positions[file], alone=len(chosen) == 1)


def _more(stem: str, file: Path, position: int, *, alone: bool) -> int:
    with file.open(errors="replace") as content:
        if file.stat().st_size < position:  # it was begun anew
            position = 0
        content.seek(position)
        for line in content:
            _write(stem, line, alone=alone)
        return content.tell()


def _write(stem: str, line: str, *, alone: bool) -> None:
    sys.stdout.write(line.rstrip("\n") + "\n" if alone else f"{stem}: {line.rstrip()}\n")
    sys.stdout.flush()


def _from_cluster(environment: Environment, name: str | None, *, follow: bool, lines: int) -> None:
    kubectl = shutil.which("kubectl")
    command = ["kubectl", "logs", "--all-namespaces=false", "-n", "agents", f"--tail={lines}", "--prefix"]
    command += (
        ["-l", f"app.kubernetes.io/name={name}"]
        if name
        else ["-l", "app.kubernetes.io/managed-by=agent-infra"]
    )
    command += ["-f"] if follow else []
    if kubectl is None:
        raise AutomationError(
            f"The logs of {environment.name!r} are in its cluster, and kubectl is not on PATH. With it: "
            + " ".join(command)
        )
    subprocess.run([kubectl, *command[1:]], check=False)

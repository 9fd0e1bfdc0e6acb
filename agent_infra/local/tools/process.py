"""Programs run to their end, none of which outlives its caller."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from agent_infra.local.environment import LocalError
from agent_infra.local.tools.places import CACHE_DIR

_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Unavailable(Exception):
    """One way to get a tool is closed, and why; the next one is tried."""


class OutOfReach(Unavailable):
    """A site does not answer at all: it need not be asked for the next tool."""


class Interrupted(LocalError):
    """The user stopped the work; nothing half made is left."""


@dataclass(frozen=True)
class Ended:
    """How a program ended, with what it wrote."""

    code: int
    output: str

    def last_lines(self, count: int = 6) -> str:
        """The end of the output, for an error; a password within an address is left out."""
        lines = re.sub(r"://[^/@\s]+@", "://", self.output).strip().splitlines()[-count:]
        return "\n".join(line[:300] for line in lines) or f"exit status {self.code}, no output"


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float | None = None,
) -> Ended:
    """Runs a program in a process group of its own, and ends the group if the wait is broken off.

    Raises:
        OSError: it cannot be started.
        subprocess.TimeoutExpired: it took longer.
    """
    with subprocess.Popen(
        command,
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        process_group=0,
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout)
        except BaseException:
            _end(process)
            raise
        return Ended(process.returncode, output)


def _end(process: subprocess.Popen[str]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=3)


def answers(command: Sequence[str | Path]) -> str | None:
    """What a tool says of itself, or None if it does not run."""
    try:
        ended = run(command, env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ended.output if ended.code == 0 else None


def is_disk_full(error: OSError) -> bool:
    return error.errno in _DISK_FULL


def disk_full(where: Path | str) -> LocalError:
    return LocalError(
        f"The disk is full ({where}, while the tools were being got); what was half made has been removed. "
        f"Free some space (a build takes up to 3 GB, those of the simulated cluster 12, most of it Go's own "
        f"caches), or set {CACHE_DIR} (and "
        "for a build GOCACHE and GOMODCACHE) to a directory on another disk, then run it again."
    )

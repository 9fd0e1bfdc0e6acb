"""Processes that outlive the command which started them, and how they are known again."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import psutil

from agent_infra.local.environment import LocalError

_LOG_LIMIT_BYTES = 10 * 2**20
_LOOK_EVERY_SECONDS = 0.05
_STARTED = "--- started "


@dataclass(frozen=True)
class Identity:
    """A process by its id and the moment it began, so that a reused id is never taken for it."""

    pid: int
    created: float

    @classmethod
    def of(cls, process: psutil.Process) -> Identity:
        return cls(process.pid, process.create_time())

    def process(self) -> psutil.Process | None:
        """The process, if it still runs."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < 1
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None


def bundled(package: str, *parts: str) -> Path:
    """A file that comes in an installed package, without importing the package.

    Raises:
        LocalError: the package is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise LocalError(
            f"The Python package {package!r} is missing: run `make up`, or install agent-infra[local]."
        )
    return Path(spec.submodule_search_locations[0]).joinpath(*parts)


def free_port(wanted: int | None = None) -> int:
    """A free port on loopback: the wanted one if nothing listens there."""
    for port in filter(None, (wanted,)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                break
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def rotate(log: Path) -> None:
    """Sets a log that has grown large aside; the one before it goes."""
    if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".log.1"))


def mark(output: TextIO) -> None:
    """Writes into a log that what follows is another process's."""
    output.write(f"{_STARTED}{time.strftime('%Y-%m-%d %H:%M:%S')}\n")
    output.flush()


def start(command: Sequence[str], *, log: Path, variables: Mapping[str, str] | None = None) -> psutil.Process:
    """Starts a process of its own session, its output going to the end of a log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    rotate(log)
    with log.open("a") as output:
        mark(output)
        child = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(variables or {})},
            cwd="/",
            start_new_session=True,
        )
    # It is meant to outlive this process: nobody here waits for it, and psutil reaps it if it ends first.
    child.returncode = 0
    return psutil.Process(child.pid)


def wait_until(
    ready: Callable[[], bool], process: psutil.Process, *, name: str, log: Path, seconds: float
) -> None:
    """Waits until a service answers.

    Raises:
        LocalError: it ended, or did not answer in time; the message has its last words.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            raise LocalError(f"{name} ended while it was starting. {last_words(log)}")
        if time.monotonic() > deadline:
            raise LocalError(f"{name} did not answer within {seconds:.0f} s. {last_words(log)}")
        time.sleep(_LOOK_EVERY_SECONDS)


def last_words(log: Path, lines: int = 5) -> str:
    """The end of a log since the last start, for an error message, with the way out where it is known."""
    try:
        text = log.read_text(errors="replace").rpartition(_STARTED)[2]
    except OSError:
        text = ""
    said = "\n".join(f"  {line}" for line in text.splitlines()[1:][-lines:]) or "  (nothing)"
    hint = " The disk is full: free some space, then try again." if "No space left" in text else ""
    return f"It said last:\n{said}\nAll of it is in {log}.{hint}"


def end(process: psutil.Process, *, seconds: float = 10) -> None:
    """Ends a process and its children: SIGTERM first, SIGKILL for what is left after some seconds."""
    try:
        family = [process, *process.children(recursive=True)]
        process.terminate()
    except psutil.NoSuchProcess:
        return
    _, left = psutil.wait_procs(family, timeout=seconds)
    for survivor in left:
        try:
            survivor.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(left, timeout=5)

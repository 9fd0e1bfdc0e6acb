"""Processes that outlive the command which started them, and how they are known again."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TextIO

import psutil

from agent_infra.local.environment import LocalError

_LOG_LIMIT_BYTES = 10 * 2**20
_LOOK_EVERY_SECONDS = 0.05
_STARTED = "--- started "


class Ended(LocalError):
    """A process ended while it was starting."""


class GivenUp(Exception):
    """A start was interrupted."""


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


def start(
    command: Sequence[str],
    *,
    log: Path,
    variables: Mapping[str, str | None] | None = None,
    directory: Path = Path("/"),
) -> psutil.Process:
    """Starts a process of its own session, its output going to the end of a log.

    `variables` are added to this process's own; None takes one away.
    """
    merged = {**os.environ, **(variables or {})}
    log.parent.mkdir(parents=True, exist_ok=True)
    rotate(log)
    with log.open("a") as output:
        mark(output)
        child = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={name: value for name, value in merged.items() if value is not None},
            cwd=directory,
            start_new_session=True,
        )
    # It is meant to outlive this process: nobody here waits for it, and psutil reaps it if it ends first.
    child.returncode = 0
    return psutil.Process(child.pid)


def wait_until(
    ready: Callable[[], bool],
    process: psutil.Process,
    *,
    name: str,
    log: Path,
    seconds: float,
    given_up: Event,
) -> None:
    """Waits until a service answers.

    Raises:
        Ended: it ended by itself; the message has its last words.
        LocalError: it did not answer in time.
        GivenUp: nobody wants it any more.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        if given_up.is_set():
            raise GivenUp
        if Identity.of(process).process() is None:
            raise Ended(f"{name} ended while it was starting. {last_words(log)}")
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


def must_listen(process: psutil.Process, port: int, *, name: str) -> None:
    """Makes sure that it is this very process that has a port: another's answer must not be taken for its.

    Raises:
        LocalError: another program was quicker to take it.
    """
    try:
        listening = [
            connection.laddr.port
            for connection in process.net_connections(kind="tcp")
            if connection.status == psutil.CONN_LISTEN
        ]
    except psutil.NoSuchProcess:
        listening = []
    except psutil.AccessDenied:
        return  # the system does not tell
    if port not in listening:
        raise LocalError(f"Port {port}, picked for {name}, is in use by another program: try again.")


def living_in(directory: Path, is_ours: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
    """The servers that stand in a directory: they are known by it when all else is lost.

    A server's own children are left out, unless it is gone.
    """
    place = str(directory.resolve())
    found = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it ended, or is another user's
            if process.cwd() == place and is_ours(process):
                found[process.pid] = (process, process.ppid())
    return [process for process, parent in found.values() if parent not in found]


def end(process: psutil.Process, *, seconds: float = 10, request: signal.Signals = signal.SIGTERM) -> None:
    """Ends a process and its children: asks it first, SIGKILL for what is left after some seconds.

    Raises:
        LocalError: it is another user's.
    """
    try:
        family = [process, *process.children(recursive=True)]
        process.send_signal(request)
        left = _outlasting(family, seconds)
        for survivor in left:
            with suppress(psutil.NoSuchProcess):
                survivor.kill()
        _outlasting(left, 5)
    except psutil.NoSuchProcess:
        return
    except psutil.AccessDenied:
        raise LocalError(
            f"Process {process.pid} ({process.name()}) belongs to another user: end it as that user."
        ) from None


def _outlasting(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that still run after some seconds.

    One that has ended counts as gone before its parent takes note: in a container the parent is often a
    process 1 that does so late or never, and psutil's own wait would wait for that.
    """
    deadline = time.monotonic() + seconds
    left = list(processes)
    while left := [process for process in left if _lives(process)]:
        if time.monotonic() > deadline:
            break
        time.sleep(_LOOK_EVERY_SECONDS)
    return left


def _lives(process: psutil.Process) -> bool:
    try:
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            return True
        process.wait(0)  # takes note of it, if it is this process's own
    except (psutil.NoSuchProcess, psutil.TimeoutExpired):
        pass
    return False

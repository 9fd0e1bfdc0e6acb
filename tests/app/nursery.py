"""Starts the service's processes by forking one that has imported all of it: in a moment, not in seconds.

`python -m tests.app.nursery` reads a line of JSON for each process, `{"role", "environment", "log"}`, and
answers with its pid; of one that has ended it tells the pid and the exit status, negative for a signal.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]


class Child:
    """A process of the service, as `subprocess.Popen` would show it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = threading.Event()

    def poll(self) -> int | None:
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        assert self.returncode is not None
        return self.returncode

    def has_ended(self, status: int) -> None:
        self.returncode = status
        self._ended.set()


class Nursery:
    """The client of one."""

    def __init__(self, running: subprocess.Popen[str]) -> None:
        self._running = running
        self._born: queue.Queue[Child] = queue.Queue()
        self._children: dict[int, Child] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()

    def start(self, role: str, environment: dict[str, str], log: Path) -> Child:
        assert self._running.stdin is not None
        with self._lock:
            line = json.dumps({"role": role, "environment": environment, "log": str(log)})
            self._running.stdin.write(line + "\n")
            self._running.stdin.flush()
            return self._born.get(timeout=60)

    def _listen(self) -> None:
        assert self._running.stdout is not None
        for line in self._running.stdout:
            pid, *status = map(int, line.split())
            if status:
                self._children.pop(pid).has_ended(status[0])
            else:
                child = self._children[pid] = Child(pid)
                self._born.put(child)


@contextlib.contextmanager
def nursery(directory: Path) -> Iterator[Nursery]:
    """Its processes are to be ended before it."""
    with (directory / "nursery.log").open("ab") as log:
        running = subprocess.Popen(
            [sys.executable, "-m", "tests.app.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=_ROOT,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(_ROOT)},
        )
    try:
        yield Nursery(running)
    finally:
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.close()
        running.wait(60)
        running.stdout.close()


def _bear(told: dict[str, Any], said: int) -> int:
    pid = os.fork()
    if pid:
        os.write(said, f"{pid}\n".encode())
        return pid
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    with Path(told["log"]).open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.close(said)
    os.environ.clear()
    os.environ.update(told["environment"])
    status = 70
    try:
        from agent_app.__main__ import main as run

        status = run([told["role"]])
    finally:
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    import agent_app.server  # noqa: F401 - what takes its time
    import openai  # noqa: F401
    import pydantic_ai.models.openai  # noqa: F401

    import tests.app.drill_agent  # noqa: F401

    said = os.dup(1)
    os.dup2(2, 1)

    def reap(*_: Any) -> None:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                os.write(said, f"{ended[0]} {os.waitstatus_to_exitcode(ended[1])}\n".encode())

    # Not within _bear: a child that ends at once is not told of before its birth.
    signal.signal(signal.SIGCHLD, reap)
    for line in sys.stdin:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        _bear(json.loads(line), said)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})


if __name__ == "__main__":
    main()

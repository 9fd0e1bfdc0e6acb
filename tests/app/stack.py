"""The service as processes on loopback over real stores; each is ended by its pid."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tests.app.processes import LOOPBACK, end, free_port, package, process, until
from tests.app.stores import (
    PASSWORD,
    REDIS_PASSWORD,
    Store,
    admin_url,
    moto,
    postgres,
    postgres_server,
    redis,
    redis_server,
)

__all__ = [
    "AWS",
    "LOOPBACK",
    "PASSWORD",
    "REDIS_PASSWORD",
    "App",
    "Stack",
    "Store",
    "admin_url",
    "app",
    "end",
    "environment",
    "free_port",
    "moto",
    "package",
    "postgres",
    "postgres_server",
    "process",
    "redis",
    "redis_server",
    "until",
]

AWS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_REGION": "eu-central-1"}


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

"""A fleet whose every part can be broken: processes, stores, queue, vendor and effects of its own."""

from __future__ import annotations

import contextlib
import functools
import json
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString

import boto3
import httpx
import psycopg
from agent_app.settings import Settings
from agent_app.state import migrate
from pydantic import SecretStr

from tests.app import stack as stacks
from tests.app.nursery import Nursery, nursery
from tests.app.processes import LOOPBACK, end, free_port, tool, until
from tests.app.stack import AWS, App
from tests.app.stores import PASSWORD, REDIS_PASSWORD, Store, admin_url, postgres_server, redis_server

_ROOT = Path(__file__).parents[2]
#: As issue 5 promises it: this long after a fault's end all is well again.
HEALTHY_SECONDS = 30
#: Every change of a task's state, told by Postgres itself and not by the service.
_WATCH = """
create table changes (
    n bigserial primary key, id uuid, was text, now text, attempts int, tries int,
    at timestamptz default clock_timestamp()
);
create function watch() returns trigger language plpgsql as $$ begin
    insert into changes (id, was, now, attempts, tries)
    values (new.id, old.status, new.status, new.attempts, new.tries);
    return new;
end $$;
create trigger watch after update on tasks for each row
when (old.status <> new.status or old.attempts <> new.attempts or new.result is distinct from old.result)
execute function watch();
"""
ENDED = ("succeeded", "failed", "cancelled")


@dataclass
class Drill:
    """The parts, by what can be done to them."""

    directory: Path
    postgres: Store
    redis: Store
    sqs_url: str
    llm_url: str
    effects_url: str
    nursery: Nursery
    workers: list[App] = field(default_factory=list)
    apis: list[App] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    queue_url: str = ""
    dead_letters_url: str = ""

    def start(self, role: str = "serve", **variables: str) -> App:
        """A process, ended with the drill."""
        port = free_port()
        log = self.directory / f"{role}-{port}.log"
        environment = stacks.environment(
            {"AGENT_APP_HOST": LOOPBACK, **self.variables, **variables, "AGENT_APP_PORT": str(port)}
        )
        running: Any = self.nursery.start(role, environment, log)
        if role == "work":
            self.workers = [worker for worker in self.workers if worker.running.poll() is None]
        app = App(running, log, f"http://{LOOPBACK}:{port}")
        (self.workers if role == "work" else self.apis).append(app)
        return app

    def start_skewed(self, seconds: float, *, jump_seconds: float = 0) -> App:
        """A worker whose wall clock is wrong, now and then if `jump_seconds` are said."""
        port = free_port()
        log = self.directory / f"skewed-{port}.log"
        variables = {
            "AGENT_APP_HOST": LOOPBACK,
            **self.variables,
            "AGENT_APP_PORT": str(port),
            "PYTHONPATH": f"{_ROOT / 'tests' / 'app' / 'skew'}:{_ROOT}",
            "SKEW_SECONDS": str(seconds),
            "SKEW_JUMP_SECONDS": str(jump_seconds),
        }
        with log.open("ab") as output:
            running = subprocess.Popen(
                [sys.executable, "-m", "agent_app", "work"],
                env=stacks.environment(variables),
                stdout=output,
                stderr=output,
            )
        app = App(running, log, f"http://{LOOPBACK}:{port}")
        self.workers.append(app)
        return app

    def end(self) -> None:
        """Ends its processes, all at once."""
        for app in (*self.workers, *self.apis):
            if app.running.poll() is None:
                app.running.send_signal(signal.SIGTERM)
        for app in (*self.workers, *self.apis):
            end(app.running)

    @functools.cached_property
    def sqs(self) -> Any:
        keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
        return boto3.client(  # type: ignore[call-overload]
            "sqs", endpoint_url=self.sqs_url, region_name=AWS["AWS_REGION"], **keys
        )

    def rows(self, query: LiteralString, *values: object) -> list[Any]:
        with psycopg.connect(admin_url(self.postgres.port)) as connection:
            return connection.execute(query, values).fetchall()

    def llm_faults(self, *rules: dict[str, Any]) -> None:
        httpx.post(f"{self.llm_url}/__faults", json={"rules": rules}, timeout=30).raise_for_status()

    def sqs_faults(self, *rules: dict[str, Any]) -> None:
        httpx.post(f"{self.sqs_url}/__faults", json={"rules": rules}, timeout=30).raise_for_status()

    def llm_calls(self, window: float = 60) -> dict[str, Any]:
        query = {"window": window, "records": 0}
        told: dict[str, Any] = httpx.get(f"{self.llm_url}/__calls", params=query, timeout=60).json()
        return told

    def forget_calls(self) -> None:
        httpx.delete(f"{self.llm_url}/__calls", timeout=30).raise_for_status()

    def effects(self) -> Counter[str]:
        """How often the effect of each task was asked for, by the task's id."""
        asked: dict[str, int] = httpx.get(f"{self.effects_url}/effects", timeout=60).json()
        by_task: Counter[str] = Counter()
        for key, times in asked.items():
            id, _, step = key.partition(":")
            assert step == "effect", key
            by_task[id] += times
        return by_task

    def steps_kept(self, ids: Sequence[str]) -> int:
        told = self.rows("select count(*) from task_steps where task_id::text = any(%s)", list(ids))
        return int(told[0][0])

    def statuses(self) -> Counter[str]:
        return Counter(dict(self.rows("select status, count(*) from tasks group by status")))

    def history(self, id: str) -> list[Any]:
        """What became of a task, change by change."""
        return self.rows("select was, now, attempts, tries, at from changes where id = %s order by n", id)

    def ended_more_than_once(self) -> list[Any]:
        """The tasks that ended and went on, or were begun after their end."""
        return self.rows(
            "select id::text from changes where was in ('succeeded', 'failed', 'cancelled') group by id"
        )

    def unended(self) -> int:
        return sum(count for status, count in self.statuses().items() if status not in ENDED)

    def depth(self, url: str) -> int:
        """The messages in a queue, whatever hides them."""
        told = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return sum(int(told[f"ApproximateNumberOfMessages{kind}"]) for kind in ("", "NotVisible", "Delayed"))

    def is_healthy(self, api: App) -> None:
        """A probe, a chat and a task succeed within the bound."""
        until(lambda: self._works(api), HEALTHY_SECONDS, what="a healthy service")

    def _works(self, api: App) -> bool:
        ready = api.get("/readyz")
        if ready.status_code != 200 or ready.json()["status"] != "ready":
            return False
        chat = api.post("/v1/chat", {"message": "hello", "agent": "assistant"})
        task = api.post("/v1/tasks", {"agent": "drill", "input": {"name": "probe"}})
        if chat.status_code != 200 or task.status_code != 202:
            return False
        api.task_becomes(task.json()["task_id"], "succeeded", seconds=HEALTHY_SECONDS)
        return True


@contextlib.contextmanager
def drill(directory: Path, *, seed: int = 0, llm_delay: float = 0.01) -> Iterator[Drill]:
    """All but the service's own processes, running and migrated."""
    with (
        postgres_server(directory) as postgres,
        redis_server(directory) as redis,
        tool("sqs_fake", directory, "--seed", str(seed)) as sqs,
        tool("stub_llm", directory, "--seed", str(seed), "--delay", str(llm_delay)) as llm,
        tool("effects", directory) as effects,
        nursery(directory) as bearing,
    ):
        made = Drill(directory, postgres, redis, sqs, llm, effects, bearing)
        _furnish(made)
        try:
            yield made
        finally:
            made.end()
            made.sqs.close()


def _furnish(made: Drill) -> None:
    name = "t" + uuid.uuid4().hex[:12]
    made.dead_letters_url = made.sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    told = made.sqs.get_queue_attributes(QueueUrl=made.dead_letters_url, AttributeNames=["QueueArn"])
    policy = {"deadLetterTargetArn": told["Attributes"]["QueueArn"], "maxReceiveCount": 5}
    attributes = {"VisibilityTimeout": "6", "RedrivePolicy": json.dumps(policy)}
    made.queue_url = made.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    database = admin_url(made.postgres.port)
    agents = {
        "drill": {"agent": "tests.app.drill_agent:agent"},
        "assistant": {"agent": "agent_app.agents.assistant:agent"},
        "wait": {"agent": "agent_app.agents.wait:agent"},
    }
    made.variables = {
        **AWS,
        "PYTHONPATH": str(_ROOT),
        "DRILL_EFFECTS_URL": made.effects_url,
        # The agent leaves its connections open, and uvloop does not end where telling so is an error.
        "PYTHONWARNINGS": "default",
        "AWS_ENDPOINT_URL_SQS": made.sqs_url,
        "AGENT_APP_FLEET": name,
        "AGENT_APP_AGENTS": json.dumps(agents),
        "AGENT_APP_REDIS_URL": f"redis://:{REDIS_PASSWORD}@{LOOPBACK}:{made.redis.port}/0",
        "AGENT_APP_DATABASE_URL": f"{database}?sslmode=disable",
        "AGENT_APP_QUEUE_URL": made.queue_url,
        "AGENT_APP_DEAD_LETTER_URL": made.dead_letters_url,
        "AGENT_APP_MODEL": "openai:gpt-4o-mini",
        "AGENT_APP_MODEL_TIMEOUT": "5",
        "AGENT_APP_MODEL_BACKOFF_SECONDS": "0.1",
        "AGENT_APP_BREAKER_SECONDS": "2",
        "OPENAI_API_KEY": "sk-" + PASSWORD,
        "OPENAI_BASE_URL": f"{made.llm_url}/v1",
        "AGENT_APP_TASK_TIMEOUT": "60",
        "AGENT_APP_WORKER_CONCURRENCY": "8",
        "AGENT_APP_POLL_SECONDS": "1",
        "AGENT_APP_RETRY_SECONDS": "0",
    }
    migrate.run(Settings(database_url=SecretStr(database)), wait_seconds=10)
    with psycopg.connect(database) as connection:
        connection.execute(_WATCH)

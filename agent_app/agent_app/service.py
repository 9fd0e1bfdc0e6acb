"""Puts the service together from its settings."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from agent_app import aws, secrets
from agent_app.agents import handlers
from agent_app.http.chat import Chat
from agent_app.http.health import Check, Health, NotMigrated
from agent_app.http.tasks import Submission
from agent_app.llm import model
from agent_app.settings import Settings
from agent_app.state.history import CachedStore, MemoryStore, PostgresStore, RedisStore, Store
from agent_app.tasks.queue import MemoryQueue, Queue, SqsQueue
from agent_app.tasks.store import MemoryTaskStore, PostgresTaskStore, TaskStore
from agent_app.tasks.worker import Worker
from agent_app.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Service:
    """The parts that the API and the worker are made of."""

    settings: Settings
    metrics: Metrics
    health: Health
    chat: Chat
    #: None where tasks cannot work: a queue without a database.
    submission: Submission | None
    worker: Worker

    @property
    def own_worker(self) -> bool:
        """Whether the API runs the tasks itself, there being no queue that workers could share."""
        return self.settings.queue_url is None


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Service]:
    """The service, connected on first use; closed at the end.

    Raises:
        SecretError: a secret that the settings name cannot be had.
        SettingsError: AGENT_APP_MODEL cannot be used.
    """
    metrics = Metrics()
    answering = model.MeteredModel(model.build(settings, await secrets.llm_keys(settings)), metrics)
    known = handlers.standard(answering)
    checks: dict[str, Check] = {}
    async with AsyncExitStack() as stack:
        tasks: TaskStore
        durable, tasks = await _database(settings, stack, checks)
        history = await _history(settings, durable, metrics, stack, checks)
        queue = await _queue(settings, stack, checks)
        without_results = settings.queue_url is not None and settings.database_url is None
        log.info(
            "ready to start",
            model=answering.name,
            history=type(history).__name__,
            tasks=type(tasks).__name__,
            queue=type(queue).__name__,
        )
        _warn(settings)
        # What starting left behind (the secrets' clients hang in cycles) is several MB.
        gc.collect()
        yield Service(
            settings,
            metrics,
            Health(checks),
            Chat(history, answering, settings.history_messages),
            None if without_results else Submission(tasks, queue, known),
            Worker(settings, queue, tasks, known, metrics),
        )


def _warn(settings: Settings) -> None:
    if settings.database_url is None and settings.redis_url is None:
        log.warning(
            "neither AGENT_APP_DATABASE_URL nor AGENT_APP_REDIS_URL is set: sessions are kept in "
            "this process's memory, are not shared between replicas and end with it"
        )
    elif settings.database_url is None:
        log.warning("AGENT_APP_DATABASE_URL is not set: sessions are kept in Redis alone, until they expire")
    if settings.queue_url is None:
        log.warning("AGENT_APP_QUEUE_URL is not set: tasks run in this process and their queue ends with it")


async def _database(
    settings: Settings, stack: AsyncExitStack, checks: dict[str, Check]
) -> tuple[PostgresStore | None, TaskStore]:
    if settings.database_url is None:
        return None, MemoryTaskStore()
    from sqlalchemy import text

    from agent_app.state.database import Login, open_engine

    engine = open_engine(settings, Login(settings, await secrets.database_credentials(settings)))
    stack.push_async_callback(engine.dispose)

    async def check() -> None:
        async with engine.connect() as connection:
            if not await connection.scalar(text("select to_regclass('tasks') is not null")):
                raise NotMigrated

    checks["postgres"] = check
    return PostgresStore(engine, settings.fleet), PostgresTaskStore(engine, settings.fleet)


async def _history(
    settings: Settings,
    durable: PostgresStore | None,
    metrics: Metrics,
    stack: AsyncExitStack,
    checks: dict[str, Check],
) -> Store:
    if settings.redis_url is None:
        return durable or MemoryStore()
    from redis.asyncio import Redis

    password = await secrets.redis_password(settings)
    options: dict[str, Any] = {} if password is None else {"password": password.get_secret_value()}
    redis = Redis.from_url(
        settings.redis_url.get_secret_value(),
        decode_responses=True,
        socket_connect_timeout=1,
        socket_timeout=2,
        health_check_interval=30,
        **options,
    )
    stack.push_async_callback(redis.aclose)
    checks["redis"] = redis.ping
    cache = RedisStore(redis, settings.fleet, settings.history_messages, settings.history_seconds)
    return cache if durable is None else CachedStore(durable, cache, settings.history_messages, metrics)


async def _queue(settings: Settings, stack: AsyncExitStack, checks: dict[str, Check]) -> Queue:
    if settings.queue_url is None:
        return MemoryQueue()
    client = await stack.enter_async_context(
        aws.client("sqs", settings.aws_region, read_timeout=settings.poll_seconds + 10)
    )
    queue = SqsQueue(client, settings.queue_url.get_secret_value())
    checks["sqs"] = queue.check
    return queue

"""Puts the service together from its settings."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from agent_app import aws, secrets, startup
from agent_app.agents.runs import Runs
from agent_app.http.api_keys import ApiKeys
from agent_app.http.auth import Guard
from agent_app.http.chat import Chat
from agent_app.http.health import Check, Health, NotMigrated
from agent_app.http.request_limits import RequestLimits
from agent_app.settings import Settings
from agent_app.state.artifacts import Artifacts
from agent_app.state.cached_history import CachedStore, RedisStore
from agent_app.state.history import MemoryStore, Store
from agent_app.state.postgres_history import PostgresStore
from agent_app.tasks.lane import Lane, Parts
from agent_app.tasks.memory import MemoryQueue, MemoryTaskStore
from agent_app.tasks.policy import Policy, policies
from agent_app.tasks.postgres import PostgresTaskStore
from agent_app.tasks.queue import Queue
from agent_app.tasks.sqs import SqsQueue
from agent_app.tasks.submission import Submission
from agent_app.tasks.task import TaskStore
from agent_app.tasks.worker import Worker
from agent_app.telemetry import traces as tracing
from agent_app.telemetry.metrics import Metrics
from agent_app.telemetry.traces import Traces

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from sqlalchemy.ext.asyncio import AsyncEngine

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Service:
    """The parts that the API and the worker are made of."""

    settings: Settings
    metrics: Metrics
    traces: Traces
    #: None where anybody may ask.
    guard: Guard | None
    #: None where nobody is limited.
    request_limits: RequestLimits | None
    health: Health
    policies: Mapping[str, Policy]
    runs: Runs
    history: Store
    chat: Chat
    #: None where tasks cannot work: a queue without a database.
    submission: Submission | None
    worker: Worker

    @property
    def own_worker(self) -> bool:
        """Whether the API runs the tasks itself, there being no queue that workers could share."""
        return all(policy.queue_url is None for policy in self.policies.values())


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Service]:
    """The service, connected on first use; closed at the end.

    Raises:
        SecretError: a secret that the settings name cannot be had.
        SettingsError: an agent or its model cannot be used.
    """
    metrics = Metrics()
    known = policies(settings)
    keys = await secrets.llm_keys(settings)
    startup.check_models(settings, keys)
    checks: dict[str, Check] = {}
    guard = await _guard(settings, checks)
    async with AsyncExitStack() as stack:
        # Closed last: all else may still end spans.
        traces = await stack.enter_async_context(tracing.opened(settings, metrics))
        tasks: TaskStore
        engine = await _database(settings, stack, checks, traces)
        durable = None if engine is None else PostgresStore(engine, settings.fleet)
        tasks = MemoryTaskStore() if engine is None else PostgresTaskStore(engine, settings.fleet)
        redis = await _redis(settings, stack, checks)
        runs = Runs(settings, keys, metrics, redis, engine, traces)
        stack.push_async_callback(runs.close)
        stack.push_async_callback(_ended, asyncio.create_task(runs.access.run()))
        history = _history(settings, durable, redis, metrics)
        queues = await _queues(settings, known, stack, checks)
        artifacts = await _artifacts(settings, stack)
        _warn(settings)
        queued = any(policy.queue_url for policy in known.values())
        submission = Submission(tasks, queues, known, artifacts, traces)
        parts = Parts(tasks, known, runs.context, artifacts, metrics, settings.poll_seconds, traces)
        log.info(
            "ready to start",
            agents={name: runs.model_name(name) for name in known},
            history=type(history).__name__,
            tasks=type(tasks).__name__,
            queues=len(set(map(id, queues.values()))),
        )
        # What starting left behind (the secrets' clients hang in cycles) is several MB.
        gc.collect()
        # What is left stays: to look through these 230,000 objects now and then would stop all for 0.2 s.
        gc.freeze()
        stack.callback(gc.unfreeze)
        yield Service(
            settings,
            metrics,
            traces,
            guard,
            _request_limits(settings, redis),
            Health(checks),
            known,
            runs,
            history,
            Chat(settings, history, runs, known),
            None if queued and settings.database_url is None else submission,
            Worker(settings, _lanes(settings, known, queues, parts), tasks),
        )


def _lanes(
    settings: Settings, known: Mapping[str, Policy], queues: Mapping[str, Queue], parts: Parts
) -> list[tuple[Lane, Queue]]:
    """A lane for each queue: the fleet's own, and those that agent types have for themselves."""
    sharing: dict[int, list[Policy]] = {}
    for policy in known.values():
        sharing.setdefault(id(queues[policy.name]), []).append(policy)
    lanes = []
    for together in sharing.values():
        first = together[0]
        own = settings.agents[first.name].queue_url is not None
        lane = Lane(
            first.name if own else settings.fleet,
            queues[first.name],
            parts,
            agents=[policy.name for policy in together],
            concurrency=first.concurrency if own else settings.worker_concurrency,
            max_attempts=first.max_attempts if own else settings.max_attempts,
        )
        lanes.append((lane, queues[first.name]))
    return lanes


async def _guard(settings: Settings, checks: dict[str, Check]) -> Guard | None:
    keys, tokens = None, None
    if settings.checks_keys:
        keys = ApiKeys(lambda: secrets.read(settings, "api_keys_secret_arn"), settings.api_keys_seconds)
        await keys.load()
    if settings.checks_tokens:
        # 9 MB with cryptography, which a replica without tokens need not carry.
        from agent_app.http.oidc import Tokens

        tokens = Tokens(settings)
        checks["oidc"] = tokens.issuer.check
    return Guard(keys, tokens) if keys or tokens else None


def _request_limits(settings: Settings, redis: Redis | None) -> RequestLimits | None:
    if settings.requests_per_minute is None:
        return None
    return RequestLimits(settings.requests_per_minute, fleet=settings.fleet, redis=redis)


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
    settings: Settings, stack: AsyncExitStack, checks: dict[str, Check], traces: Traces
) -> AsyncEngine | None:
    if settings.database_url is None:
        return None
    from sqlalchemy import text

    from agent_app.state.database import Login, open_engine
    from agent_app.state.traced import trace_statements

    engine = open_engine(settings, Login(settings, await secrets.database_credentials(settings)))
    stack.push_async_callback(engine.dispose)
    if traces.on:
        trace_statements(engine, traces, settings.database_url.get_secret_value())

    async def check() -> None:
        async with engine.connect() as connection:
            if not await connection.scalar(text("select to_regclass('tasks') is not null")):
                raise NotMigrated

    checks["postgres"] = check
    return engine


async def _redis(settings: Settings, stack: AsyncExitStack, checks: dict[str, Check]) -> Redis | None:
    if settings.redis_url is None:
        return None
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
    return redis


def _history(
    settings: Settings, durable: PostgresStore | None, redis: Redis | None, metrics: Metrics
) -> Store:
    if redis is None:
        return durable or MemoryStore()
    cache = RedisStore(redis, settings.fleet, settings.history_messages, settings.history_seconds)
    return cache if durable is None else CachedStore(durable, cache, settings.history_messages, metrics)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _queues(
    settings: Settings, known: Mapping[str, Policy], stack: AsyncExitStack, checks: dict[str, Check]
) -> Mapping[str, Queue]:
    """Each agent type's queue; those that name the same one share it."""
    made: dict[str | None, Queue] = {}
    client: Any = None
    for policy in known.values():
        if policy.queue_url in made:
            continue
        if policy.queue_url is None:
            made[None] = MemoryQueue()
            continue
        if client is None:
            client = await stack.enter_async_context(
                aws.client(
                    "sqs",
                    settings.aws_region,
                    read_timeout=settings.poll_seconds + 10,
                    connections=20 + 2 * len(known),
                )
            )
        queue = SqsQueue(client, policy.queue_url, policy.dead_letter_url)
        common = policy.queue_url == _value(settings.queue_url)
        checks["sqs" if common else f"sqs:{policy.name}"] = queue.check
        made[policy.queue_url] = queue
    return {policy.name: made[policy.queue_url] for policy in known.values()}


async def _artifacts(settings: Settings, stack: AsyncExitStack) -> Artifacts | None:
    if settings.artifact_bucket is None:
        return None
    client = await stack.enter_async_context(aws.client("s3", settings.aws_region))
    return Artifacts(client, settings.artifact_bucket, settings.artifact_prefix)


def _value(url: Any) -> str | None:
    return None if url is None else str(url.get_secret_value())

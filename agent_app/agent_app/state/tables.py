"""The tables in Postgres; the revisions in migrations/ make them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()

#: Several fleets may share a database, and each person's or program's sessions, tasks and keys are its own.
ANONYMOUS = "anonymous"


def _place() -> tuple[Column[str], Column[str]]:
    return (
        Column("fleet", Text, nullable=False),
        Column("owner", Text, nullable=False, server_default=ANONYMOUS),
    )


def _time(name: str, *, nullable: bool = True) -> Column[datetime]:
    default = None if nullable else func.now()
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=default)


sessions = Table(
    "sessions",
    metadata,
    *_place(),
    Column("id", Text, nullable=False),
    Column("turns", Integer, nullable=False),
    _time("created_at", nullable=False),
    _time("updated_at", nullable=False),
    PrimaryKeyConstraint("fleet", "owner", "id", name="sessions_pkey"),
    Index("sessions_by_use", "fleet", "owner", "updated_at"),
)
messages = Table(
    "messages",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    *_place(),
    Column("session_id", Text, nullable=False),
    Column("turn", Integer, nullable=False),
    Column("role", Text, nullable=False),
    Column("content", Text, nullable=False),
    _time("created_at", nullable=False),
    ForeignKeyConstraint(
        ["fleet", "owner", "session_id"],
        ["sessions.fleet", "sessions.owner", "sessions.id"],
        name="messages_session_fkey",
        ondelete="CASCADE",
    ),
    Index("messages_by_session", "fleet", "owner", "session_id", "id"),
)
tasks = Table(
    "tasks",
    metadata,
    Column("id", Uuid, primary_key=True),
    *_place(),
    # The agent type; called `kind` before there were agents.
    Column("kind", Text, nullable=False, key="agent"),
    Column("input", JSONB, nullable=False),
    Column("status", Text, nullable=False),
    Column("result", JSONB(none_as_null=True)),
    Column("artifact", Text),
    Column("error", Text),
    Column("idempotency_key", Text),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("cancel_requested", Boolean, nullable=False, server_default=text("false")),
    _time("sent_at"),
    _time("lease_until"),
    _time("created_at", nullable=False),
    _time("updated_at", nullable=False),
    UniqueConstraint("fleet", "owner", "idempotency_key", name="tasks_by_idempotency_key"),
    Index("tasks_by_age", "fleet", "owner", "created_at"),
    Index("tasks_unsent", "fleet", "created_at", postgresql_where=text("sent_at is null")),
    Index("tasks_open", "fleet", "created_at", postgresql_where=text("status in ('queued', 'running')")),
)
#: What a task has done already: a retry takes the result from here and does not do it again.
steps = Table(
    "task_steps",
    metadata,
    Column("task_id", Uuid, ForeignKey("tasks.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("result", JSONB, nullable=False),
    _time("created_at", nullable=False),
    PrimaryKeyConstraint("task_id", "name", name="task_steps_pkey"),
)


def _micros(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=text("0"))


#: What a month may cost: money is millionths of a USD. The limits themselves are settings.
budgets = Table(
    "budgets",
    metadata,
    Column("environment", Text, nullable=False),
    Column("fleet", Text, nullable=False),
    # The fleet, or one of its keys or agents, by name.
    Column("scope", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("month", Date, nullable=False),
    _micros("spent"),
    # Held by processes that died: whether they spent it nobody knows, so it counts as spent.
    _micros("lost"),
    _micros("held"),
    _micros("granted"),
    PrimaryKeyConstraint("environment", "fleet", "scope", "name", "month", name="budgets_pkey"),
)
#: What a process holds of a budget, to reserve from without asking.
allotments = Table(
    "budget_allotments",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("environment", Text, nullable=False),
    Column("fleet", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("month", Date, nullable=False),
    _micros("amount"),
    _micros("settled"),
    Column("version", BigInteger, nullable=False, server_default=text("0")),
    _time("expires_at", nullable=False),
    Index("budget_allotments_by_expiry", "environment", "fleet", "expires_at"),
)
#: What calls took, by day in UTC.
usage = Table(
    "llm_usage",
    metadata,
    Column("environment", Text, nullable=False),
    Column("fleet", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("day", Date, nullable=False),
    *(
        Column(name, BigInteger, nullable=False, server_default=text("0"))
        for name in ("requests", "failures", "input_tokens", "output_tokens", "cached_tokens", "micros")
    ),
    PrimaryKeyConstraint("environment", "fleet", "day", "agent", "key", "model", name="llm_usage_pkey"),
)

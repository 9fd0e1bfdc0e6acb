"""The tables in Postgres; the revisions in migrations/ make them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()
_NOW = func.now()

sessions = Table(
    "sessions",
    metadata,
    # Several fleets may share a database: ids and keys are each fleet's own.
    Column("fleet", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("turns", Integer, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
)
messages = Table(
    "messages",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("fleet", Text, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("turn", Integer, nullable=False),
    Column("role", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    ForeignKeyConstraint(["fleet", "session_id"], ["sessions.fleet", "sessions.id"], ondelete="CASCADE"),
    Index("messages_by_session", "fleet", "session_id", "id"),
)
tasks = Table(
    "tasks",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("fleet", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("input", JSONB, nullable=False),
    Column("status", Text, nullable=False),
    Column("result", JSONB(none_as_null=True)),
    Column("error", Text),
    Column("idempotency_key", Text),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("sent_at", DateTime(timezone=True)),
    Column("lease_until", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    UniqueConstraint("fleet", "idempotency_key", name="tasks_by_idempotency_key"),
)

"""Sessions and tasks belong to who asked; tasks can be cancelled and keep what they have done."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for table in ("sessions", "messages", "tasks"):
        owner = sa.Column("owner", sa.Text, nullable=False, server_default="anonymous")
        op.add_column(table, owner)
    op.drop_constraint("messages_fleet_session_id_fkey", "messages")
    op.drop_constraint("sessions_pkey", "sessions")
    op.create_primary_key("sessions_pkey", "sessions", ["fleet", "owner", "id"])
    op.create_foreign_key(
        "messages_session_fkey",
        "messages",
        "sessions",
        ["fleet", "owner", "session_id"],
        ["fleet", "owner", "id"],
        ondelete="CASCADE",
    )
    op.create_index("sessions_by_use", "sessions", ["fleet", "owner", "updated_at"])
    op.drop_index("messages_by_session", "messages")
    op.create_index("messages_by_session", "messages", ["fleet", "owner", "session_id", "id"])
    op.add_column("tasks", sa.Column("artifact", sa.Text))
    cancel = sa.Column("cancel_requested", sa.Boolean, nullable=False, server_default=sa.text("false"))
    op.add_column("tasks", cancel)
    op.drop_constraint("tasks_by_idempotency_key", "tasks")
    keys = ["fleet", "owner", "idempotency_key"]
    op.create_unique_constraint("tasks_by_idempotency_key", "tasks", keys)
    op.create_index("tasks_by_age", "tasks", ["fleet", "owner", "created_at"])
    unsent = sa.text("sent_at is null")
    op.create_index("tasks_unsent", "tasks", ["fleet", "created_at"], postgresql_where=unsent)
    op.create_table(
        "task_steps",
        sa.Column("task_id", sa.Uuid, sa.ForeignKey("tasks.id", ondelete="CASCADE"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("result", JSONB, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("task_id", "name", name="task_steps_pkey"),
    )


def downgrade() -> None:
    raise NotImplementedError("owners would be lost, and sessions of two of them could have one id")

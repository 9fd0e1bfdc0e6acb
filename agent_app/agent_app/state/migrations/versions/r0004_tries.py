"""A task's tries are counted apart from its attempts; those that have not ended are found by their age."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("tasks", sa.Column("tries", sa.Integer, nullable=False, server_default=sa.text("0")))
    is_open = sa.text("status in ('queued', 'running')")
    op.create_index("tasks_open", "tasks", ["fleet", "created_at"], postgresql_where=is_open)


def downgrade() -> None:
    op.drop_index("tasks_open", "tasks")
    op.drop_column("tasks", "tries")

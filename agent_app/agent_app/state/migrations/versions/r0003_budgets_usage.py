"""What a month may cost and has cost, and what calls of models took."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _counts(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger, nullable=False, server_default=sa.text("0")) for name in names]


def upgrade() -> None:
    place = ("environment", "fleet", "scope", "name")
    op.create_table(
        "budgets",
        *_texts(*place),
        sa.Column("month", sa.Date, nullable=False),
        *_counts("spent", "lost", "held", "granted"),
        sa.PrimaryKeyConstraint(*place, "month", name="budgets_pkey"),
    )
    op.create_table(
        "budget_allotments",
        sa.Column("id", sa.Uuid, primary_key=True),
        *_texts(*place),
        sa.Column("month", sa.Date, nullable=False),
        *_counts("amount", "settled", "version"),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_index(
        "budget_allotments_by_expiry", "budget_allotments", ["environment", "fleet", "expires_at"]
    )
    op.create_table(
        "llm_usage",
        *_texts("environment", "fleet", "agent", "key", "model"),
        sa.Column("day", sa.Date, nullable=False),
        *_counts("requests", "failures", "input_tokens", "output_tokens", "cached_tokens", "micros"),
        sa.PrimaryKeyConstraint(
            "environment", "fleet", "day", "agent", "key", "model", name="llm_usage_pkey"
        ),
    )


def downgrade() -> None:
    for table in ("llm_usage", "budget_allotments", "budgets"):
        op.drop_table(table)

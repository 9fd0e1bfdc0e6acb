"""Postgres' parameters as RDS takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: What a running server cannot take: it waits for the next restart
#: (https://www.postgresql.org/docs/current/view-pg-settings.html, context `postmaster`).
STATIC = frozenset(
    {
        "autovacuum_freeze_max_age",
        "autovacuum_max_workers",
        "autovacuum_multixact_freeze_max_age",
        "cron.database_name",
        "huge_pages",
        "max_connections",
        "max_files_per_process",
        "max_locks_per_transaction",
        "max_logical_replication_workers",
        "max_pred_locks_per_transaction",
        "max_prepared_transactions",
        "max_replication_slots",
        "max_wal_senders",
        "max_worker_processes",
        "pg_stat_statements.max",
        "rds.logical_replication",
        "shared_buffers",
        "shared_preload_libraries",
        "superuser_reserved_connections",
        "track_activity_query_size",
        "track_commit_timestamp",
        "wal_buffers",
    }
)


def parameter_list(parameters: Mapping[str, str]) -> list[Any]:
    """What was said, and that nobody connects without TLS; static ones wait for the next restart."""
    said = {**parameters, "rds.force_ssl": "1"}
    return [
        {"name": key, "value": value, **({"apply_method": "pending-reboot"} if key in STATIC else {})}
        for key, value in sorted(said.items())
    ]

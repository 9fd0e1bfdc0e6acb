"""`agent-app migrate`: brings the schema to the newest revision; safe when several run at once."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import structlog

from agent_app import secrets
from agent_app.settings import Settings, SettingsError
from agent_app.state.database import Login, refused

log = structlog.get_logger(__name__)

#: Any number that is ours alone within the database.
ADVISORY_LOCK = 7_204_116_533_190_271


class MigrationFailed(Exception):
    """The schema could not be brought up; the message says why."""


def run(settings: Settings, *, wait_seconds: float = 120) -> None:
    """Waits for the database, then upgrades it under an advisory lock.

    Args:
        settings: where the database is.
        wait_seconds: how long to wait for it to come up, and again for another migration to end.

    Raises:
        SettingsError: no database is set.
        MigrationFailed: it did not come up, or another migration held the lock too long.
    """
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import OperationalError
    from sqlalchemy.pool import NullPool

    if settings.database_url is None:
        raise SettingsError("AGENT_APP_DATABASE_URL is not set: `agent-app migrate` needs a database.")
    login = Login(settings, asyncio.run(secrets.database_credentials(settings)))
    connect = _connector(login, wait_seconds)
    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool, hide_parameters=True)
    with engine.connect() as connection:
        # lock_timeout bounds this wait alone: the migration's own locks are bounded by its statements.
        connection.execute(text(f"set lock_timeout = '{int(wait_seconds * 1000)}ms'"))
        try:
            connection.execute(text("select pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
        except OperationalError:
            raise MigrationFailed(
                f"another migration held the lock for {wait_seconds:g} s; see what it is doing in "
                "pg_stat_activity, then run this again"
            ) from None
        connection.commit()
        try:
            config = Config()
            config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        finally:
            connection.rollback()
            connection.execute(text("select pg_advisory_unlock(:key)"), {"key": ADVISORY_LOCK})
            connection.commit()
    log.info("the schema is at its newest revision")


def _connector(login: Login, wait_seconds: float):  # type: ignore[no-untyped-def]  # psycopg's connection
    import psycopg

    def connect() -> psycopg.Connection[tuple[object, ...]]:
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                return psycopg.connect(login.conninfo, **login.parameters())
            except psycopg.OperationalError as error:
                if refused(error):
                    asyncio.run(login.renew())
                reason = str(error).strip()
                if time.monotonic() > deadline:
                    raise MigrationFailed(
                        f"the database did not let us in for {wait_seconds:g} s: {reason}"
                    ) from None
                log.info("waiting for the database", reason=reason)
                time.sleep(1)

    return connect

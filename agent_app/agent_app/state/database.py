"""Postgres: connections that survive its restarts and a rotation of the password."""

from __future__ import annotations

import asyncio
import select
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import structlog
from pydantic import SecretStr
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import InterfaceError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from agent_app import secrets
from agent_app.problems import Unavailable
from agent_app.settings import Settings

log = structlog.get_logger(__name__)

#: Every statement here is a matter of milliseconds: one that takes so long has met a network that swallows
#: what is sent, which TCP alone finds out after a quarter of an hour.
ANSWER_SECONDS = 10.0


class Login:
    """The credentials in use; read again from the secret when the database refuses them."""

    def __init__(self, settings: Settings, credentials: secrets.Credentials | None) -> None:
        if settings.database_url is None:
            raise ValueError("Login needs settings.database_url")
        self._settings = settings
        self._url: SecretStr = settings.database_url
        self._credentials = credentials

    @property
    def conninfo(self) -> str:
        return self._url.get_secret_value()

    def parameters(self) -> dict[str, Any]:
        """What psycopg's connect takes beside the URL."""
        # Prepared statements would pin the connections of an RDS Proxy.
        options: dict[str, Any] = {
            "connect_timeout": 5,
            "prepare_threshold": None,
            "application_name": f"agent-app {self._settings.fleet}"[:63],
            # A host that is gone without a word, as in a failover, is noticed within 15 s.
            "keepalives_idle": 5,
            "keepalives_interval": 5,
            "keepalives_count": 2,
            "tcp_user_timeout": 15_000,
        }
        if self._credentials is not None:
            options["user"] = self._credentials.username
            options["password"] = self._credentials.password.get_secret_value()
        return options

    async def renew(self) -> bool:
        """Reads the secret again; whether it holds something new."""
        fresh = await secrets.database_credentials(self._settings)
        if fresh is None or fresh == self._credentials:
            return False
        self._credentials = fresh
        log.info("the database refused the login; its secret holds a new one")
        return True

    async def connect(self) -> psycopg.AsyncConnection[Any]:
        """A connection.

        Raises:
            psycopg.OperationalError: the database cannot be reached, or refuses what the secret now holds.
        """
        try:
            return await psycopg.AsyncConnection.connect(self.conninfo, **self.parameters())
        except psycopg.OperationalError as error:
            if not refused(error) or not await self.renew():
                raise
            return await psycopg.AsyncConnection.connect(self.conninfo, **self.parameters())


def refused(error: psycopg.OperationalError) -> bool:
    """Whether it was the login that failed; while connecting, libpq says so only in its text."""
    said = str(error)
    return "authentication failed" in said or ("role" in said and "does not exist" in said)


def open_engine(settings: Settings, login: Login) -> AsyncEngine:
    """The pool; it connects on first use. Statements' parameters (what people say) are kept out of errors.

    Each statement is a transaction of its own, which saves two round trips; what takes several together asks
    for `engine.execution_options(isolation_level="READ COMMITTED")`.
    """
    pool: dict[str, Any] = (
        {"pool_size": settings.database_pool_size, "max_overflow": 0, "pool_timeout": 5, "pool_recycle": 1800}
        if settings.database_pool_size
        else {"poolclass": NullPool}
    )
    engine = create_async_engine(
        "postgresql+psycopg://",
        async_creator=login.connect,
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        hide_parameters=True,
        **pool,
    )
    event.listen(engine.sync_engine, "handle_error", _leave_read_only)
    if settings.database_pool_size:
        _only_live(engine)
    return engine


def _leave_read_only(context: ExceptionContext) -> None:
    # After a failover a connection may go on to what is a reader now.
    if isinstance(context.original_exception, psycopg.errors.ReadOnlySqlTransaction):
        context.is_disconnect = True


@asynccontextmanager
async def connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection for one statement, which is answered within ANSWER_SECONDS.

    Raises:
        Unavailable: it was not; whether the statement was carried out is not known.
    """
    deadline = asyncio.timeout(ANSWER_SECONDS)
    try:
        async with deadline, engine.connect() as connection:
            yield connection
    except TimeoutError:
        if not deadline.expired():
            raise
        log.warning("the database did not answer in time", seconds=ANSWER_SECONDS)
        raise Unavailable("The database") from None


def is_away(error: BaseException) -> bool:
    """Whether it was the database that failed, and not what was asked of it: later it may work."""
    if isinstance(getattr(error, "orig", None), psycopg.errors.ReadOnlySqlTransaction):
        return True
    return isinstance(error, (OperationalError, InterfaceError, PoolTimeout, OSError, Unavailable))


def _only_live(engine: AsyncEngine) -> None:
    """Has the pool give no connection that the server has ended, without asking it each time.

    Nothing comes in on an idle connection but its end, or once in a while a notice: only then is the server
    asked, as `pool_pre_ping` would ask it every time. When one has ended, all are replaced.
    """
    dialect = engine.sync_engine.dialect

    @event.listens_for(engine.sync_engine, "checkout")
    def check(connection: Any, _record: object, _proxy: object) -> None:
        try:
            if not _is_quiet(connection.driver_connection):
                dialect.do_ping(connection)
        except psycopg.Error as error:
            raise InvalidatePoolError from error


def _is_quiet(connection: psycopg.AsyncConnection[Any]) -> bool:
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)

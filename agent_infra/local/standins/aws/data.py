"""The real services behind the simulated ones: databases in Postgres, tokens in Redis."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import psycopg
import redis
from psycopg import sql

from agent_infra.local.standins.aws.cloud import Cloud
from agent_infra.local.standins.server import StandinError

DEFAULT_DATABASE = "postgres"


@dataclass(frozen=True)
class Owner:
    """Whose a database or a role is; kept as its comment, so that it survives moto's memory."""

    type: str
    id: str
    #: The resource's name in the program: the same through a replacement.
    name: str

    def __str__(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, comment: str | None) -> Owner | None:
        try:
            return cls(**json.loads(comment or ""))
        except (json.JSONDecodeError, TypeError):
            return None


def postgres_address(cloud: Cloud) -> tuple[str, int]:
    """Where the real Postgres listens."""
    entry = cloud.entry("postgres")
    return entry["host"], int(entry["port"])


def _connected(cloud: Cloud, database: str = DEFAULT_DATABASE) -> psycopg.Connection[tuple[str | None]]:
    entry = cloud.entry("postgres")
    try:
        return psycopg.connect(
            host=entry["host"], port=entry["port"], user=entry["user"], password=entry["password"],
            dbname=database, autocommit=True, connect_timeout=10,
        )  # fmt: skip
    except psycopg.OperationalError as error:
        text = str(error).replace(entry["password"] or "\0", "***")
        raise StandinError(
            f"the local Postgres does not answer: {text}. `agent-infra up` starts it."
        ) from None


def _comment(
    connection: psycopg.Connection[tuple[str | None]], catalog: str, name: str
) -> tuple[bool, Owner | None]:
    column, function = ("datname", "pg_database") if catalog == "database" else ("rolname", "pg_authid")
    query = sql.SQL(
        "select shobj_description(oid, {table_text}) from {table} where {column} = {name}"
    ).format(
        table_text=sql.Literal(function),
        table=sql.Identifier(function),
        column=sql.Identifier(column),
        name=sql.Literal(name),
    )
    row = connection.execute(query).fetchone()
    return row is not None, Owner.parse(row[0]) if row else None


def make_database(
    cloud: Cloud,
    owner: Owner,
    *,
    database: str,
    user: str,
    password: str,
    exists: Callable[[Owner], bool],
) -> None:
    """A database and the login role it belongs to. One that is left from before keeps its data.

    Raises:
        StandinError: the database or the role is another live resource's.
    """
    entry = cloud.entry("postgres")
    if user == entry["user"]:
        raise StandinError(
            f"the master username {user!r} is the local Postgres's own superuser: choose another one, "
            "such as 'agent'."
        )
    role, base = sql.Identifier(user), sql.Identifier(database)
    with _connected(cloud) as connection:
        there = {}
        for kind, name in (("role", user), ("database", database)):
            there[kind], holder = _comment(connection, kind, name)
            if holder and holder.name != owner.name and exists(holder):
                raise StandinError(
                    f"the local Postgres already has the {kind} {name!r}, of {holder.type} {holder.name!r}: "
                    "one server stands for all of them, so give each its own master username and "
                    "database name."
                )
        verb = sql.SQL("alter" if there["role"] else "create")
        connection.execute(
            sql.SQL("{} role {} with login createdb createrole password {}").format(
                verb, role, sql.Literal(password)
            )
        )
        connection.execute(sql.SQL("comment on role {} is {}").format(role, sql.Literal(str(owner))))
        if not there["database"]:
            connection.execute(sql.SQL("create database {}").format(base))
        connection.execute(sql.SQL("grant all on database {} to {}").format(base, role))
        if database != DEFAULT_DATABASE:
            connection.execute(sql.SQL("alter database {} owner to {}").format(base, role))
            connection.execute(sql.SQL("comment on database {} is {}").format(base, sql.Literal(str(owner))))
    with _connected(cloud, database) as connection:
        connection.execute(sql.SQL("grant all on schema public to {}").format(role))


def set_password(cloud: Cloud, user: str, password: str) -> None:
    """Another password for a login role."""
    with _connected(cloud) as connection:
        connection.execute(
            sql.SQL("alter role {} with password {}").format(sql.Identifier(user), sql.Literal(password))
        )


def drop_database(cloud: Cloud, id: str, *, database: str, user: str) -> None:
    """Drops what is this resource's; what a replacement has taken over stays."""
    with _connected(cloud) as connection:
        has_database, holder = _comment(connection, "database", database)
        ours = holder is not None and holder.id == id
        if has_database and ours and database != DEFAULT_DATABASE:
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(database)))
        has_role, holder = _comment(connection, "role", user)
        if not has_role or holder is None or holder.id != id:
            return
    for place in {DEFAULT_DATABASE, *([] if database == DEFAULT_DATABASE or ours else [database])}:
        with _connected(cloud, place) as connection:
            connection.execute(sql.SQL("drop owned by {} cascade").format(sql.Identifier(user)))
    with _connected(cloud) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", (user,)
        )
        connection.execute(sql.SQL("drop role {}").format(sql.Identifier(user)))


#: Where it is recorded which cache has which token, by its digest.
_TOKENS = "local:tokens"


def redis_address(cloud: Cloud) -> tuple[str, int]:
    """Where the real Redis listens."""
    entry = cloud.entry("redis")
    return entry["host"], int(entry["port"])


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def set_token(cloud: Cloud, id: str, *, new: str | None, old: str | None) -> None:
    """What clients may say to AUTH: the new token besides the server's own password, no more the old one.

    Without a token the cache asks for none, as on AWS. A token that another cache has too (as the
    replacement of this one does) stays.
    """
    if new:
        cloud.records.put(_TOKENS, id, {"sha256": _digest(new)})
    else:
        cloud.records.remove(_TOKENS, id)
    held = {holder["sha256"] for holder in cloud.records.of_type(_TOKENS).values()}
    if old and _digest(old) in held:
        old = None
        if not new:
            return
    entry = cloud.entry("redis")
    admin = entry["admin_password"]
    client: Any = redis.Redis(
        host=entry["host"], port=entry["port"], password=admin, socket_timeout=10, protocol=2
    )
    try:
        rules = ["on", f">{admin}", f">{new}"] if new else ["on", f">{admin}"] if old else ["on", "nopass"]
        client.execute_command("ACL", "SETUSER", "default", *rules)
        if old and old not in (new, admin):
            with suppress(redis.ResponseError):  # Redis has been made anew since
                client.execute_command("ACL", "SETUSER", "default", f"<{old}")
        with suppress(redis.ResponseError):  # only a server with an ACL file can keep it
            client.execute_command("ACL", "SAVE")
    except redis.RedisError as error:
        raise StandinError(
            f"the local Redis does not take the token ({type(error).__name__}): `agent-infra up` starts it."
        ) from None
    finally:
        client.close()

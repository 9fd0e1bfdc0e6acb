"""A real Postgres: the server that comes with pgserver, or the system's."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import psycopg

from agent_infra.local.environment import LocalEnvironment, LocalError, write_private
from agent_infra.local.services.process import bundled, end

NAME = "postgres"
START_SECONDS = 30.0
_SUPERUSER = "postgres"

_CONFIG = """
# Written by agent-infra at every start.
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
shared_buffers = 32MB
max_connections = 100
max_worker_processes = 2
max_parallel_workers = 0
autovacuum_max_workers = 1
logging_collector = off
log_min_messages = warning
"""


def settings(environment: LocalEnvironment, earlier: Mapping[str, Any], port: int) -> dict[str, Any]:
    """Its entry in services.json; the superuser is for the stand-ins alone."""
    password = earlier.get("password") or secrets.token_urlsafe(24)
    return {
        "url": f"postgresql://127.0.0.1:{port}/postgres",
        "user": _SUPERUSER,
        "password": password,
    }


def prepare(environment: LocalEnvironment, entry: Mapping[str, Any]) -> None:
    """Makes the data directory where there is none.

    Raises:
        LocalError: it could not be made.
    """
    data = _data(environment)
    if not (data / "PG_VERSION").exists():
        _make(environment, entry)
    _drop_stale_pid_file(data)
    included = data / "agent-infra.conf"
    included.write_text(_CONFIG.format(port=entry["port"]))
    _hand_over(included)
    main = data / "postgresql.conf"
    if "agent-infra.conf" not in main.read_text():
        with main.open("a") as file:
            file.write("include 'agent-infra.conf'\n")


def _drop_stale_pid_file(data: Path) -> None:
    """Removes what a killed server left, once it is certain that no server of this directory lives."""
    file = data / "postmaster.pid"
    try:
        process = psutil.Process(int(file.read_text().split()[0]))
        if process.status() == psutil.STATUS_ZOMBIE or "postgres" not in process.name():
            file.unlink()
        else:
            end(process)
            file.unlink(missing_ok=True)
    except FileNotFoundError:
        return
    except (psutil.NoSuchProcess, ValueError, IndexError):
        file.unlink(missing_ok=True)


def _make(environment: LocalEnvironment, entry: Mapping[str, Any]) -> None:
    """Beside its place first, so that an interrupted attempt leaves nothing half made there."""
    data = _data(environment)
    if data.exists() and any(data.iterdir()):
        raise LocalError(
            f"{data} is not a Postgres data directory, yet not empty: "
            "move it aside, or `agent-infra destroy`."
        )
    making = data.with_name("postgres.making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True, mode=0o700)
    password_file = making.with_name("postgres.password")
    write_private(password_file, str(entry["password"]))
    for path in (making, password_file):
        _hand_over(path)
    command = [
        *_as_other_user(),
        *(str(_binary("initdb", system=bool(entry.get("system")))), "-D", str(making), "-U", _SUPERUSER),
        *("--auth=scram-sha-256", f"--pwfile={password_file}", "--encoding=UTF8", "--no-locale", "--no-sync"),
    ]
    try:
        made = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
    finally:
        password_file.unlink(missing_ok=True)
    if made.returncode != 0:
        shutil.rmtree(making, ignore_errors=True)
        full = " The disk is full: free some space, then try again." if "No space left" in made.stderr else ""
        raise LocalError(
            f"Postgres could not make its data directory {data}: {made.stderr.strip()[-400:]}{full}"
        )
    if data.exists():
        data.rmdir()
    making.rename(data)


def command(environment: LocalEnvironment, entry: Mapping[str, Any]) -> list[str]:
    binary = _binary("postgres", system=bool(entry.get("system")))
    return [*_as_other_user(), str(binary), "-D", str(_data(environment))]


def variables(entry: Mapping[str, Any]) -> dict[str, str]:
    return {}


def answers(environment: LocalEnvironment, entry: Mapping[str, Any]) -> bool:
    """Whether it answers a query."""
    try:
        with psycopg.connect(
            host="127.0.0.1",
            port=entry["port"],
            user=entry["user"],
            password=entry["password"],
            dbname="postgres",
            connect_timeout=3,
        ) as connection:
            connection.execute("SELECT 1")
            return True
    except psycopg.Error:
        return False


def _data(environment: LocalEnvironment) -> Path:
    return environment.services_dir / NAME


def _binary(name: str, *, system: bool) -> Path:
    if not system:
        return bundled("pgserver", "pginstall", "bin", name)
    found = shutil.which(name)
    candidates = [Path(found)] if found else sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if not candidates:
        raise LocalError(
            f"{name} is not on PATH: install it (Debian: apt install postgresql), or use the bundled one."
        )
    return candidates[-1]


def _other_user() -> pwd.struct_passwd | None:
    """Postgres refuses to run as root; it runs as nobody then."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _as_other_user() -> list[str]:
    """Runs a command as `nobody`, who may still pass through root's directories, so that none is opened."""
    user = _other_user()
    if user is None:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise LocalError(
            "Postgres does not run as root, and `setpriv` (Debian: apt install util-linux) is missing: "
            "install it, or run this as another user."
        )
    capabilities = "+dac_override,+dac_read_search"
    return [
        *(setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"),
        *(f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}", "--"),
    ]


def _hand_over(path: Path) -> None:
    user = _other_user()
    if user is not None:
        os.chown(path, user.pw_uid, user.pw_gid)

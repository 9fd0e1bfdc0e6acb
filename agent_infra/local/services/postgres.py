"""A real Postgres: the server that comes with pgserver, or the system's."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import psycopg

from agent_infra.local.environment import LocalEnvironment, LocalError, write_private
from agent_infra.local.services.process import bundled

NAME = "postgres"
START_SECONDS = 30.0
TEXTS = ("url", "user", "password")
KEEPS_DATA = True
#: Its "fast" shutdown: SIGTERM would wait until every client has gone by itself.
STOP_SIGNAL = signal.SIGINT
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


def directory(environment: LocalEnvironment) -> Path:
    return environment.services_dir / NAME


def settings(environment: LocalEnvironment, earlier: Mapping[str, Any], port: int) -> dict[str, Any]:
    """Its entry in services.json; the superuser is for the stand-ins alone."""
    password = earlier.get("password") or secrets.token_urlsafe(24)
    return {
        "url": f"postgresql://127.0.0.1:{port}/postgres",
        "user": _SUPERUSER,
        "password": password,
    }


def prepare(environment: LocalEnvironment, entry: Mapping[str, Any], earlier: Mapping[str, Any]) -> None:
    """Makes the data directory where there is none.

    Raises:
        LocalError: it could not be made.
    """
    data = directory(environment)
    made = not (data / "PG_VERSION").exists()
    if made:
        _make(environment, entry)
    _drop_stale_pid_file(data)
    main = data / "postgresql.conf"
    if not main.exists():
        raise LocalError(
            f"The Postgres data directory {data} is damaged, it has no {main.name}: move it aside "
            "(or let `agent-infra destroy` delete the environment), then try again."
        )
    included = data / "agent-infra.conf"
    included.write_text(_CONFIG.format(port=entry["port"]))
    _hand_over(included)
    if "agent-infra.conf" not in main.read_text():
        with main.open("a") as file:
            file.write("include 'agent-infra.conf'\n")
    if not made and not earlier.get("password"):
        _set_password(environment, entry)


def _drop_stale_pid_file(data: Path) -> None:
    """Removes what a killed server left, if its process id is another process's by now.

    Postgres itself copes with an id that nobody has. Servers of this directory have been ended before.
    """
    file = data / "postmaster.pid"
    try:
        process = psutil.Process(int(file.read_text().split()[0]))
        if not (is_server(process) and process.cwd() == str(data.resolve())):
            file.unlink()
    except psutil.ZombieProcess:
        file.unlink()
    except (FileNotFoundError, psutil.Error):
        return
    except (ValueError, IndexError):
        file.unlink()


def _set_password(environment: LocalEnvironment, entry: Mapping[str, Any]) -> None:
    """Gives the superuser the password written down now, where the one written down before was lost."""
    binary = _binary("postgres", system=bool(entry.get("system")))
    alone = subprocess.run(
        [*_as_other_user(binary), str(binary), "--single", "-D", str(directory(environment)), "postgres"],
        input=f"ALTER USER {_SUPERUSER} PASSWORD '{entry['password']}'\n",
        capture_output=True,
        text=True,
        cwd="/",
        check=False,
    )
    if alone.returncode != 0:
        raise LocalError(
            "Postgres's administrator's password was lost with services.json and cannot be set anew: "
            f"{alone.stderr.strip()[-400:]}"
        )


def _make(environment: LocalEnvironment, entry: Mapping[str, Any]) -> None:
    """Beside its place first, so that an interrupted attempt leaves nothing half made there."""
    data = directory(environment)
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
    binary = _binary("initdb", system=bool(entry.get("system")))
    command = [
        *_as_other_user(binary),
        *(str(binary), "-D", str(making), "-U", _SUPERUSER),
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
    return [*_as_other_user(binary), str(binary), "-D", str(directory(environment))]


def variables(entry: Mapping[str, Any]) -> dict[str, str | None]:
    # What the user has set for another Postgres must not reach this one.
    return dict.fromkeys(name for name in os.environ if name.startswith("PG"))


def answers(environment: LocalEnvironment, entry: Mapping[str, Any]) -> bool:
    """Whether it answers a query."""
    try:
        with psycopg.connect(
            host="127.0.0.1",
            hostaddr="127.0.0.1",  # these four, lest the user's PG* variables fill them
            sslmode="disable",
            gssencmode="disable",
            options="",
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


def is_server(process: psutil.Process) -> bool:
    return process.name() == "postgres"


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


def _as_other_user(binary: Path) -> list[str]:
    """Runs a command as `nobody`, who may still pass through root's own directories: none is opened up."""
    user = _other_user()
    if user is None:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise LocalError(
            "Postgres does not run as root, and `setpriv` (Debian: apt install util-linux) is missing: "
            "install it, or run this as another user."
        )
    capabilities = "+dac_read_search"
    if not binary.stat().st_mode & stat.S_IXOTH:  # installed for root's eyes alone (umask 077)
        capabilities += ",+dac_override"
    return [
        *(setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"),
        *(f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}"),
        # initdb looks with access(2), which otherwise leaves the capabilities out of account.
        *("--securebits=+no_setuid_fixup", "--"),
    ]


def _hand_over(path: Path) -> None:
    user = _other_user()
    if user is not None:
        os.chown(path, user.pw_uid, user.pw_gid)

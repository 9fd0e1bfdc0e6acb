"""Starts, stops and looks at the services of one environment."""

from __future__ import annotations

import errno
import fcntl
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, cast

import psutil

from agent_infra.local.environment import LocalEnvironment, LocalError, write_private
from agent_infra.local.progress import Report, silent
from agent_infra.local.services import moto, postgres, redis
from agent_infra.local.services.process import Identity, end, free_port, wait_until
from agent_infra.local.services.process import start as start_process


class Service(Protocol):
    """What each service's module offers."""

    NAME: str
    START_SECONDS: float

    def settings(
        self, environment: LocalEnvironment, earlier: Mapping[str, Any], port: int
    ) -> dict[str, Any]: ...

    def prepare(self, environment: LocalEnvironment, entry: Mapping[str, Any]) -> None: ...

    def command(self, environment: LocalEnvironment, entry: Mapping[str, Any]) -> list[str]: ...

    def variables(self, entry: Mapping[str, Any]) -> dict[str, str]: ...

    def answers(self, environment: LocalEnvironment, entry: Mapping[str, Any]) -> bool: ...


_SERVICES = {module.NAME: cast("Service", module) for module in (moto, redis, postgres)}
NAMES = tuple(_SERVICES)
#: A port can be taken between the moment it was found free and the service's own bind.
_ATTEMPTS = 3
#: What a killed Postgres's own processes need to notice and go.
_PAUSE_SECONDS = 0.5

Entry = dict[str, Any]


class ServiceState(StrEnum):
    """How a service is."""

    RUNNING = "running"
    STOPPED = "stopped"
    CRASHED = "crashed"
    HUNG = "hung"


@dataclass(frozen=True)
class ServiceStatus:
    """One service as it is now."""

    name: str
    state: ServiceState
    pid: int | None
    port: int | None
    url: str | None
    memory_bytes: int | None
    log: Path


def start(environment: LocalEnvironment, *, report: Report | None = None, system: bool = False) -> None:
    """Starts what does not run; what runs and answers is left alone, what hangs is started again.

    Raises:
        LocalError: a service does not start; the others that were started run on.
    """
    try:
        with _held(environment):
            known = _read(environment)
            entries: dict[str, Entry] = known["services"]
            missing = [name for name in NAMES if not _runs(environment, name, entries.get(name))]
            if not missing:
                return
            (report or silent)(f"Starting {', '.join(missing)}", 4)
            started: list[psutil.Process] = []
            try:
                with ThreadPoolExecutor(len(missing)) as pool:
                    futures = {
                        name: pool.submit(
                            _start, environment, name, entries.get(name, {}), started, system=system
                        )
                        for name in missing
                    }
                for name, future in futures.items():
                    entries[name] = future.result()
            except BaseException:
                for process in started:
                    end(process)
                raise
            if "moto" in missing:
                known["generation"] = uuid.uuid4().hex
            _write(environment, known)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise LocalError(
                f"The disk that has {environment.root} is full: free some space, then try again."
            ) from None
        raise LocalError(
            f"{error.filename or environment.root}: {error.strerror}. Mend it, then try again."
        ) from None


def stop(environment: LocalEnvironment) -> None:
    """Ends what runs; the data stays where it is."""
    if not environment.services_file.exists():
        return
    with _held(environment):
        known = _read(environment)
        running = [
            process
            for entry in known["services"].values()
            if (process := Identity(entry["pid"], entry["created"]).process()) is not None
        ]
        with ThreadPoolExecutor(len(NAMES)) as pool:
            list(pool.map(end, running))
        for entry in known["services"].values():
            entry["pid"] = 0
        known["generation"] = None
        _write(environment, known)


def status(environment: LocalEnvironment) -> list[ServiceStatus]:
    """How each service is; asks each whether it answers."""
    entries = _read(environment)["services"]
    return [_status(environment, name, entries.get(name)) for name in NAMES]


def generation(environment: LocalEnvironment) -> str | None:
    """Which memory moto has: another value means that it has forgotten what it was told."""
    value: str | None = _read(environment).get("generation")
    return value


def _status(environment: LocalEnvironment, name: str, entry: Entry | None) -> ServiceStatus:
    log = environment.logs_dir / f"{name}.log"
    if not entry or not entry["pid"]:
        return ServiceStatus(name, ServiceState.STOPPED, None, None, None, None, log)
    process = Identity(entry["pid"], entry["created"]).process()
    if process is None:
        return ServiceStatus(name, ServiceState.CRASHED, None, entry["port"], None, None, log)
    state = ServiceState.RUNNING if _SERVICES[name].answers(environment, entry) else ServiceState.HUNG
    return ServiceStatus(name, state, process.pid, entry["port"], entry["url"], _memory(process), log)


def _memory(process: psutil.Process) -> int:
    """What the service and its children hold that is theirs alone."""
    total = 0
    for member in [process, *process.children(recursive=True)]:
        try:
            total += member.memory_full_info().uss
        except psutil.Error:
            continue
    return total


def _runs(environment: LocalEnvironment, name: str, entry: Entry | None) -> bool:
    """Whether a service runs and answers; one that runs but hangs is ended here."""
    if not entry or not entry["pid"]:
        return False
    process = Identity(entry["pid"], entry["created"]).process()
    if process is None:
        return False
    if _SERVICES[name].answers(environment, entry):
        return True
    end(process, seconds=5)
    return False


def _start(
    environment: LocalEnvironment, name: str, earlier: Entry, started: list[psutil.Process], *, system: bool
) -> Entry:
    service = _SERVICES[name]
    log = environment.logs_dir / f"{name}.log"
    for attempt in range(1, _ATTEMPTS + 1):
        port = free_port(earlier.get("port") if attempt == 1 else None)
        entry = {
            **service.settings(environment, earlier, port),
            "host": "127.0.0.1",
            "port": port,
            "system": system,
        }
        service.prepare(environment, entry)
        process = start_process(
            service.command(environment, entry), log=log, variables=service.variables(entry)
        )
        started.append(process)
        try:
            wait_until(
                lambda entry=entry: service.answers(environment, entry),  # type: ignore[misc] # bound early on purpose
                process,
                name=name,
                log=log,
                seconds=service.START_SECONDS,
            )
        except LocalError as error:
            end(process)
            if attempt < _ATTEMPTS and "in use" in str(error).lower():
                time.sleep(_PAUSE_SECONDS)
                continue
            raise
        identity = Identity.of(process)
        return {**entry, "pid": identity.pid, "created": identity.created}
    raise AssertionError("the last attempt returns or raises")


@contextmanager
def _held(environment: LocalEnvironment) -> Iterator[None]:
    """One start or stop at a time."""
    environment.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (environment.root / "services.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read(environment: LocalEnvironment) -> dict[str, Any]:
    """What was written down; a file that cannot be read is set aside, its data directories stay."""
    file = environment.services_file
    empty: dict[str, Any] = {"generation": None, "services": {}}
    try:
        content = json.loads(file.read_text())
        for entry in content["services"].values():
            _ = entry["pid"], entry["created"], entry["port"]
    except FileNotFoundError:
        return empty
    except (ValueError, KeyError, TypeError, AttributeError):
        number = 1
        while (aside := file.with_name(f"{file.name}.corrupt-{number}")).exists():
            number += 1
        file.replace(aside)
        return empty
    else:
        known: dict[str, Any] = content
        return known


def _write(environment: LocalEnvironment, known: Mapping[str, Any]) -> None:
    write_private(environment.services_file, json.dumps(known, indent=1))

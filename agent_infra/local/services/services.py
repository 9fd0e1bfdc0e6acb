"""Starts, stops and looks at the services of one environment."""

from __future__ import annotations

import fcntl
import time
import uuid
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import psutil

from agent_infra.local.environment import LocalEnvironment, LocalError, plainly
from agent_infra.local.progress import Report, silent
from agent_infra.local.services import record
from agent_infra.local.services.process import Identity, end, last_words
from agent_infra.local.services.record import Entry, Record, UnreadableError
from agent_infra.local.services.service import NAMES, SERVICES, TEXTS
from agent_infra.local.services.starting import Starting, end_service, end_strays

#: A service on a busy machine may be late once; ending moto for it would lose all it knows.
_PINGS = 3
_PAUSE_SECONDS = 0.5


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
    detail: str = ""


def start(environment: LocalEnvironment, *, report: Report | None = None, system: bool = False) -> None:
    """Starts what does not run; what runs and answers is left alone, what hangs is started again.

    Raises:
        LocalError: a service does not start; the others run on, and the next start needs only that one.
    """
    say = report or silent
    with plainly(environment.root), _held(environment, say):
        known = _read_or_set_aside(environment, say)
        with ThreadPoolExecutor(len(NAMES)) as pool:
            run = pool.map(lambda name: _runs(environment, name, known.services.get(name)), NAMES)
            missing = [name for name, runs in zip(NAMES, run, strict=True) if not runs]
        if not missing:
            return
        say(f"Starting {', '.join(missing)}", 4)
        end_strays(environment, missing)
        starting = Starting(environment, system=system)
        try:
            starting.run(missing, known.services)
            # One that a killed start had only just begun could not be seen for a server before.
            end_strays(environment, starting.entries, but=[e["pid"] for e in starting.entries.values()])
            known.services.update(starting.entries)
            if "moto" in starting.entries:
                known.generation = uuid.uuid4().hex
            record.write(environment, known)
        except BaseException:  # what is not written down must not run on
            starting.undo()
            raise
        if len(starting.errors) > 1:
            raise LocalError("\n".join(str(error) for error in starting.errors))
        if starting.errors:
            raise starting.errors[0]


def stop(environment: LocalEnvironment, names: Collection[str] = NAMES) -> None:
    """Ends what runs, recorded or not; the data stays where it is. moto's is its memory, which goes.

    Raises:
        LocalError: a process is another user's, or the directory cannot be written.
    """
    if not environment.root.exists():
        return
    with plainly(environment.root), _held(environment, silent):
        known = _read_or_set_aside(environment, silent)
        with ThreadPoolExecutor(len(NAMES)) as pool:
            list(pool.map(lambda name: end_service(name, known.services.get(name)), names))
        end_strays(environment, names)
        for name in names:
            known.services.get(name, {})["pid"] = 0
        if "moto" in names:
            known.generation = None
        if environment.services_file.exists():
            record.write(environment, known)


def status(environment: LocalEnvironment) -> list[ServiceStatus]:
    """How each service is; asks each whether it answers. Changes nothing."""
    with plainly(environment.root):
        try:
            entries, damage = record.read(environment, TEXTS).services, ""
        except UnreadableError as error:
            entries, damage = {}, f"{environment.services_file} is damaged ({error}); the next `up` mends it"
    with ThreadPoolExecutor(len(NAMES)) as pool:
        return list(pool.map(lambda name: _status(environment, name, entries.get(name), damage), NAMES))


def generation(environment: LocalEnvironment) -> str | None:
    """Which memory moto has: another value means that it has forgotten what it was told."""
    with plainly(environment.root):
        try:
            return record.read(environment, TEXTS).generation
        except UnreadableError:
            return None


def _status(environment: LocalEnvironment, name: str, entry: Entry | None, damage: str) -> ServiceStatus:
    log = environment.logs_dir / f"{name}.log"
    if not entry or not entry["pid"]:
        return ServiceStatus(name, ServiceState.STOPPED, None, None, None, None, log, damage)
    process = Identity(entry["pid"], entry["created"]).process()
    if process is None:
        detail = f"process {entry['pid']} has ended; the next `up` starts it again. {last_words(log)}"
        return ServiceStatus(name, ServiceState.CRASHED, None, entry["port"], None, None, log, detail)
    answers = SERVICES[name].answers(environment, entry)
    state = ServiceState.RUNNING if answers else ServiceState.HUNG
    detail = "" if answers else "it does not answer; the next `up` starts it again"
    return ServiceStatus(name, state, process.pid, entry["port"], entry["url"], _memory(process), log, detail)


def _memory(process: psutil.Process) -> int:
    """What the service and its children hold that is theirs alone."""
    total = 0
    try:
        members = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    for member in members:
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
    for _ in range(_PINGS):
        if SERVICES[name].answers(environment, entry):
            return True
        time.sleep(_PAUSE_SECONDS)
    end(process, seconds=3, request=SERVICES[name].STOP_SIGNAL)
    return False


@contextmanager
def _held(environment: LocalEnvironment, say: Report) -> Iterator[None]:
    """One start or stop at a time."""
    environment.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (environment.root / "services.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another start or stop of the services")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read_or_set_aside(environment: LocalEnvironment, say: Report) -> Record:
    """What was written down; a damaged file is set aside, the services' data stays."""
    try:
        return record.read(environment, TEXTS)
    except UnreadableError as error:
        aside = record.set_aside(environment.services_file)
        say(f"{environment.services_file} was damaged ({error}) and is now {aside.name}; the data stays")
        return Record()

"""Brings services up, each in its own time, and ends what must not run on."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor

from agent_infra.local.environment import LocalEnvironment, LocalError
from agent_infra.local.services.process import (
    Ended,
    GivenUp,
    Identity,
    end,
    free_port,
    living_in,
    must_listen,
    wait_until,
)
from agent_infra.local.services.process import start as start_process
from agent_infra.local.services.record import Entry
from agent_infra.local.services.service import SERVICES, Service

#: A port can be taken between the moment it was found free and the service's own bind.
_ATTEMPTS = 3
#: What a killed Postgres's own processes need to notice and go.
_PAUSE_SECONDS = 0.5


class Starting:
    """Several services starting at once; in case of an interruption none of them runs on."""

    def __init__(self, environment: LocalEnvironment, *, system: bool) -> None:
        self._environment = environment
        self._system = system
        self._given_up = threading.Event()
        #: What came up.
        self.entries: dict[str, Entry] = {}
        self.errors: list[LocalError | OSError] = []

    def run(self, names: Iterable[str], earlier: dict[str, Entry]) -> None:
        """Starts them all and waits for each."""
        pool = ThreadPoolExecutor()
        try:
            for future in [pool.submit(self._start, name, earlier.get(name, {})) for name in names]:
                future.result()
        except BaseException:
            self._given_up.set()
            raise
        finally:
            pool.shutdown()

    def undo(self) -> None:
        """Ends what came up."""
        for name, entry in self.entries.items():
            end_service(name, entry)

    def _start(self, name: str, earlier: Entry) -> None:
        try:
            self.entries[name] = self._attempts(name, SERVICES[name], earlier)
        except (LocalError, OSError) as error:
            self.errors.append(error)

    def _attempts(self, name: str, service: Service, earlier: Entry) -> Entry:
        for _ in range(1, _ATTEMPTS):
            entry: Entry = {"port": free_port(earlier.get("port"))}
            try:
                return self._attempt(name, service, earlier, entry)
            except LocalError as error:
                if "in use" not in str(error).lower():
                    raise
            time.sleep(_PAUSE_SECONDS)
            earlier = {**earlier, **entry}
        return self._attempt(name, service, earlier, {"port": free_port(earlier.get("port"))})

    def _attempt(self, name: str, service: Service, earlier: Entry, entry: Entry) -> Entry:
        environment, port = self._environment, entry["port"]
        log = environment.logs_dir / f"{name}.log"
        entry |= service.settings(environment, earlier, port) | {"host": "127.0.0.1", "system": self._system}
        service.prepare(environment, entry, earlier)
        if self._given_up.is_set():
            raise GivenUp
        process = start_process(
            service.command(environment, entry),
            log=log,
            variables=service.variables(entry),
            directory=service.directory(environment),
        )
        try:
            wait_until(
                lambda: service.answers(environment, entry),
                process,
                name=name,
                log=log,
                seconds=service.START_SECONDS,
                given_up=self._given_up,
            )
            must_listen(process, port, name=name)
            identity = Identity.of(process)
        except Ended as error:
            if not service.KEEPS_DATA:
                raise
            raise LocalError(
                f"{error} If its data is damaged, move {service.directory(environment)} aside "
                "(or let `agent-infra destroy` delete the environment), then try again."
            ) from None
        except BaseException:
            end(process, seconds=3, request=service.STOP_SIGNAL)
            raise
        return {**entry, "pid": identity.pid, "created": identity.created}


def end_service(name: str, entry: Entry | None) -> None:
    """Ends the process that was written down, if it still is that one."""
    process = Identity(entry["pid"], entry["created"]).process() if entry else None
    if process is not None:
        end(process, request=SERVICES[name].STOP_SIGNAL)


def end_strays(environment: LocalEnvironment, names: Iterable[str], *, but: Collection[int] = ()) -> None:
    """Ends servers of this environment that nothing written down leads to.

    They are left by a start that was killed, a services.json that was lost, or a parent that crashed; two
    servers on one directory would destroy its data. `but` are the processes that are known to be right.
    """
    for name in names:
        service = SERVICES[name]
        for process in living_in(service.directory(environment), service.is_server):
            if process.pid in but:
                continue
            end(process, seconds=5, request=service.STOP_SIGNAL)

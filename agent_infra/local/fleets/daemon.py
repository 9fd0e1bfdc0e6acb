"""The daemon of one environment: what it runs follows what is wanted, and is written down."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping

import psutil

from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.fleets.front import Front
from agent_infra.local.fleets.status import FleetsStatus, FleetStatus, read_status, write_status

_LOOK_SECONDS = 0.2


class Daemon(ABC):
    """Runs until it is told to end; who it is for says what there is to do."""

    #: The kubeconfig of the API server that says what is wanted; '' where files do.
    kubeconfig = ""

    def __init__(self, environment: LocalEnvironment) -> None:
        self._environment = environment
        self._stop = asyncio.Event()
        self._told = True
        self._written: FleetsStatus | None = None
        process = psutil.Process()
        self._identity = (process.pid, process.create_time())
        before = read_status(environment.fleets_file)
        self._front = Front(before, self._ready_ports)
        _end_leftovers(before)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._tell)
        try:
            while not self._stop.is_set() and self._environment.root.exists():
                await self._look()
                self._write()
                try:
                    await asyncio.wait_for(self._stop.wait(), _LOOK_SECONDS)
                except TimeoutError:
                    continue
        finally:
            await self._front.end()
            await self._end()
        if self._environment.root.exists():
            write_status(self._environment, FleetsStatus(services=self._front.kept))

    @abstractmethod
    async def _look(self) -> None:
        """One look at how things are, and what follows from it."""

    @abstractmethod
    def _ready_ports(self, service: str) -> list[int]:
        """Of the processes that a Service leads to now."""

    @abstractmethod
    def _fleets(self) -> Mapping[str, FleetStatus]:
        """How each Deployment is."""

    @property
    @abstractmethod
    def _digest(self) -> str:
        """Of what is followed."""

    @abstractmethod
    async def _end(self) -> None:
        """Ends what it runs."""

    def _tell(self) -> None:
        self._told = True

    def _write(self) -> None:
        now = FleetsStatus(
            pid=self._identity[0],
            created=self._identity[1],
            kubeconfig=self.kubeconfig,
            digest=self._digest,
            fleets=dict(self._fleets()),
            services=self._front.addresses,
        )
        if now != self._written:
            try:
                write_status(self._environment, now)
            except OSError as error:  # the fleets serve on; it is tried again at the next look
                sys.stderr.write(f"cannot write {self._environment.fleets_file}: {error.strerror}\n")
                return
            self._written = now


def _end_leftovers(before: FleetsStatus) -> None:
    """Ends the replicas of a supervisor that was killed."""
    for fleet in before.fleets.values():
        for replica in fleet.replicas:
            try:
                process = psutil.Process(replica.pid)
                if replica.pid != os.getpid() and abs(process.create_time() - replica.created) < 1:
                    process.terminate()
            except (psutil.Error, ValueError):
                continue

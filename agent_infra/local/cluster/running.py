"""One part of a control plane as it runs: started, watched, started again."""

from __future__ import annotations

import asyncio
import signal
import ssl
import time
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

import psutil

from agent_infra.local.cluster.options import Places
from agent_infra.local.cluster.parts import Part, Probe, environment_variables
from agent_infra.local.cluster.plan import Plan
from agent_infra.local.cluster.states import PartState, PartStatus
from agent_infra.local.services import children
from agent_infra.local.services.process import last_words

_ASK_SECONDS = 3.0
_STARTING_LOOK_SECONDS = 0.1
_RUNNING_LOOK_SECONDS = 5.0
#: A part that runs but says nothing for so many looks, a minute at least, is killed, to be started again. A
#: machine that is busy for a while is no reason.
_SILENT_LOOKS = 12
_BACKOFF_SECONDS = (0.2, 1.0, 2.0, 5.0, 10.0, 30.0)
#: So many ends, none of them after a minute of work, and it is called failing.
_FAILING = 4
_STEADY_SECONDS = 60.0
#: A part that does not get ready is started again after so long.
_START_SECONDS = 120.0


class Running:
    """Keeps one part running until it is told to end."""

    def __init__(self, part: Part, plan: Plan, ready: Mapping[str, asyncio.Event]) -> None:
        self.part = part
        self._plan = plan
        self._ready = ready
        self._log = plan.places.logs / f"{part.name}.log"
        self._state = PartState.WAITING
        self._process: asyncio.subprocess.Process | None = None
        self._created = 0.0
        self._restarts = 0
        self._failures = 0
        self._detail = ""
        self._ending = False
        self._variables: dict[str, str] = {}
        self._outdated = False

    async def keep(self) -> None:
        """Runs it, again and again, as long as this task is not cancelled."""
        while not self._ending:
            self._state = PartState.WAITING if not self._failures else self._state
            for need in self.part.needs:
                await self._ready[need].wait()
            started = time.monotonic()
            try:
                await self._run()
            except OSError as error:  # the program is gone, or the disk is full
                self._detail = f"{self.part.name} cannot be started: {error.strerror or error}"
            if self._ending:
                return
            self._ready[self.part.name].clear()
            if self._outdated:
                self._outdated = False
                continue
            self._restarts += 1
            steady = time.monotonic() - started > _STEADY_SECONDS
            self._failures = 1 if steady else self._failures + 1
            self._state = PartState.FAILING if self._failures >= _FAILING else PartState.CRASHED
            await asyncio.sleep(_BACKOFF_SECONDS[min(self._failures, len(_BACKOFF_SECONDS)) - 1])

    async def _run(self) -> None:
        """One life of the process, until it has ended."""
        process = await self._start()
        if self._failures < _FAILING:
            self._state = PartState.STARTING
        watched = asyncio.create_task(self._watch(process))
        try:
            await process.wait()
        finally:
            watched.cancel()
        self._detail = f"It ended with {_said(process.returncode)}. {_last_words(self._log)}"

    async def _start(self) -> asyncio.subprocess.Process:
        self._variables = environment_variables(self.part, self._plan)
        self._process = await children.spawn(
            self.part.command(self._plan),
            self._variables,
            self._log,
            directory=self._plan.places.run,
            # It is not asked to end: an API server that finds etcd gone waits for it, for hours.
            at_death="KILL",
            umask=0o077,
        )
        try:
            self._created = psutil.Process(self._process.pid).create_time()
        except psutil.Error:
            self._created = 0.0
        return self._process

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Says that it is ready once it is; kills it if it never gets so, or hangs later."""
        probe = self.part.probe(self._plan)
        context = await asyncio.to_thread(_context, probe, self._plan.places)
        deadline = time.monotonic() + _START_SECONDS
        while not await answers(probe, context):
            if time.monotonic() > deadline:
                process.kill()
                return
            await asyncio.sleep(_STARTING_LOOK_SECONDS)
        self._state, self._detail = PartState.RUNNING, ""
        self._ready[self.part.name].set()
        silent = 0
        while silent < _SILENT_LOOKS:
            await asyncio.sleep(_RUNNING_LOOK_SECONDS)
            if environment_variables(self.part, self._plan) != self._variables:
                self._outdated = True  # moto has another address than when it was started
                process.terminate()
                return
            silent = 0 if await answers(probe, context) else silent + 1
        process.kill()

    async def end(self) -> None:
        """SIGTERM, some seconds, SIGKILL."""
        self._ending = True
        self._ready[self.part.name].clear()
        process = self._process
        if process is not None and process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), self.part.stop_seconds)
            except TimeoutError:
                process.kill()
                await process.wait()
        self._state = PartState.STOPPED

    def status(self) -> PartStatus:
        alive = self._process is not None and self._process.returncode is None
        return PartStatus(
            name=self.part.name,
            state=self._state,
            pid=self._process.pid if self._process and alive else 0,
            created=self._created if alive else 0.0,
            port=self._plan.ports[self.part.ports[0]] if self.part.ports else 0,
            restarts=self._restarts,
            log=str(self._log),
            detail=self._detail,
        )


def _last_words(log: Path) -> str:
    """The end of its log, with the way out where it is known."""
    words = last_words(log, lines=10)
    if "too many open files" in words:
        words += (
            " A cluster watches some 15 directories, and Linux lets a user watch so many at once as "
            "fs.inotify.max_user_instances says: raise it (sysctl), or stop another cluster."
        )
    return words


def _said(code: int | None) -> str:
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


def _context(probe: Probe, places: Places) -> ssl.SSLContext | None:
    if probe.authority is None:
        return None
    context = ssl.create_default_context(cafile=str(places.certificate(probe.authority)))
    if probe.certificate is not None:
        context.load_cert_chain(places.certificate(probe.certificate), places.key(probe.certificate))
    return context


async def answers(probe: Probe, context: ssl.SSLContext | None) -> bool:
    """Whether a part says that it is ready: an HTTP status below 400."""
    url = urllib.parse.urlsplit(probe.url)
    return await children.answers(
        url.port or 0, url.path, seconds=_ASK_SECONDS, host=url.hostname or "", tls=context
    )

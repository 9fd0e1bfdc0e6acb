"""How long one run of the engine took, and what memory its processes had."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from agent_infra.automation import Event, Finished, Phase, Step

_EVERY_SECONDS = 0.5
#: What a process is, by its command line; the first that fits.
_ROLES = {
    "pulumi-resource-kubernetes": "stand-in for Kubernetes",
    "standins kubernetes": "stand-in for Kubernetes",
    "standins aws": "stand-in for AWS",
    "pulumi-language-python-exec": "program",
    "pulumi": "engine",
}


@dataclass
class Stopwatch:
    """Listens to a run: from the start, or what was last prepared for it, to the engine's end."""

    clock: Callable[[], float] = time.monotonic
    _stepped: bool = False
    _ended: float | None = None

    def __post_init__(self) -> None:
        self._began = self.clock()

    def __call__(self, event: Event) -> None:
        if isinstance(event, Step):
            self._stepped = True
        elif isinstance(event, Phase) and not self._stepped:
            self._began = self.clock()
        elif isinstance(event, Finished):
            self._ended = self.clock()

    def seconds(self) -> float:
        """Until now, where it did not come to its end."""
        return (self.clock() if self._ended is None else self._ended) - self._began


@dataclass(frozen=True)
class Look:
    """A process at one moment."""

    pid: int
    role: str
    mib: float
    """Its own pages, and its share of those that it has with others (PSS)."""
    cpu_seconds: float


@dataclass
class Usage:
    """What the roles' processes took together while the block lasted."""

    others: Mapping[str, int] = field(default_factory=dict)
    """Processes besides this one's children, by what they are."""
    most_mib: dict[str, float] = field(default_factory=dict)
    """The most at one moment."""

    def __post_init__(self) -> None:
        self._first: dict[int, float] = {pid: _cpu(pid) for pid in self.others.values()}
        self._last: dict[tuple[str, int], float] = {}

    def __enter__(self) -> Usage:
        self._over = threading.Event()
        self._looking = threading.Thread(target=self._look, daemon=True)
        self._looking.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._looking.join()

    def cpu_seconds(self) -> dict[str, float]:
        """By role; a process' last half second may be missing."""
        found: dict[str, float] = defaultdict(float)
        for (role, pid), seconds in self._last.items():
            found[role] += seconds - self._first.get(pid, 0.0)
        return dict(found)

    def note(self, seen: Iterable[Look]) -> None:
        """All of them at one moment."""
        together: dict[str, float] = defaultdict(float)
        for each in seen:
            together[each.role] += each.mib
            self._last[each.role, each.pid] = each.cpu_seconds
        for role, mib in together.items():
            self.most_mib[role] = max(self.most_mib.get(role, 0.0), mib)

    def _look(self) -> None:
        while True:
            self.note(_now(self.others))
            if self._over.wait(_EVERY_SECONDS):
                return


def _now(others: Mapping[str, int]) -> list[Look]:
    found = [Look(pid, role, pss(pid), _cpu(pid)) for role, pid in others.items()]
    for process in psutil.Process().children(recursive=True):
        try:
            role = role_of(" ".join(process.cmdline()))
        except psutil.Error:
            continue
        if role is not None:
            found.append(Look(process.pid, role, pss(process.pid), _cpu(process.pid)))
    # What is just gone has nothing to tell.
    return [look for look in found if look.mib]


def _cpu(pid: int) -> float:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def role_of(command: str) -> str | None:
    """What the process of a command line is; None for one that is not measured."""
    return next((role for part, role in _ROLES.items() if part in command), None)


def pss(pid: int) -> float:
    """MiB: its own pages, and its share of those that it has with others; 0 where it is gone."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return int(rollup.split("Pss:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        return 0.0

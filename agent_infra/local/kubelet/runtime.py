"""What runs a pod's containers. The kubelet decides when; a runtime knows how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from agent_infra.local.fleets.container import CannotRun
from agent_infra.local.fleets.manifests import Object

__all__ = ["CannotRun", "Running", "Runtime", "Usage"]


@dataclass(frozen=True)
class Usage:
    """What a container has used since it was started, and holds now."""

    cpu_seconds: float
    memory_bytes: int


class Running(Protocol):
    """One container that was started."""

    @property
    def port(self) -> int:
        """Where it listens on this machine; 0 where nobody can connect."""

    @property
    def pid(self) -> int:
        """Its process; 0 where there is none."""

    async def wait(self) -> int:
        """Its exit code, once it has ended; any number of callers may wait."""

    async def answers(self, handler: Object) -> bool:
        """Whether a probe's or a hook's handler (`httpGet`, `tcpSocket`, `exec`) succeeds."""

    def terminate(self) -> None:
        """Asks it to end; it may take its time. Does nothing where it has ended."""

    def kill(self) -> None:
        """Ends it at once."""

    def usage(self) -> Usage | None:
        """None where that is not known."""


class Runtime(Protocol):
    """Starts containers."""

    async def start(self, pod: Object, container: Object) -> Running:
        """Starts one container of a pod.

        Raises:
            CannotRun: it cannot be started as things are; it is tried again after a while.
        """

    async def forget(self, pod: Object) -> None:
        """The pod is gone: what was kept for it goes too."""

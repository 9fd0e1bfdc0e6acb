"""What each service's module offers, and the modules there are."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

import psutil

from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.services import moto, postgres, redis


class Service(Protocol):
    """One data service."""

    NAME: str
    START_SECONDS: float
    #: What its entry in services.json has beside its process and port.
    TEXTS: tuple[str, ...]
    #: Whether its data outlives it.
    KEEPS_DATA: bool
    #: Asks it to end soon and in good order.
    STOP_SIGNAL: signal.Signals

    def directory(self, environment: LocalEnvironment) -> Path: ...

    def settings(
        self, environment: LocalEnvironment, earlier: Mapping[str, Any], port: int
    ) -> dict[str, Any]: ...

    def prepare(
        self, environment: LocalEnvironment, entry: Mapping[str, Any], earlier: Mapping[str, Any]
    ) -> None: ...

    def command(self, environment: LocalEnvironment, entry: Mapping[str, Any]) -> list[str]: ...

    def variables(self, entry: Mapping[str, Any]) -> dict[str, str | None]: ...

    def answers(self, environment: LocalEnvironment, entry: Mapping[str, Any]) -> bool: ...

    def is_server(self, process: psutil.Process) -> bool: ...


SERVICES = {module.NAME: cast("Service", module) for module in (moto, redis, postgres)}
NAMES = tuple(SERVICES)
TEXTS = {name: service.TEXTS for name, service in SERVICES.items()}

"""The control plane that a benchmark runs on: the product's own, for this run alone, or one that is there."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agent_infra.local import cluster
from agent_infra.local.cluster import ClusterOptions
from agent_infra.local.environment import LocalEnvironment

#: On a machine that does other things too.
_START_SECONDS = 300.0


@dataclass(frozen=True)
class Plane:
    """One that runs."""

    kubeconfig: Path
    parts: Mapping[str, int] = field(default_factory=dict)
    """The process ids of its parts, where they are known."""


@contextlib.contextmanager
def plane(options: ClusterOptions, *, there: Path | None = None) -> Iterator[Plane]:
    """A control plane while the block lasts.

    Args:
        options: of one that is made for it.
        there: the kubeconfig of one that is there, and is left as it is.
    """
    if there is not None:
        yield Plane(there)
        return
    with tempfile.TemporaryDirectory() as directory:
        environment = LocalEnvironment(Path(directory) / "benchmark")
        try:
            status = cluster.start(environment, _say, options, seconds=_START_SECONDS)
            parts = {part.name: part.pid for part in status.parts if part.pid}
            yield Plane(cluster.kubeconfig(environment), parts)
        finally:
            cluster.stop(environment)


def _say(message: str, _seconds: float | None = None) -> None:
    print(message, flush=True)

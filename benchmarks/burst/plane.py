"""The control plane that the arms share: the product's own, or one that is there."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

#: Kubernetes' own, in seconds of production.
_HPA_SYNC_SECONDS = 15.0
_CPU_INITIALIZATION_SECONDS = 300.0
_READINESS_SECONDS = 30.0


@contextlib.contextmanager
def plane(kubeconfig: Path | None, factor: int) -> Iterator[Path]:
    """Gives a kubeconfig; what is started here is ended here."""
    if kubeconfig is not None:
        yield kubeconfig
        return
    from agent_infra.local import cluster
    from agent_infra.local.environment import LocalEnvironment

    with tempfile.TemporaryDirectory() as directory:
        environment = LocalEnvironment(Path(directory) / "burst")
        options = cluster.ClusterOptions(
            hpa_sync_seconds=_HPA_SYNC_SECONDS / factor,
            hpa_cpu_initialization_seconds=_CPU_INITIALIZATION_SECONDS / factor,
            hpa_readiness_seconds=_READINESS_SECONDS / factor,
        )
        try:
            cluster.start(environment, options=options)
            yield cluster.kubeconfig(environment)
        finally:
            cluster.stop(environment)

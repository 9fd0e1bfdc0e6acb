"""`python -m agent_infra.local.fleets DIRECTORY [KUBECONFIG]`: the supervisor that `up` starts."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.fleets.daemon import Daemon


def _daemon(environment: LocalEnvironment, kubeconfig: str | None) -> Daemon:
    if kubeconfig is None:
        from agent_infra.local.fleets.supervisor import Supervisor

        return Supervisor(environment)
    from agent_infra.local.kubelet.supervisor import ClusterSupervisor
    from agent_infra.local.kubelet.timing import Timing

    return ClusterSupervisor(environment, Path(kubeconfig), timing=Timing())


async def _main() -> None:
    directory, *kubeconfig = sys.argv[1:]
    await _daemon(LocalEnvironment(Path(directory)), kubeconfig[0] if kubeconfig else None).run()


if __name__ == "__main__":
    asyncio.run(_main())

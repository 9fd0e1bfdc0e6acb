"""`python -m agent_infra.local.cluster DIRECTORY`: the supervisor that `cluster.start` starts."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from agent_infra.local.cluster import plan
from agent_infra.local.cluster.parts import parts
from agent_infra.local.cluster.supervisor import Supervisor
from agent_infra.local.environment import LocalEnvironment


async def _main() -> None:
    os.umask(0o077)
    environment = LocalEnvironment(Path(sys.argv[1]))
    options, programs = plan.read(environment)
    await Supervisor(environment, parts(argo=options.argo), options, programs).run()


if __name__ == "__main__":
    asyncio.run(_main())

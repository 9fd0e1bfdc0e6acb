"""`python -m agent_infra.local.fleets DIRECTORY`: the supervisor that `agent-infra up` starts."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.fleets.supervisor import Supervisor


async def _main() -> None:
    await Supervisor(LocalEnvironment(Path(sys.argv[1]))).run()


if __name__ == "__main__":
    asyncio.run(_main())

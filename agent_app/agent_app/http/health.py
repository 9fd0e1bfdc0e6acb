"""Whether what the service depends on answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

log = structlog.get_logger(__name__)

_SECONDS = 2.0

Check = Callable[[], Awaitable[object]]


class NotMigrated(Exception):
    """The database answers, but the tables are not there yet."""


#: Without these no request can be answered. Without Redis the history is read from Postgres, without the
#: queue chats are answered: taking every replica out of service would only make an outage whole.
NEEDED = frozenset({"postgres"})


class Health:
    """The checks by name, run at once, each within 2 s."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks

    async def run(self) -> dict[str, str]:
        """`ok`, or what is wrong, for each name; an error's own text may tell addresses and is left out."""
        results = await asyncio.gather(*(self._one(name, check) for name, check in self._checks.items()))
        return dict(zip(self._checks, results, strict=True))

    def fatal(self, results: Mapping[str, str]) -> list[str]:
        """What is wrong with what the service cannot do without."""
        return [f"{name}: {result}" for name, result in results.items() if name in NEEDED and result != "ok"]

    async def _one(self, name: str, check: Check) -> str:
        try:
            async with asyncio.timeout(_SECONDS):
                await check()
        except TimeoutError:
            return f"no answer within {_SECONDS:g} s"
        except NotMigrated:
            return "the tables are not there: run `agent-app migrate`"
        except Exception as error:  # noqa: BLE001 (whatever it is, the dependency is not ready)
            log.debug("not ready", check=name, reason=type(error).__name__)
            return f"failed: {type(error).__name__}"
        return "ok"

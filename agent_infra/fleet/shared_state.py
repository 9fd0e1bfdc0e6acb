"""What replicas have to share for their bounds to hold: without it each process would keep its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from agent_infra.fleet.agents_args import budgets

if TYPE_CHECKING:
    from agent_infra.fleet.options import FleetOptions


def missing(options: FleetOptions, *, processes: int, cache: bool, database: bool) -> Iterator[str]:
    """The stores that are not there, a sentence each."""
    if processes < 2:
        return
    llm = options.llm
    bounds = [
        *(["llm.requests_per_minute"] if llm.requests_per_minute else []),
        *(["llm.tokens_per_minute"] if llm.tokens_per_minute else []),
        *(["llm.limits"] if llm.limits else []),
        *(["requests_per_minute"] if options.requests_per_minute else []),
    ]
    if bounds and not cache:
        yield (
            f"{', '.join(bounds)} would hold in each of {processes} processes alone, because there is no "
            "`cache` in which they count together; add a cache, run one process, or leave the limit out"
        )
    money = budgets(options.agents, llm)
    if money and not database:
        yield (
            f"{', '.join(money)} would hold in each of {processes} processes alone, because there is no "
            "`database` in which they count together; add a database, run one process, or leave the "
            "budget out"
        )

"""How many connections a database takes, and how many each process may keep: pure arithmetic."""

from __future__ import annotations

import re
from collections.abc import Mapping

_GIB = 2**30
#: Postgres on RDS takes one connection for each so many bytes of memory, 5,000 at most
#: (https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html#RDS_Limits.MaxConnections).
_BYTES_A_CONNECTION = 9_531_392
_MOST_CONNECTIONS = 5000
#: The least of the memory that the formula sees: 189 connections where one capacity unit has 2 GiB
#: (https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2.setting-capacity.html).
_VISIBLE_SHARE = 0.84
#: An Aurora database that may shrink to half a unit or less takes no more than these (the same page).
_MOST_WHEN_TINY = 2000
CAPACITY_UNIT_GIB = 2
#: For administrators, migrations, monitoring and the proxy's own.
RESERVED = 15
#: More brings nothing: a process spends its time waiting for models, not for Postgres.
_LARGEST_POOL = 10
_SMALLEST_POOL = 2
#: The fleets that an error names, the largest first.
_SHOWN_FLEETS = 5

_SMALL_SIZES = {"micro": 1, "small": 2, "medium": 4, "large": 8, "xlarge": 16, "2xlarge": 32}
#: GiB of memory for each virtual processor, by family, November 2026
#: (https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Concepts.DBInstanceClass.Summary.html).
_FAMILIES = {
    **dict.fromkeys(("m5", "m6g", "m6i", "m6gd", "m6id", "m7g", "m7i", "m8g"), 4),
    **dict.fromkeys(("r5", "r6g", "r6i", "r6gd", "r6id", "r7g", "r7i", "r8g"), 8),
    "x2g": 16,
}
_CLASS = re.compile(r"db\.([a-z0-9]+)\.(micro|small|medium|large|(\d{0,2})xlarge)")


def memory_gib(instance_class: str) -> int:
    """An instance class's memory.

    Raises:
        ValueError: there is no such class.
    """
    match = _CLASS.fullmatch(instance_class)
    if match is None:
        raise ValueError("say an instance class, such as db.t4g.medium")
    family, size, times = match.groups()
    if family in {"t3", "t4g"} and size in _SMALL_SIZES:
        return _SMALL_SIZES[size]
    if family in _FAMILIES and size not in {"micro", "small", "medium"}:
        processors = 2 if size == "large" else 4 * int(times or 1)
        return processors * _FAMILIES[family]
    known = ", ".join(["t3", "t4g", *_FAMILIES])
    raise ValueError(f"say a class of the families {known}, such as db.t4g.medium or db.m7g.large")


def connections_of_memory(gib: float) -> int:
    """The connections that Postgres takes at least with so much memory."""
    return min(_MOST_CONNECTIONS, int(gib * _GIB * _VISIBLE_SHARE / _BYTES_A_CONNECTION))


def connections_of_capacity(least: float, most: float) -> int:
    """The connections that an Aurora database takes at least, by its capacity units."""
    found = connections_of_memory(most * CAPACITY_UNIT_GIB)
    return min(found, _MOST_WHEN_TINY) if least <= 0.5 else found


def pool_size(connections: int, processes: Mapping[str, int], *, wanted: int | None = None) -> int:
    """How many connections each process may keep.

    Args:
        connections: how many the database takes.
        processes: the most processes of each fleet.
        wanted: what was asked for, or None for what fits.

    Raises:
        ValueError: they do not fit.
    """
    total = sum(processes.values())
    available = connections - RESERVED
    if total == 0:
        return _LARGEST_POOL if wanted is None else wanted
    least = _SMALLEST_POOL if wanted is None else wanted
    if total * least > available:
        most = sorted(processes.items(), key=lambda item: -item[1])[:_SHOWN_FLEETS]
        counted = ", ".join(f"{name} {count}" for name, count in most)
        counted += f" and {len(processes) - len(most)} more fleets" if len(processes) > len(most) else ""
        raise ValueError(
            f"{total} processes ({counted}) with {least} connections each need {total * least}, and the "
            f"database takes {connections}, {RESERVED} of them reserved; choose a larger database, lower "
            "the fleets' `replicas.max`, or say a smaller `pool_size`"
        )
    return min(_LARGEST_POOL, available // total) if wanted is None else wanted

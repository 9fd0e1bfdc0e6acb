"""What is watched of a cache.

Which metrics matter: https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/CacheMetrics.WhichShouldIMonitor.html
"""

from __future__ import annotations

from agent_infra.aws.alarms import Watch

#: https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/ParameterGroups.Engine.html, `maxclients`.
_SMALL, _SMALL_CONNECTIONS, _CONNECTIONS = ("cache.t4g.", "cache.t3."), 20_000, 65_000


def node(node_type: str) -> tuple[Watch, ...]:
    """What is watched of each node."""
    limit = _SMALL_CONNECTIONS if node_type.startswith(_SMALL) else _CONNECTIONS
    connections = Watch(
        "connections",
        "CurrConnections",
        int(0.8 * limit),
        f"The node is near its limit of {limit:,} connections: look for a client that does not close them.",
    )
    return (*_NODE, connections)


_NODE = (
    Watch(
        "memory",
        "DatabaseMemoryUsagePercentage",
        85,
        "The cache's memory is nearly full: choose a larger node_type, or keep less or for a shorter time.",
    ),
    Watch(
        "cpu",
        "EngineCPUUtilization",
        85,
        "The engine is at its limit (it has one core): choose a faster node_type, or find the slow commands.",
        statistic="Average",
    ),
    Watch(
        "evictions",
        "Evictions",
        0,
        "Entries are dropped before they expire for want of memory: sessions may be lost.",
        statistic="Sum",
        period=300,
        periods=3,
    ),
)
REPLICA = Watch(
    "replication-lag",
    "ReplicationLag",
    30,
    "A replica is half a minute behind: a fail-over now would lose what was written since.",
    statistic="Average",
)


def serverless(max_storage_gb: int) -> tuple[Watch, ...]:
    """What is watched of a cache without nodes."""
    return (
        Watch(
            "storage",
            "BytesUsedForCache",
            0.85 * max_storage_gb * 10**9,
            "The cache is near max_storage_gb: raise it, or keep less or for a shorter time.",
        ),
        Watch(
            "throttled",
            "ThrottledCmds",
            0,
            "Commands are refused above max_ecpu_per_second: raise it.",
            statistic="Sum",
        ),
    )

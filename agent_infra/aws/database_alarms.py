"""What is watched of a database."""

from __future__ import annotations

from agent_infra.aws.alarms import Watch
from agent_infra.aws.database_args import DatabaseArgs
from agent_infra.aws.database_limits import memory_gib

_GIB = 2**30


def watches(args: DatabaseArgs) -> list[Watch]:
    """The alarms of the server as a whole."""
    found = [
        Watch(
            "cpu",
            "CPUUtilization",
            90,
            "The database's processor is at its limit: look at Performance Insights for the slow statements, "
            "or choose a larger one.",
            statistic="Average",
            period=300,
            periods=3,
        ),
        Watch(
            "connections",
            "DatabaseConnections",
            int(0.9 * args.connections),
            f"Nearly all of its {args.connections} connections are in use: lower the fleets' pools or "
            "replicas, or choose a larger one.",
        ),
        Watch(
            "transaction-ids",
            "MaximumUsedTransactionIDs",
            1_000_000_000,
            "Half of the transaction numbers are used up: vacuum does not keep up; look for a transaction "
            "that stays open.",
        ),
    ]
    if args.mode == "instance":
        found += [
            Watch(
                "free-storage",
                "FreeStorageSpace",
                int(0.1 * args.storage_gib * _GIB),
                "The disk is nearly full: raise max_storage_gib.",
                statistic="Minimum",
                below=True,
            ),
            Watch(
                "free-memory",
                "FreeableMemory",
                int(0.05 * memory_gib(args.instance_class) * _GIB),
                "The memory is nearly full: choose a larger instance_class, or fewer connections.",
                statistic="Average",
                below=True,
                periods=15,
            ),
        ]
    else:
        found.append(
            Watch(
                "capacity",
                "ACUUtilization",
                90,
                "It is at max_capacity: raise it, or look at Performance Insights for the slow statements.",
                statistic="Average",
                period=300,
                periods=3,
            )
        )
        if args.readers:
            found.append(
                Watch(
                    "reader-lag",
                    "AuroraReplicaLagMaximum",
                    1000,
                    "A reader is a second behind the writer.",
                    statistic="Average",
                )
            )
    return found

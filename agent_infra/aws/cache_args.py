"""What can be said about a `RedisCache`, and what ElastiCache would refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from agent_infra.aws.alarms import Alarms
from agent_infra.aws.arns import KmsKeyArn
from agent_infra.aws.log_retention import RetentionDays
from agent_infra.aws.windows import CacheBackupWindow, CacheMaintenanceWindow, check_windows
from agent_infra.component import Args, MaybeOutput, shaped

Engine = Literal["valkey", "redis"]

#: ElastiCache's versions and their parameter group families, November 2026
#: (https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/engine-versions.html). A newer one is passed on.
FAMILIES: Mapping[Engine, Mapping[str, str]] = {
    "valkey": {"7.2": "valkey7", "8.0": "valkey8", "8.1": "valkey8", "8.2": "valkey8", "9.0": "valkey9"},
    "redis": {"6.2": "redis6.x", "7.0": "redis7", "7.1": "redis7"},
}
_SIZES = r"(micro|small|medium|large|\d{0,2}xlarge)"
_NODE_TYPE = rf"cache\.(t3|t4g|m5|m6g|m7g|m8g|r5|r6g|r7g|r8g|c7gn)\.{_SIZES}"

#: What a user may do, without passwords: ElastiCache takes none here.
_RULE = r"([~&+%-]\S+|allkeys|allchannels|allcommands)"
_RULES = rf"{_RULE}( {_RULE})*"


def family(engine: Engine, version: str) -> str:
    """The parameter group family of an engine's version.

    Raises:
        ValueError: ElastiCache does not have that version.
    """
    known = FAMILIES[engine]
    if version in known:
        return known[version]
    same_major = [each for each in known if _number(each)[0] == _number(version)[0]]
    newest = (same_major or list(known))[-1]
    if engine == "valkey" and _number(version) > _number(newest):
        return f"valkey{_number(version)[0]}"
    raise ValueError(f"there is no {engine} {version} in ElastiCache; say one of {', '.join(known)}")


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _parameter_names(parameters: Mapping[str, str]) -> Mapping[str, str]:
    for name in parameters:
        if name == "cluster-enabled":
            raise ValueError("'cluster-enabled' is wrong: one shard is all that this cache has; leave it out")
        if not name.replace("-", "").isalnum() or name != name.lower():
            raise ValueError(f"{name!r} is no parameter; say names such as maxmemory-policy")
    return parameters


class ServerlessCache(Args):
    """A cache without nodes: ElastiCache follows the load, and takes money by the gigabyte and the request.

    It is always in cluster mode: commands on several keys work where they share a {hash tag}.
    """

    max_storage_gb: int = Field(default=10, ge=1, le=5000)
    """The most data; it bounds what an hour may cost. Above it, those go first that expire."""
    max_ecpu_per_second: int = Field(default=5000, ge=1000, le=15_000_000)
    """The most processing units a second, about one for a simple command of up to 1 KiB."""
    daily_snapshot_time: Annotated[
        str, shaped(r"([01]\d|2[0-3]):[0-5]\d", "a time in UTC, such as 03:00")
    ] = "03:00"


#: What only nodes have.
_OF_NODES = (
    "node_type",
    "replicas",
    "parameters",
    "snapshot_window",
    "maintenance_window",
    "restore_snapshot",
    "log_retention_days",
)


class RedisCacheOptions(Args):
    """What an environment may say about its cache."""

    engine: Engine = "valkey"
    """Valkey costs a fifth less; `redis` is what it was forked from. From `redis` to `valkey` is an upgrade
    in place; the way back makes a new cache."""
    engine_version: Annotated[str, shaped(r"\d+\.\d+", 'a version of the engine, such as "8.0"')] = "8.0"
    """The engine's version: upgraded in place, never back."""
    node_type: Annotated[
        str, shaped(_NODE_TYPE, "a node type of a current generation, such as cache.t4g.small")
    ] = "cache.t4g.small"
    """The size of each node: https://aws.amazon.com/elasticache/pricing/."""
    replicas: int = Field(default=1, ge=0, le=5)
    """Copies in other zones, each a node; with one or more, one takes over when the primary is lost."""
    serverless: ServerlessCache | None = None
    """Even {} makes a cache without nodes in place of the nodes. Changing between the two makes a new one."""
    parameters: Annotated[Mapping[str, str], AfterValidator(_parameter_names)] = {}
    """The engine's parameters, such as {maxmemory-policy: allkeys-lru}; some wait for the next restart."""
    access: Annotated[str, shaped(_RULES, "rules such as ~* &* +@all -@admin")] = (
        "~* &* +@all -@admin -@dangerous +info"
    )
    """What the cache's user may do, as Valkey's ACL rules; by default everything but administration."""
    password_version: int = Field(default=1, ge=1)
    """Raise it to draw another password: the secret and the cache change in the same `up`, and what logs in
    anew has to read the secret again."""
    snapshot_retention_days: int = Field(default=7, ge=0, le=35)
    """How many days of daily snapshots are kept; 0 takes none."""
    snapshot_window: CacheBackupWindow | None = None
    """When they are taken, such as 02:00-03:00 UTC; ElastiCache chooses where it is not said."""
    maintenance_window: CacheMaintenanceWindow | None = None
    """When ElastiCache patches, such as sun:04:00-sun:05:00 UTC."""
    restore_snapshot: str | None = None
    """The name of a snapshot that a new cache starts with; a cache that is there is never touched by it."""
    log_retention_days: RetentionDays | None = None
    """How long the engine's log and the slow commands are kept in CloudWatch; null keeps none."""
    kms_key_arn: MaybeOutput[KmsKeyArn] | None = None
    """A key of one's own for the data at rest; else AWS's, free of charge. Changing it makes a new cache."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        family(self.engine, self.engine_version)
        if self.serverless is not None and (nodes := sorted(self.model_fields_set & set(_OF_NODES))):
            raise ValueError(
                f"`serverless` has no nodes, and {', '.join(nodes)} is about nodes; leave one of the two out"
            )
        if self.serverless is not None and _number(self.engine_version)[0] < 7:
            raise ValueError(
                f"engine_version {self.engine_version} has no serverless cache; say redis 7.1 or valkey 7.2"
            )
        if self.snapshot_retention_days == 0 and self.snapshot_window is not None:
            raise ValueError(
                f"snapshot_window {self.snapshot_window} has no snapshots to take; say "
                "snapshot_retention_days 1 or more, or leave the window out"
            )
        check_windows(
            self.snapshot_window,
            self.maintenance_window,
            day_name="snapshot_window",
            week_name="maintenance_window",
        )
        return self


class RedisCacheArgs(RedisCacheOptions):
    """The arguments of `RedisCache`."""

    vpc_id: MaybeOutput[str]
    subnet_ids: Sequence[MaybeOutput[str]]
    """Isolated or private subnets in two zones or more."""
    clients: Mapping[str, MaybeOutput[str]] = {}
    """Who may connect: a name of one's choice to a security group's id."""
    alarms: Alarms | None = None
    """Even {} makes alarms on memory, CPU, evictions and replication."""
    deletion_protection: bool = True
    """Whether Pulumi refuses to delete it, and a last snapshot is taken where it is deleted all the same."""
    tags: Mapping[str, str] = {}

    @model_validator(mode="after")
    def _enough_subnets(self) -> Self:
        if len(self.subnet_ids) < 1 + min(self.replicas, 1) and self.serverless is None:
            raise ValueError(
                f"subnet_ids: {len(self.subnet_ids)} is too few for a replica in another zone; say two "
                "subnets in two zones, or replicas 0"
            )
        if self.serverless is not None and not 2 <= len(self.subnet_ids) <= 3:
            raise ValueError(
                f"subnet_ids: a serverless cache is in 2 or 3 zones, and {len(self.subnet_ids)} were said"
            )
        return self

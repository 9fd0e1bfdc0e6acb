"""An environment's data services, made or existing, and how its fleets reach them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from agent_infra.aws.artifact_store import ArtifactStore, ArtifactStoreArgs, ArtifactStoreOptions
from agent_infra.aws.cache import RedisCache
from agent_infra.aws.cache_args import RedisCacheArgs, RedisCacheOptions
from agent_infra.aws.database import Database
from agent_infra.aws.database_args import DatabaseArgs, DatabaseOptions
from agent_infra.component import Args, MaybeOutput
from agent_infra.contract import SHARE
from agent_infra.fleet import BucketConnection, CacheConnection, DatabaseConnection, Worker
from agent_infra.fleet.names import ComponentKind
from agent_infra.fleet.scaling_plan import replicas_of
from agent_infra.parts import FleetSettings
from agent_infra.settings import Settings


@dataclass(frozen=True)
class Place:
    """Where data services are made, and who may connect to them."""

    vpc_id: MaybeOutput[str]
    subnet_ids: Sequence[MaybeOutput[str]]
    clients: Mapping[str, MaybeOutput[str]]


@dataclass(frozen=True)
class Stores:
    """What was made (None: it exists already, or is left out), and the connections of both kinds."""

    cache: RedisCache | None
    database: Database | None
    storage: ArtifactStore | None
    cache_connection: CacheConnection | None
    database_connection: DatabaseConnection | None
    bucket_connection: BucketConnection | None

    @property
    def ready(self) -> list[pulumi.Resource]:
        """What a fleet has to wait for."""
        return [self.database.ready] if self.database else []


def make_stores(
    name: str, settings: Settings, place: Place | None, opts: pulumi.ResourceOptions, tags: Mapping[str, str]
) -> Stores:
    """The data services that the settings ask for; `place` may be missing where none is made."""
    plan = planned(settings, place, tags)
    to_cache = settings.cache.existing if settings.cache else None
    to_database = settings.database.existing if settings.database else None
    to_bucket = settings.storage.existing if settings.storage else None
    cache = database = storage = None
    if "cache" in plan:
        cache = RedisCache(f"{name}-cache", plan["cache"], opts)
        to_cache = CacheConnection(url=cache.url, secret_arn=cache.secret_arn)
    if "database" in plan:
        database = Database(f"{name}-database", plan["database"], opts)
        to_database = DatabaseConnection(
            url=database.url,
            secret_arn=database.secret_arn,
            secret_kms_key_arn=database.secret_kms_key_arn,
            pool_size=database.pool_size,
        )
    if "storage" in plan:
        storage = ArtifactStore(f"{name}-storage", plan["storage"], opts)
        to_bucket = BucketConnection(name=storage.bucket, arn=storage.arn, kms_key_arn=storage.kms_key_arn)
    return Stores(cache, database, storage, to_cache, to_database, to_bucket)


def planned(settings: Settings, place: Place | None, tags: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The arguments of the data services that are made, by their settings' key."""
    shared: dict[str, Any] = {
        "deletion_protection": settings.protect,
        "alarms": settings.alarms,
        "tags": tags,
    }
    placed = {**shared, **(vars(place) if place else {})}
    plan: dict[str, dict[str, Any]] = {}
    if settings.cache and settings.cache.existing is None:
        plan["cache"] = {**said(settings.cache, RedisCacheOptions), **placed}
    if settings.database and settings.database.existing is None:
        plan["database"] = {
            **said(settings.database, DatabaseOptions),
            "fleets": processes(settings),
            **placed,
        }
    if settings.storage and settings.storage.existing is None:
        plan["storage"] = {
            **said(settings.storage, ArtifactStoreOptions),
            "kms_key_arn": settings.kms_key_arn,
            **shared,
        }
    return plan


def check_stores(settings: Settings) -> None:
    """Refuses what the components would refuse, before anything of the platform is made.

    Raises:
        ArgsError: a part is impossible, such as a database that is too small for the fleets.
    """
    zones = settings.network.zones if settings.network else 2
    count = zones if isinstance(zones, int) else len(zones)
    somewhere = Place(vpc_id="vpc-0", subnet_ids=[f"subnet-{n}" for n in range(count)], clients={})
    models: dict[str, type[Args]] = {
        "cache": RedisCacheArgs,
        "database": DatabaseArgs,
        "storage": ArtifactStoreArgs,
    }
    for part, args in planned(settings, somewhere, {}).items():
        models[part].parse(args, owner=part)


def said(settings: Args, options: type[Args]) -> dict[str, Any]:
    """What the settings of a part say of its component's options."""
    return {
        name: getattr(settings, name) for name in options.model_fields if name in settings.model_fields_set
    }


def processes(settings: Settings) -> dict[str, int]:
    """The most processes that each fleet may run: its workers included, and the new pods that a rollout has
    beside the old ones."""
    return {name: _pods(fleet, "api") + _pods(fleet, "worker") for name, fleet in settings.fleets.items()}


def _pods(fleet: FleetSettings, kind: ComponentKind) -> int:
    if kind == "worker" and fleet.worker is None:
        return 0
    most = replicas_of(fleet, fleet.worker or Worker(), kind).max
    return most + math.ceil(most * int(SHARE.removesuffix("%")) / 100)

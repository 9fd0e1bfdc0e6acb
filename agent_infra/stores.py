"""An environment's data services, made or existing, and how its fleets reach them."""

from __future__ import annotations

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
from agent_infra.fleet import BucketConnection, CacheConnection, DatabaseConnection
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
    shared = {"deletion_protection": settings.protect, "tags": tags}
    placed: dict[str, Any] = {**shared, "alarms": settings.alarms, **(vars(place) if place else {})}
    cache = database = storage = None
    to_cache = to_database = to_bucket = None
    if settings.cache:
        to_cache = settings.cache.existing
        if to_cache is None:
            cache = RedisCache(
                f"{name}-cache", RedisCacheArgs(**said(settings.cache, RedisCacheOptions), **placed), opts
            )
            to_cache = CacheConnection(url=cache.url, secret_arn=cache.secret_arn)
    if settings.database:
        to_database = settings.database.existing
        if to_database is None:
            database = Database(
                f"{name}-database",
                DatabaseArgs(
                    **said(settings.database, DatabaseOptions), fleets=processes(settings), **placed
                ),
                opts,
            )
            to_database = DatabaseConnection(
                url=database.url,
                secret_arn=database.secret_arn,
                secret_kms_key_arn=database.secret_kms_key_arn,
                pool_size=database.pool_size,
            )
    if settings.storage:
        to_bucket = settings.storage.existing
        if to_bucket is None:
            storage = ArtifactStore(
                f"{name}-storage",
                ArtifactStoreArgs(
                    **said(settings.storage, ArtifactStoreOptions),
                    kms_key_arn=settings.kms_key_arn,
                    alarms=settings.alarms,
                    **shared,
                ),
                opts,
            )
            to_bucket = BucketConnection(
                name=storage.bucket, arn=storage.arn, kms_key_arn=storage.kms_key_arn
            )
    return Stores(cache, database, storage, to_cache, to_database, to_bucket)


def said(settings: Args, options: type[Args]) -> dict[str, Any]:
    """What the settings of a part say of its component's options."""
    return {name: getattr(settings, name) for name in options.model_fields}


def processes(settings: Settings) -> dict[str, int]:
    """The most processes that each fleet may run: its workers included, and during a roll-out one more of
    each kind."""
    return {
        name: fleet.replicas.max + 1 + (fleet.worker.replicas.max + 1 if fleet.worker else 0)
        for name, fleet in settings.fleets.items()
    }

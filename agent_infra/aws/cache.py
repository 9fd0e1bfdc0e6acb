"""`RedisCache`: Valkey, spoken to as Redis."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import pulumi
import pulumi_aws as aws
from pydantic import Field

from agent_infra.aws.access import security_group
from agent_infra.component import Args, Component, MaybeOutput, secret, shaped

_PORT = 6379
#: ElastiCache takes 16 to 128 characters
#: (https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth.html).
_PASSWORD_CHARACTERS = 64


class RedisCacheOptions(Args):
    """What an environment may say about its cache."""

    node_type: Annotated[
        str, shaped(r"cache\.[a-z0-9]+\.[a-z0-9]+", "a node type, such as cache.t4g.small")
    ] = "cache.t4g.small"
    """The size of each node: https://aws.amazon.com/elasticache/pricing/."""
    replicas: int = Field(default=1, ge=0, le=5)
    """Copies in other zones, each a node; with one or more, one takes over when the primary is lost."""
    engine_version: Annotated[str, shaped(r"\d+\.\d+", 'a version of Valkey, such as "8.0"')] = "8.0"
    """Valkey's version."""
    snapshot_retention_days: int = Field(default=7, ge=0, le=35)
    """How many days of daily snapshots are kept; 0 takes none."""


class RedisCacheArgs(RedisCacheOptions):
    """The arguments of `RedisCache`."""

    vpc_id: MaybeOutput[str]
    subnet_ids: Sequence[MaybeOutput[str]]
    """Isolated or private subnets in two zones or more."""
    clients: Mapping[str, MaybeOutput[str]] = {}
    """Who may connect: a name of one's choice to a security group's id."""
    deletion_protection: bool = True
    """Whether Pulumi refuses to delete it, and a last snapshot is taken where it is deleted all the same."""
    tags: Mapping[str, str] = {}


class RedisCache(Component):
    """A Valkey replication group, encrypted in transit and at rest, behind a password.

    Makes the replication group, its subnet group, a security group that lets `clients` in, and a
    Secrets Manager secret `{"password": ...}`. The password is made once; it is changed by changing
    the secret, and the next `up` brings it to the cache.

    Raises:
        ArgsError: an argument is wrong.
    """

    url: pulumi.Output[str]
    """`rediss://host:6379/0`, without the password."""
    secret_arn: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    security_group_id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: RedisCacheArgs | Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        args = RedisCacheArgs.parse(args, owner=f"RedisCache {name!r}")
        super().__init__("RedisCache", name, opts, tags=args.tags)
        group = security_group(self, vpc_id=args.vpc_id, port=_PORT, clients=args.clients, service="Redis")
        subnets = aws.elasticache.SubnetGroup(
            name,
            description=f"Where {name} may be",
            subnet_ids=list(args.subnet_ids),
            tags=self._tags(name),
            opts=self._opts(),
        )
        kept, password = self._password(recoverable=args.deletion_protection)
        cache = aws.elasticache.ReplicationGroup(
            name,
            description=f"{name}: sessions and rate limits of the agents",
            engine="valkey",
            engine_version=args.engine_version,
            node_type=args.node_type,
            num_cache_clusters=1 + args.replicas,
            automatic_failover_enabled=args.replicas > 0,
            multi_az_enabled=args.replicas > 0,
            subnet_group_name=subnets.name,
            security_group_ids=[group.id],
            at_rest_encryption_enabled=True,
            transit_encryption_enabled=True,
            auth_token=password,
            snapshot_retention_limit=args.snapshot_retention_days,
            final_snapshot_identifier=f"{name}-{pulumi.get_stack()}-final"
            if args.deletion_protection
            else None,
            apply_immediately=True,
            tags=self._tags(name),
            opts=self._opts(protect=args.deletion_protection),
        )

        self.endpoint = cache.primary_endpoint_address
        self.url = pulumi.Output.concat(
            "rediss://", self.endpoint, ":", cache.port.apply(lambda port: str(port or _PORT)), "/0"
        )
        self.secret_arn = kept.arn
        self.security_group_id = group.id
        self.register_outputs(
            {
                "url": self.url,
                "secretArn": self.secret_arn,
                "endpoint": self.endpoint,
                "securityGroupId": self.security_group_id,
            }
        )

    def _password(self, *, recoverable: bool) -> tuple[aws.secretsmanager.Secret, pulumi.Output[str]]:
        name = f"{self._name}-password"
        fresh = aws.secretsmanager.get_random_password_output(
            password_length=_PASSWORD_CHARACTERS,
            exclude_punctuation=True,
            opts=pulumi.InvokeOutputOptions(parent=self),
        )
        kept = aws.secretsmanager.Secret(
            name,
            description=f"The password of {self._name}",
            recovery_window_in_days=30 if recoverable else 0,
            tags=self._tags(name),
            opts=self._opts(),
        )
        version = aws.secretsmanager.SecretVersion(
            name,
            secret_id=kept.id,
            secret_string=secret(
                fresh.random_password.apply(lambda password: json.dumps({"password": password}))
            ),
            # Every run draws a new password; the one that was stored first stays.
            opts=self._opts(ignore_changes=["secretString"]),
        )
        stored: pulumi.Output[str] = secret(
            version.secret_string.apply(lambda text: str(json.loads(text)["password"]) if text else "")
        )
        return kept, stored

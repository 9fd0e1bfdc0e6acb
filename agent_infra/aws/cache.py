"""`RedisCache`: Valkey, spoken to as Redis."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from agent_infra.aws import cache_alarms
from agent_infra.aws.access import security_group
from agent_infra.aws.alarms import watch
from agent_infra.aws.cache_args import RedisCacheArgs, ServerlessCache, family
from agent_infra.component import ArgsError, Component, Problem, secret

_PORT = 6379
#: ElastiCache takes 16 to 128 characters
#: (https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/Clusters.RBAC.html).
_PASSWORD_CHARACTERS = 64
#: ElastiCache's names have 40 characters: Pulumi puts a dash and seven random ones behind a group's, and
#: users and their group are called by the name, the stack and what they are.
_NAME_CHARACTERS, _STACK_NAME_CHARACTERS = 32, 33


class RedisCache(Component):
    """A Valkey replication group, encrypted in transit and at rest, whose one user has a password.

    Makes the replication group (or the serverless cache), its subnet and parameter groups, its user in
    a user group, a security group that lets `clients` in, and a Secrets Manager secret
    `{"password": ...}`. The password is made once; another `password_version` draws another one, for the
    secret and the cache alike. The user is called `default`, so that clients need the password alone.

    Raises:
        ArgsError: an argument is wrong.
    """

    url: pulumi.Output[str]
    """`rediss://host:6379/0`, without the password."""
    secret_arn: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    reader_endpoint: pulumi.Output[str]
    """Where replicas answer reads, a moment behind; the primary's where there are none."""
    security_group_id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: RedisCacheArgs | Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        owner = f"RedisCache {name!r}"
        self._args = args = RedisCacheArgs.parse(args, owner=owner)
        _check_name(name, pulumi.get_stack(), owner)
        super().__init__("RedisCache", name, opts, tags=args.tags)
        self._stack_name = f"{name}-{pulumi.get_stack()}"
        # ElastiCache keeps names in lower case, and knows no dots and underscores.
        self._id = re.sub(r"[^a-z0-9]+", "-", self._stack_name.lower())
        group = security_group(self, vpc_id=args.vpc_id, port=_PORT, clients=args.clients, service="Redis")
        kept, password = self._password(recoverable=args.deletion_protection)
        users = self._users(password)
        if args.serverless is None:
            port = self._nodes(group, users)
        else:
            port = self._serverless(args.serverless, group, users)

        self.url = pulumi.Output.concat(
            "rediss://", self.endpoint, ":", port.apply(lambda number: str(number or _PORT)), "/0"
        )
        self.secret_arn = kept.arn
        self.security_group_id = group.id
        self.register_outputs(
            {
                "url": self.url,
                "secretArn": self.secret_arn,
                "endpoint": self.endpoint,
                "readerEndpoint": self.reader_endpoint,
                "securityGroupId": self.security_group_id,
            }
        )

    def _users(self, password: pulumi.Output[str]) -> aws.elasticache.UserGroup:
        """The one user, in a group that the cache asks who may log in."""
        user = aws.elasticache.User(
            f"{self._name}-user",
            user_id=f"{self._id}-user",
            # In place of the one without a password that every user group would else have.
            user_name="default",
            engine=self._args.engine,
            access_string=f"on {self._args.access}",
            passwords=password.apply(lambda text: [text]),
            tags=self._tags(f"{self._name}-user"),
            opts=self._opts(),
        )
        return aws.elasticache.UserGroup(
            f"{self._name}-users",
            user_group_id=f"{self._id}-users",
            engine=self._args.engine,
            user_ids=[user.user_id],
            tags=self._tags(f"{self._name}-users"),
            opts=self._opts(),
        )

    def _nodes(
        self, group: aws.ec2.SecurityGroup, users: aws.elasticache.UserGroup
    ) -> pulumi.Output[int | None]:
        name, args = self._name, self._args
        subnets = aws.elasticache.SubnetGroup(
            name,
            description=f"Where {name} may be",
            subnet_ids=list(args.subnet_ids),
            tags=self._tags(name),
            opts=self._opts(),
        )
        needed = family(args.engine, args.engine_version)
        # A family a group: an upgrade makes the new group first.
        parameters_name = f"{name}-{needed.replace('.', '-')}"
        parameters = aws.elasticache.ParameterGroup(
            parameters_name,
            family=needed,
            description=f"{name}: {needed}",
            parameters=[{"name": key, "value": value} for key, value in sorted(args.parameters.items())],
            tags=self._tags(parameters_name),
            opts=self._opts(),
        )
        cache = aws.elasticache.ReplicationGroup(
            name,
            description=f"{name}: sessions and rate limits of the agents",
            engine=args.engine,
            engine_version=args.engine_version,
            node_type=args.node_type,
            num_cache_clusters=1 + args.replicas,
            automatic_failover_enabled=args.replicas > 0,
            multi_az_enabled=args.replicas > 0,
            subnet_group_name=subnets.name,
            parameter_group_name=parameters.name,
            security_group_ids=[group.id],
            at_rest_encryption_enabled=True,
            kms_key_id=args.kms_key_arn,
            transit_encryption_enabled=True,
            user_group_ids=[users.user_group_id],
            # A cache that had a password without a user gives it up for the user in the same change.
            auth_token_update_strategy="DELETE",  # noqa: S106 - no token
            snapshot_retention_limit=args.snapshot_retention_days,
            snapshot_window=args.snapshot_window,
            snapshot_name=args.restore_snapshot,
            final_snapshot_identifier=f"{self._id}-final" if args.deletion_protection else None,
            maintenance_window=args.maintenance_window,
            log_delivery_configurations=self._logs(),
            auto_minor_version_upgrade=True,
            apply_immediately=True,
            tags=self._tags(name),
            # What it was restored from matters once.
            opts=self._opts(protect=args.deletion_protection, ignore_changes=["snapshotName"]),
        )
        self.endpoint = cache.primary_endpoint_address
        self.reader_endpoint = (
            cache.reader_endpoint_address if args.replicas else cache.primary_endpoint_address
        )
        for node in range(1, 2 + args.replicas):
            watch(
                self,
                [*cache_alarms.node(args.node_type), *([cache_alarms.REPLICA] if args.replicas else [])],
                alarms=args.alarms,
                namespace="AWS/ElastiCache",
                dimensions={"CacheClusterId": pulumi.Output.concat(cache.id, f"-{node:03}")},
                suffix=f"-{node}",
            )
        return cache.port

    def _logs(self) -> list[Any] | None:
        """Where the engine's log and its slow commands go."""
        if self._args.log_retention_days is None:
            return None
        deliveries = []
        for kind in ("engine-log", "slow-log"):
            name = f"{self._name}-{kind}"
            log = aws.cloudwatch.LogGroup(
                name,
                retention_in_days=self._args.log_retention_days,
                tags=self._tags(name),
                opts=self._opts(),
            )
            deliveries.append(
                {
                    "destination": log.name,
                    "destination_type": "cloudwatch-logs",
                    "log_format": "json",
                    "log_type": kind,
                }
            )
        return deliveries

    def _serverless(
        self,
        serverless: ServerlessCache,
        group: aws.ec2.SecurityGroup,
        users: aws.elasticache.UserGroup,
    ) -> pulumi.Output[int | None]:
        args = self._args
        limits: Any = {
            "data_storage": {"maximum": serverless.max_storage_gb, "unit": "GB"},
            "ecpu_per_seconds": [{"maximum": serverless.max_ecpu_per_second}],
        }
        cache = aws.elasticache.ServerlessCache(
            f"{self._name}-serverless",
            name=self._id,
            description=f"{self._name}: sessions and rate limits of the agents",
            engine=args.engine,
            major_engine_version=args.engine_version.partition(".")[0],
            cache_usage_limits=limits,
            subnet_ids=list(args.subnet_ids),
            security_group_ids=[group.id],
            user_group_id=users.user_group_id,
            kms_key_id=args.kms_key_arn,
            snapshot_retention_limit=args.snapshot_retention_days,
            daily_snapshot_time=serverless.daily_snapshot_time if args.snapshot_retention_days else None,
            tags=self._tags(f"{self._name}-serverless"),
            opts=self._opts(protect=args.deletion_protection),
        )
        first = cache.endpoints.apply(lambda found: found[0] if found else None)
        self.endpoint = first.apply(lambda found: found.address if found else "")
        self.reader_endpoint = self.endpoint
        watch(
            self,
            cache_alarms.serverless(serverless.max_storage_gb),
            alarms=args.alarms,
            namespace="AWS/ElastiCache",
            dimensions={"clusterName": cache.name},
        )
        return first.apply(lambda found: found.port if found else None)

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
        number = self._args.password_version
        version = aws.secretsmanager.SecretVersion(
            name if number == 1 else f"{name}-{number}",
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


def _check_name(name: str, stack: str, owner: str) -> None:
    fits = len(name) <= _NAME_CHARACTERS and len(f"{name}-{stack}") <= _STACK_NAME_CHARACTERS
    if fits and re.fullmatch(r"[a-zA-Z](-?[a-zA-Z0-9])*", name):
        return
    problem = (
        f"{name!r} is wrong: ElastiCache takes letters, digits and single dashes, a letter first and no "
        f"dash last, up to {_NAME_CHARACTERS} characters, and up to {_STACK_NAME_CHARACTERS} with a dash "
        f"and the stack's name ({stack!r}); choose another one"
    )
    raise ArgsError(owner, [Problem("name", problem)])

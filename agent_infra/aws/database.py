"""`Database`: Postgres, as Aurora Serverless or as one instance with a standby."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

import pulumi
import pulumi_aws as aws
from pydantic import Field, model_validator

from agent_infra.aws.access import security_group
from agent_infra.component import Args, Component, MaybeOutput, shaped

_PORT = 5432
_USERNAME = "agents_admin"
#: Idle seconds until Aurora pauses; five minutes is the shortest that it takes
#: (https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2-auto-pause.html).
_PAUSE_SECONDS = 300


class DatabaseOptions(Args):
    """What an environment may say about its database."""

    mode: Literal["aurora-serverless", "instance"] = "instance"
    """`aurora-serverless` follows the load and may pause; `instance` has a fixed size and price."""
    engine_version: Annotated[str, shaped(r"\d+(\.\d+)?", 'a version of Postgres, such as "16"')] = "16"
    """Postgres' version; with a major one alone, AWS chooses the minor one and keeps it up to date."""
    min_capacity: float = Field(default=0, ge=0, le=256, multiple_of=0.5)
    """aurora-serverless: the least capacity units (about 2 GiB each); 0 pauses after five idle minutes
    and takes about 15 seconds to wake."""
    max_capacity: float = Field(default=4, ge=1, le=256, multiple_of=0.5)
    """aurora-serverless: the most capacity units; it bounds what an hour may cost."""
    instance_class: Annotated[
        str, shaped(r"db\.[a-z0-9-]+\.[a-z0-9]+", "an instance class, such as db.t4g.medium")
    ] = "db.t4g.medium"
    """instance: its size: https://aws.amazon.com/rds/postgresql/pricing/."""
    multi_az: bool = True
    """instance: a standby in another zone, which takes over by itself and doubles the price."""
    storage_gib: int = Field(default=20, ge=20, le=65536)
    """instance: the disk at first."""
    max_storage_gib: int = Field(default=200, ge=22, le=65536)
    """instance: how far the disk may grow by itself."""
    backup_retention_days: int = Field(default=14, ge=1, le=35)
    """How far back it can be restored to any second."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_capacity > self.max_capacity:
            raise ValueError(
                f"min_capacity {self.min_capacity:g} is above max_capacity {self.max_capacity:g}; lower it"
            )
        # RDS refuses a ceiling that is less than a tenth above the disk.
        if self.mode == "instance" and self.max_storage_gib < 1.1 * self.storage_gib:
            raise ValueError(
                f"max_storage_gib {self.max_storage_gib} is too close to storage_gib {self.storage_gib}; "
                f"say {-(-self.storage_gib * 11 // 10)} or more"
            )
        return self


class DatabaseArgs(DatabaseOptions):
    """The arguments of `Database`."""

    vpc_id: MaybeOutput[str]
    subnet_ids: Sequence[MaybeOutput[str]]
    """Isolated or private subnets in two zones or more."""
    clients: Mapping[str, MaybeOutput[str]] = {}
    """Who may connect: a name of one's choice to a security group's id."""
    database_name: Annotated[
        str, shaped(r"[a-z][a-z0-9_]{0,62}", "lower-case letters, digits and underscores, a letter first")
    ] = "agents"
    deletion_protection: bool = True
    """Whether AWS refuses to delete it, and a last snapshot is taken where it is deleted all the same."""
    tags: Mapping[str, str] = {}


class Database(Component):
    """A Postgres database, encrypted, backed up, reached over TLS alone.

    Makes the cluster or instance, its parameter and subnet groups, and a security group that lets
    `clients` in. AWS makes, keeps and rotates the password, in a secret of its own.

    Raises:
        ArgsError: an argument is wrong.
    """

    url: pulumi.Output[str]
    """`postgresql://host:port/database?sslmode=require`, without user and password."""
    secret_arn: pulumi.Output[str]
    """AWS's secret `{"username": ..., "password": ...}`."""
    endpoint: pulumi.Output[str]
    security_group_id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: DatabaseArgs | Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        self._args = args = DatabaseArgs.parse(args, owner=f"Database {name!r}")
        super().__init__("Database", name, opts, tags=args.tags)
        group = security_group(self, vpc_id=args.vpc_id, port=_PORT, clients=args.clients, service="Postgres")
        subnets = aws.rds.SubnetGroup(
            name,
            description=f"Where {name} may be",
            subnet_ids=list(args.subnet_ids),
            tags=self._tags(name),
            opts=self._opts(),
        )
        make = self._aurora if args.mode == "aurora-serverless" else self._instance
        server = make(group, subnets)

        self.endpoint = server.endpoint if isinstance(server, aws.rds.Cluster) else server.address
        self.url = pulumi.Output.concat(
            "postgresql://",
            self.endpoint,
            ":",
            server.port.apply(str),
            f"/{args.database_name}?sslmode=require",
        )
        self.secret_arn = server.master_user_secrets.apply(
            lambda secrets: (secrets[0].secret_arn or "") if secrets else ""
        )
        self.security_group_id = group.id
        self.register_outputs(
            {
                "url": self.url,
                "secretArn": self.secret_arn,
                "endpoint": self.endpoint,
                "securityGroupId": self.security_group_id,
            }
        )

    @property
    def _major(self) -> str:
        return self._args.engine_version.partition(".")[0]

    def _ending(self) -> dict[str, Any]:
        """What happens when it is deleted."""
        protected = self._args.deletion_protection
        return {
            "deletion_protection": protected,
            "skip_final_snapshot": not protected,
            "final_snapshot_identifier": f"{self._name}-{pulumi.get_stack()}-final" if protected else None,
        }

    def _aurora(self, group: aws.ec2.SecurityGroup, subnets: aws.rds.SubnetGroup) -> aws.rds.Cluster:
        name, args = self._name, self._args
        parameters = aws.rds.ClusterParameterGroup(
            name,
            family=f"aurora-postgresql{self._major}",
            description=f"{name}: TLS alone",
            parameters=[{"name": "rds.force_ssl", "value": "1"}],
            tags=self._tags(name),
            opts=self._opts(),
        )
        pause = {"seconds_until_auto_pause": _PAUSE_SECONDS} if args.min_capacity == 0 else {}
        scaling: Any = {"min_capacity": args.min_capacity, "max_capacity": args.max_capacity, **pause}
        cluster = aws.rds.Cluster(
            name,
            engine="aurora-postgresql",
            engine_mode="provisioned",
            engine_version=args.engine_version,
            database_name=args.database_name,
            master_username=_USERNAME,
            manage_master_user_password=True,
            serverlessv2_scaling_configuration=scaling,
            db_subnet_group_name=subnets.name,
            db_cluster_parameter_group_name=parameters.name,
            vpc_security_group_ids=[group.id],
            storage_encrypted=True,
            backup_retention_period=args.backup_retention_days,
            copy_tags_to_snapshot=True,
            enabled_cloudwatch_logs_exports=["postgresql"],
            tags=self._tags(name),
            opts=self._opts(),
            **self._ending(),
        )
        instance_name = f"{name}-0"
        writer = aws.rds.ClusterInstance(
            instance_name,
            cluster_identifier=cluster.id,
            engine=aws.rds.EngineType.AURORA_POSTGRESQL,
            engine_version=cluster.engine_version,
            instance_class="db.serverless",
            publicly_accessible=False,
            tags=self._tags(instance_name),
            opts=self._opts(),
        )
        self._ready: pulumi.Resource = writer
        return cluster

    def _instance(self, group: aws.ec2.SecurityGroup, subnets: aws.rds.SubnetGroup) -> aws.rds.Instance:
        name, args = self._name, self._args
        parameters = aws.rds.ParameterGroup(
            name,
            family=f"postgres{self._major}",
            description=f"{name}: TLS alone",
            parameters=[{"name": "rds.force_ssl", "value": "1"}],
            tags=self._tags(name),
            opts=self._opts(),
        )
        instance = aws.rds.Instance(
            name,
            engine="postgres",
            engine_version=args.engine_version,
            instance_class=args.instance_class,
            db_name=args.database_name,
            username=_USERNAME,
            manage_master_user_password=True,
            multi_az=args.multi_az,
            allocated_storage=args.storage_gib,
            max_allocated_storage=args.max_storage_gib,
            storage_type="gp3",
            storage_encrypted=True,
            db_subnet_group_name=subnets.name,
            parameter_group_name=parameters.name,
            vpc_security_group_ids=[group.id],
            publicly_accessible=False,
            backup_retention_period=args.backup_retention_days,
            copy_tags_to_snapshot=True,
            auto_minor_version_upgrade=True,
            enabled_cloudwatch_logs_exports=["postgresql", "upgrade"],
            tags=self._tags(name),
            opts=self._opts(),
            **self._ending(),
        )
        self._ready = instance
        return instance

    @property
    def ready(self) -> pulumi.Resource:
        """What to depend on for a database that answers: an Aurora cluster alone has no server yet."""
        return self._ready

"""`Database`: Postgres, as Aurora Serverless or as one instance with a standby."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from agent_infra.aws import policies
from agent_infra.aws.access import security_group
from agent_infra.aws.alarms import watch
from agent_infra.aws.database_alarms import watches
from agent_infra.aws.database_args import DatabaseArgs
from agent_infra.aws.database_parameters import parameter_list
from agent_infra.aws.database_proxy import make_proxy
from agent_infra.component import ArgsError, Component, MaybeOutput, Problem

_PORT = 5432
_USERNAME = "agents_admin"
#: IAM takes 64 for the monitoring role: the name, `-monitoring`, and eight characters of Pulumi's.
_NAME_CHARACTERS = 45
#: Idle seconds until Aurora pauses; five minutes is the shortest that it takes
#: (https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2-auto-pause.html).
_PAUSE_SECONDS = 300


class Database(Component):
    """A Postgres database, encrypted, backed up, reached over TLS alone.

    Makes the cluster or instance, its parameter and subnet groups, a security group that lets
    `clients` in, and what `proxy`, `monitoring_seconds` and `alarms` ask for. AWS makes, keeps and, once
    a week, rotates the password, in a secret of its own.

    Raises:
        ArgsError: an argument is wrong.
    """

    url: pulumi.Output[str]
    """`postgresql://host:port/database?sslmode=require`, without user and password."""
    secret_arn: pulumi.Output[str]
    """AWS's secret `{"username": ..., "password": ...}`."""
    secret_kms_key_arn: MaybeOutput[str] | None
    """The key that encrypts the secret, where it is one of one's own."""
    endpoint: pulumi.Output[str]
    reader_endpoint: pulumi.Output[str]
    """Where Aurora's readers answer; the same as `endpoint` where there are none."""
    security_group_id: pulumi.Output[str]
    pool_size: int
    """How many connections each process of the fleets may keep; 0: none between uses."""

    def __init__(
        self,
        name: str,
        args: DatabaseArgs | Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        owner = f"Database {name!r}"
        self._args = args = DatabaseArgs.parse(args, owner=owner)
        _check_name(name, owner)
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
        self.secret_arn = server.master_user_secrets.apply(
            lambda secrets: (secrets[0].secret_arn or "") if secrets else ""
        )
        self.secret_kms_key_arn = args.secret_kms_key_arn
        if isinstance(server, aws.rds.Cluster):
            self.endpoint, self.reader_endpoint = server.endpoint, server.reader_endpoint
            target = {"db_cluster_identifier": server.cluster_identifier}
            dimensions = {"DBClusterIdentifier": server.cluster_identifier}
        else:
            self.endpoint = self.reader_endpoint = server.address
            target = {"db_instance_identifier": server.identifier}
            dimensions = {"DBInstanceIdentifier": server.identifier}
        if args.proxy is not None:
            self.endpoint = make_proxy(
                self,
                args,
                args.proxy,
                port=_PORT,
                secret_arn=self.secret_arn,
                database_group=group,
                target=target,
                ready=self._ready,
            )
        watch(self, watches(args), alarms=args.alarms, namespace="AWS/RDS", dimensions=dimensions)
        self.url = pulumi.Output.concat(
            "postgresql://",
            self.endpoint,
            ":",
            server.port.apply(str),
            f"/{args.database_name}?sslmode=require",
        )
        self.security_group_id = group.id
        self.pool_size = args.pool
        self.register_outputs(
            {
                "url": self.url,
                "secretArn": self.secret_arn,
                "endpoint": self.endpoint,
                "readerEndpoint": self.reader_endpoint,
                "securityGroupId": self.security_group_id,
                "poolSize": self.pool_size,
            }
        )

    @property
    def ready(self) -> pulumi.Resource:
        """What to depend on for a database that answers: an Aurora cluster alone has no server yet."""
        return self._ready

    def _ending(self) -> dict[str, Any]:
        """What happens when it is deleted."""
        protected = self._args.deletion_protection
        return {
            "deletion_protection": protected,
            "delete_automated_backups": not protected,
            "skip_final_snapshot": not protected,
            "final_snapshot_identifier": _snapshot_name(self._name) if protected else None,
        }

    def _shared(self) -> dict[str, Any]:
        """What clusters and instances call by the same name."""
        args = self._args
        return {
            "engine_version": args.engine_version,
            "allow_major_version_upgrade": args.allow_major_upgrade,
            "manage_master_user_password": True,
            "master_user_secret_kms_key_id": args.secret_kms_key_arn,
            "iam_database_authentication_enabled": True,
            "storage_encrypted": True,
            "kms_key_id": args.kms_key_arn,
            "backup_retention_period": args.backup_retention_days,
            "copy_tags_to_snapshot": True,
            "apply_immediately": True,
            "tags": self._tags(self._name),
            # What it was restored from matters once.
            "opts": self._opts(
                protect=args.deletion_protection,
                ignore_changes=["snapshotIdentifier", "restoreToPointInTime"],
            ),
            **self._ending(),
        }

    def _insights(self) -> dict[str, Any]:
        """What is recorded of a server: what statements waited for, and how its machine is."""
        args = self._args
        days = args.performance_insights_days
        said: dict[str, Any] = {"performance_insights_enabled": days is not None}
        if days is not None:
            said["performance_insights_retention_period"] = days
        if args.monitoring_seconds:
            said["monitoring_interval"] = args.monitoring_seconds
            said["monitoring_role_arn"] = self._monitoring_role()
        return said

    def _monitoring_role(self) -> pulumi.Output[str]:
        name = f"{self._name}-monitoring"
        partition = aws.get_partition_output(opts=pulumi.InvokeOutputOptions(parent=self)).partition
        role = aws.iam.Role(
            name,
            assume_role_policy=policies.assumed_by("monitoring.rds.amazonaws.com"),
            tags=self._tags(name),
            opts=self._opts(),
        )
        attached = aws.iam.RolePolicyAttachment(
            name,
            role=role.name,
            policy_arn=pulumi.Output.concat(
                "arn:", partition, ":iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
            ),
            opts=self._opts(),
        )
        # RDS refuses the role until it may write.
        return pulumi.Output.all(role.arn, attached.id).apply(lambda both: str(both[0]))

    def _aurora(self, group: aws.ec2.SecurityGroup, subnets: aws.rds.SubnetGroup) -> aws.rds.Cluster:
        name, args = self._name, self._args
        parameters = aws.rds.ClusterParameterGroup(
            name,
            family=f"aurora-postgresql{args.major}",
            description=f"{name}: TLS alone",
            parameters=parameter_list(args.parameters),
            tags=self._tags(name),
            opts=self._opts(),
        )
        pause = {"seconds_until_auto_pause": _PAUSE_SECONDS} if args.min_capacity == 0 else {}
        scaling: Any = {"min_capacity": args.min_capacity, "max_capacity": args.max_capacity, **pause}
        cluster = aws.rds.Cluster(
            name,
            engine="aurora-postgresql",
            engine_mode="provisioned",
            database_name=args.database_name,
            master_username=_USERNAME,
            serverlessv2_scaling_configuration=scaling,
            db_subnet_group_name=subnets.name,
            db_cluster_parameter_group_name=parameters.name,
            vpc_security_group_ids=[group.id],
            preferred_backup_window=args.backup_window,
            preferred_maintenance_window=args.maintenance_window,
            enabled_cloudwatch_logs_exports=["postgresql"],
            **self._restored("cluster"),
            **self._shared(),
        )
        insights = self._insights()
        servers = [self._server(index, cluster, insights) for index in range(1 + args.readers)]
        self._ready: pulumi.Resource = servers[0]
        return cluster

    def _server(self, index: int, cluster: aws.rds.Cluster, insights: Any) -> aws.rds.ClusterInstance:
        name = f"{self._name}-{index}"
        return aws.rds.ClusterInstance(
            name,
            cluster_identifier=cluster.id,
            engine=aws.rds.EngineType.AURORA_POSTGRESQL,
            engine_version=cluster.engine_version,
            instance_class="db.serverless",
            publicly_accessible=False,
            auto_minor_version_upgrade=True,
            tags=self._tags(name),
            opts=self._opts(protect=self._args.deletion_protection),
            **insights,
        )

    def _instance(self, group: aws.ec2.SecurityGroup, subnets: aws.rds.SubnetGroup) -> aws.rds.Instance:
        name, args = self._name, self._args
        parameters = aws.rds.ParameterGroup(
            name,
            family=f"postgres{args.major}",
            description=f"{name}: TLS alone",
            parameters=parameter_list(args.parameters),
            tags=self._tags(name),
            opts=self._opts(),
        )
        instance = aws.rds.Instance(
            name,
            engine="postgres",
            instance_class=args.instance_class,
            db_name=args.database_name,
            username=_USERNAME,
            multi_az=args.multi_az,
            allocated_storage=args.storage_gib,
            max_allocated_storage=args.max_storage_gib,
            storage_type=args.storage_type,
            iops=args.iops,
            db_subnet_group_name=subnets.name,
            parameter_group_name=parameters.name,
            vpc_security_group_ids=[group.id],
            publicly_accessible=False,
            backup_window=args.backup_window,
            maintenance_window=args.maintenance_window,
            auto_minor_version_upgrade=True,
            enabled_cloudwatch_logs_exports=["postgresql", "upgrade"],
            **self._restored("instance"),
            **self._insights(),
            **self._shared(),
        )
        self._ready = instance
        return instance

    def _restored(self, kind: str) -> dict[str, Any]:
        """What a new database starts with."""
        restore = self._args.restore
        if restore is None:
            return {}
        if restore.snapshot is not None:
            return {"snapshot_identifier": restore.snapshot}
        source = "source_cluster_identifier" if kind == "cluster" else "source_db_instance_identifier"
        moment: dict[str, Any] = {"use_latest_restorable_time": True}
        if restore.at != "latest":
            moment = {"restore_to_time" if kind == "cluster" else "restore_time": restore.at}
        return {"restore_to_point_in_time": {source: restore.source, **moment}}


def _snapshot_name(name: str) -> str:
    """RDS takes letters, digits and single dashes; a stack's name may hold more."""
    return re.sub(r"[^a-zA-Z0-9]+", "-", f"{name}-{pulumi.get_stack()}-final")


def _check_name(name: str, owner: str) -> None:
    if re.fullmatch(r"[a-zA-Z](-?[a-zA-Z0-9])*", name) and len(name) <= _NAME_CHARACTERS:
        return
    problem = (
        f"{name!r} is wrong: RDS takes letters, digits and single dashes, a letter first and no dash last, "
        f"up to {_NAME_CHARACTERS} characters here (Pulumi adds eight); choose another one"
    )
    raise ArgsError(owner, [Problem("name", problem)])

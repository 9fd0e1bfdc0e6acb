"""What can be said about a `Database`, and what RDS would refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from agent_infra.aws import database_limits
from agent_infra.aws.alarms import Alarms
from agent_infra.aws.arns import KmsKeyArn
from agent_infra.aws.windows import DatabaseBackupWindow, DatabaseMaintenanceWindow, check_windows
from agent_infra.component import Args, MaybeOutput, shaped

#: The oldest and newest majors that RDS knows, November 2026
#: (https://docs.aws.amazon.com/AmazonRDS/latest/PostgreSQLReleaseNotes/postgresql-release-calendar.html);
#: a newer one is passed on.
OLDEST_MAJOR = 13
#: The first minor versions of Aurora that can pause
#: (https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2-auto-pause.html).
_FIRST_TO_PAUSE = {13: 15, 14: 12, 15: 7, 16: 3}
#: What RDS keeps of Performance Insights: a week for nothing, else months of 31 days, or two years.
_INSIGHT_DAYS = (7, *(31 * months for months in range(1, 24)), 731)
#: From here on gp3 is striped and takes a rate of its own.
_GP3_STRIPED_GIB, _GP3_STRIPED_IOPS = 400, (12_000, 64_000)
_IO2_LEAST_GIB, _IO2_IOPS = 100, (1_000, 256_000)
_SECONDS = (0, 1, 5, 10, 15, 30, 60)


def _instance_class(text: str) -> str:
    database_limits.memory_gib(text)
    return text


def _insight_days(days: int | None) -> int | None:
    if days is not None and days not in _INSIGHT_DAYS:
        raise ValueError("say 7 (free), a multiple of 31 up to 713, or 731")
    return days


def _seconds(seconds: int) -> int:
    if seconds not in _SECONDS:
        raise ValueError(f"say one of {', '.join(map(str, _SECONDS))}; 0 is none")
    return seconds


class Proxy(Args):
    """RDS Proxy between the fleets and the database: many clients share few connections, and a fail-over
    is shorter. About 11 USD a month for each virtual processor, two at least. Prepared statements pin a
    client to a connection, which undoes the sharing."""

    max_connections_percent: int = Field(default=90, ge=1, le=100)
    """The share of the database's connections that the proxy may use."""
    idle_client_seconds: int = Field(default=1800, ge=1, le=28_800)
    """When a client that says nothing is disconnected."""


class Restore(Args):
    """What a *new* database starts with; one that is there is never touched by it."""

    snapshot: str | None = None
    """A snapshot's name or ARN."""
    source: str | None = None
    """Another database's identifier, to be brought back as it was at a moment."""
    at: Annotated[
        str,
        shaped(
            r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z|latest", "a moment such as 2026-11-23T08:30:00Z, or latest"
        ),
    ] = "latest"

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.snapshot is None) == (self.source is None):
            raise ValueError("say either `snapshot` or `source`")
        if self.snapshot is not None and self.at != "latest":
            raise ValueError(f"at {self.at} is for a `source`; a `snapshot` is of one moment only")
        return self


class DatabaseOptions(Args):
    """What an environment may say about its database."""

    mode: Literal["aurora-serverless", "instance"] = "instance"
    """`aurora-serverless` follows the load and may pause; `instance` has a fixed size and price."""
    engine_version: Annotated[str, shaped(r"\d+(\.\d+)?", 'a version of Postgres, such as "16"')] = "16"
    """Postgres' version; with a major one alone, AWS chooses the minor one and keeps it up to date."""
    allow_major_upgrade: bool = False
    """Whether a new major `engine_version` may be put in place: minutes without a database, no way back."""
    min_capacity: float = Field(default=0, ge=0, le=256, multiple_of=0.5)
    """aurora-serverless: the least capacity units (about 2 GiB each); 0 pauses after five idle minutes
    and takes about 15 seconds to wake."""
    max_capacity: float = Field(default=4, ge=1, le=256, multiple_of=0.5)
    """aurora-serverless: the most capacity units; it bounds what an hour may cost."""
    readers: int = Field(default=0, ge=0, le=15)
    """aurora-serverless: further servers in other zones; with one, the loss of a zone costs seconds."""
    instance_class: Annotated[str, AfterValidator(_instance_class)] = "db.t4g.medium"
    """instance: its size: https://aws.amazon.com/rds/postgresql/pricing/."""
    multi_az: bool = True
    """instance: a standby in another zone, which takes over by itself and doubles the price."""
    storage_gib: int = Field(default=20, ge=20, le=65536)
    """instance: the disk at first."""
    max_storage_gib: int = Field(default=200, ge=22, le=65536)
    """instance: how far the disk may grow by itself."""
    storage_type: Literal["gp3", "io2"] = "gp3"
    """instance: the kind of disk; io2 is for a steady load that needs its answer within a millisecond."""
    iops: int | None = None
    """instance: the disk's operations a second; gp3 has 3,000 for nothing, and 12,000 from 400 GiB on."""
    backup_retention_days: int = Field(default=14, ge=1, le=35)
    """How far back it can be restored to any second."""
    backup_window: DatabaseBackupWindow | None = None
    """When the daily snapshot is taken, such as 02:00-02:30 UTC; RDS chooses where it is not said."""
    maintenance_window: DatabaseMaintenanceWindow | None = None
    """When RDS patches, such as sun:04:00-sun:04:30 UTC."""
    parameters: Mapping[str, str] = {}
    """Postgres' parameters, such as {log_min_duration_statement: "1000"}; some wait for the next restart."""
    performance_insights_days: Annotated[int | None, AfterValidator(_insight_days)] = 7
    """How long what the database waited for is kept; a week is free, null keeps nothing."""
    monitoring_seconds: Annotated[int, AfterValidator(_seconds)] = 60
    """How often the machine below is measured; 0 is never."""
    proxy: Proxy | None = None
    """Even {} puts an RDS Proxy in front."""
    pool_size: int | None = Field(default=None, ge=0, le=100)
    """The connections that each process of the fleets may keep; computed where it is not said. 0 keeps none
    open between uses."""
    restore: Restore | None = None
    kms_key_arn: MaybeOutput[KmsKeyArn] | None = None
    """A key of one's own for the data; else AWS's, free of charge. Changing it makes a new database."""
    secret_kms_key_arn: MaybeOutput[KmsKeyArn] | None = None
    """A key of one's own for the master password; else AWS's."""

    @property
    def major(self) -> int:
        """Postgres' major version."""
        return int(self.engine_version.partition(".")[0])

    @property
    def connections(self) -> int:
        """How many connections it takes at least."""
        if "max_connections" in self.parameters and self.parameters["max_connections"].isdigit():
            return int(self.parameters["max_connections"])
        if self.mode == "aurora-serverless":
            return database_limits.connections_of_capacity(self.min_capacity, self.max_capacity)
        return database_limits.connections_of_memory(database_limits.memory_gib(self.instance_class))

    @property
    def pauses(self) -> bool:
        """Whether it may go down to nothing, which an open connection would prevent."""
        return self.mode == "aurora-serverless" and self.min_capacity == 0

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.major < OLDEST_MAJOR:
            raise ValueError(
                f"engine_version {self.engine_version} is no longer offered; say {OLDEST_MAJOR} or later"
            )
        check_windows(
            self.backup_window,
            self.maintenance_window,
            day_name="backup_window",
            week_name="maintenance_window",
        )
        if self.parameters.get("rds.force_ssl", "1") != "1":
            raise ValueError(
                "parameters: rds.force_ssl is always 1: nobody connects without TLS; leave it out"
            )
        if self.min_capacity > self.max_capacity:
            raise ValueError(
                f"min_capacity {self.min_capacity:g} is above max_capacity {self.max_capacity:g}; lower it"
            )
        self._check_disk() if self.mode == "instance" else self._check_capacity()
        return self

    def _check_capacity(self) -> None:
        minor = self.engine_version.partition(".")[2]
        first = _FIRST_TO_PAUSE.get(self.major)
        if self.pauses and minor and first is not None and int(minor) < first:
            raise ValueError(
                f"min_capacity 0 needs Postgres {self.major}.{first} or later, and engine_version is "
                f"{self.engine_version}; raise it, or say min_capacity 0.5"
            )
        if self.pauses and self.proxy is not None:
            raise ValueError(
                "min_capacity 0 and `proxy` do not go together: a proxy keeps the database awake; say "
                "min_capacity 0.5, or leave `proxy` out"
            )

    def _check_disk(self) -> None:
        # RDS refuses a ceiling that is less than a tenth above the disk.
        if self.max_storage_gib < 1.1 * self.storage_gib:
            raise ValueError(
                f"max_storage_gib {self.max_storage_gib} is too close to storage_gib {self.storage_gib}; "
                f"say {-(-self.storage_gib * 11 // 10)} or more"
            )
        if self.readers:
            raise ValueError(
                f"readers {self.readers} are aurora-serverless's; an instance has `multi_az` for a standby"
            )
        if self.storage_type == "io2":
            if self.storage_gib < _IO2_LEAST_GIB:
                raise ValueError(
                    f"storage_gib {self.storage_gib} is too little for io2; say {_IO2_LEAST_GIB} or more"
                )
            least, most = _IO2_IOPS[0], min(_IO2_IOPS[1], 1000 * self.storage_gib)
            if self.iops is None or not least <= self.iops <= most:
                raise ValueError(f"iops {self.iops} is not possible with io2; say {least} to {most}")
        elif self.iops is not None:
            least, most = _GP3_STRIPED_IOPS
            if self.storage_gib < _GP3_STRIPED_GIB or not least <= self.iops <= most:
                raise ValueError(
                    f"iops {self.iops} is not possible with gp3 and {self.storage_gib} GiB: leave it out "
                    f"below {_GP3_STRIPED_GIB} GiB, and say {least} to {most} from there on"
                )


class DatabaseArgs(DatabaseOptions):
    """The arguments of `Database`."""

    vpc_id: MaybeOutput[str]
    subnet_ids: Sequence[MaybeOutput[str]]
    """Isolated or private subnets in two zones or more."""
    clients: Mapping[str, MaybeOutput[str]] = {}
    """Who may connect: a name of one's choice to a security group's id."""
    fleets: Mapping[str, int] = {}
    """Each fleet that uses it, and the most processes it may run, workers included."""
    database_name: Annotated[
        str, shaped(r"[a-z][a-z0-9_]{0,62}", "lower-case letters, digits and underscores, a letter first")
    ] = "agents"
    alarms: Alarms | None = None
    """Even {} makes alarms on processor, memory, disk, connections and transaction numbers."""
    deletion_protection: bool = True
    """Whether AWS and Pulumi refuse to delete it, and a last snapshot is taken where it is deleted all the
    same."""
    tags: Mapping[str, str] = {}

    @property
    def pool(self) -> int:
        """The connections that each process may keep."""
        if self.pool_size is None and self.pauses:
            return 0  # an idle pool would keep it awake
        return database_limits.pool_size(self.connections, self.fleets, wanted=self.pool_size)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.subnet_ids) < 2:
            raise ValueError(
                f"subnet_ids: RDS wants subnets in two zones or more, and {len(self.subnet_ids)} was said"
            )
        if any(count < 1 for count in self.fleets.values()):
            raise ValueError(f"fleets: {dict(self.fleets)} has a fleet without processes; say 1 or more")
        _ = self.pool
        return self

"""`Network`: a VPC over several zones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import pulumi
import pulumi_aws as aws
from pydantic import AfterValidator, Field, field_validator

from agent_infra.aws import policies
from agent_infra.aws.cidr import FEWEST_ZONES, MOST_ZONES, ZoneSubnets, parse_cidr, plan
from agent_infra.component import Args, Component


def _checked_cidr(text: str) -> str:
    parse_cidr(text)
    return text


class NetworkOptions(Args):
    """What an environment may say about its network."""

    cidr: Annotated[str, AfterValidator(_checked_cidr)] = "10.0.0.0/16"
    """The VPC's range: private, /16 to /22. Changing it replaces everything inside."""
    zones: int | Sequence[str] = 3
    """How many zones, 2 to 6, of the region's first; or their names: [eu-central-1a, eu-central-1b]."""
    nat: Literal["none", "one", "per-zone"] = "one"
    """How private subnets reach the internet. Each NAT gateway costs about 35 USD a month plus traffic.
    `per-zone` outlives the loss of a zone; with `none` nodes need VPC endpoints for all that they call."""
    flow_log_retention_days: int | None = Field(default=30, ge=1)
    """How long the record of accepted and refused connections is kept; null keeps none."""

    @field_validator("zones")
    @classmethod
    def _possible_zones(cls, zones: int | Sequence[str]) -> int | Sequence[str]:
        count = zones if isinstance(zones, int) else len(zones)
        if not FEWEST_ZONES <= count <= MOST_ZONES:
            raise ValueError(f"{count} zones are not possible; say {FEWEST_ZONES} to {MOST_ZONES}")
        if not isinstance(zones, int) and len(set(zones)) != count:
            raise ValueError("a zone is named twice; name each once")
        return zones


class NetworkArgs(NetworkOptions):
    """The arguments of `Network`."""

    tags: Mapping[str, str] = {}


class Network(Component):
    """A VPC with public, private and isolated subnets in every zone.

    Makes the VPC, its internet gateway, subnets, route tables, NAT gateways as `nat` says, a gateway
    endpoint for S3 (free), a default security group without rules, and flow logs. Isolated subnets
    have no way out at all; data services live there.

    Raises:
        ArgsError: an argument is wrong.
    """

    vpc_id: pulumi.Output[str]
    public_subnet_ids: list[pulumi.Output[str]]
    private_subnet_ids: list[pulumi.Output[str]]
    isolated_subnet_ids: list[pulumi.Output[str]]

    def __init__(
        self,
        name: str,
        args: NetworkArgs | Mapping[str, Any] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        self._args = args = NetworkArgs.parse(args or {}, owner=f"Network {name!r}")
        super().__init__("Network", name, opts, tags=args.tags)
        vpc_name = f"{name}-vpc"
        self._vpc = aws.ec2.Vpc(
            vpc_name,
            cidr_block=args.cidr,
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=self._tags(vpc_name),
            opts=self._opts(),
        )
        closed_name = f"{name}-default"
        aws.ec2.DefaultSecurityGroup(
            closed_name, vpc_id=self._vpc.id, tags=self._tags(closed_name), opts=self._opts()
        )
        count = args.zones if isinstance(args.zones, int) else len(args.zones)
        subnets = plan(args.cidr, count)
        public = [self._subnet("public", index, subnets) for index in range(count)]
        private = [self._subnet("private", index, subnets) for index in range(count)]
        isolated = [self._subnet("isolated", index, subnets) for index in range(count)]
        self._routes(public, private, isolated)
        if args.flow_log_retention_days is not None:
            self._flow_logs(args.flow_log_retention_days)

        self.vpc_id = self._vpc.id
        self.public_subnet_ids = [subnet.id for subnet in public]
        self.private_subnet_ids = [subnet.id for subnet in private]
        self.isolated_subnet_ids = [subnet.id for subnet in isolated]
        self.register_outputs(
            {
                "vpcId": self.vpc_id,
                "publicSubnetIds": self.public_subnet_ids,
                "privateSubnetIds": self.private_subnet_ids,
                "isolatedSubnetIds": self.isolated_subnet_ids,
            }
        )

    def _zone(self, index: int) -> pulumi.Input[str]:
        zones = self._args.zones
        if not isinstance(zones, int):
            return zones[index]
        found = aws.get_availability_zones_output(
            state="available",
            # Local zones and those that must be asked for are left out.
            filters=[{"name": "opt-in-status", "values": ["opt-in-not-required"]}],
            opts=pulumi.InvokeOutputOptions(parent=self),
        )

        def pick(names: Sequence[str]) -> str:
            if index >= len(names):
                raise ValueError(
                    f"Network {self._name!r}: zones: {zones} were asked for and this region has {len(names)} "
                    f"({', '.join(names)}); say {len(names)} or less, or another region."
                )
            return sorted(names)[index]

        return found.names.apply(pick)

    def _subnet(
        self,
        kind: Literal["public", "private", "isolated"],
        index: int,
        subnets: Sequence[ZoneSubnets],
    ) -> aws.ec2.Subnet:
        name = f"{self._name}-{kind}-{index}"
        # How Kubernetes finds the subnets for its load balancers.
        roles = {"public": "kubernetes.io/role/elb", "private": "kubernetes.io/role/internal-elb"}
        role = {roles[kind]: "1"} if kind in roles else {}
        return aws.ec2.Subnet(
            name,
            vpc_id=self._vpc.id,
            cidr_block=str(getattr(subnets[index], kind)),
            availability_zone=self._zone(index),
            map_public_ip_on_launch=False,
            tags={**self._tags(name), **role},
            # A region that gains a zone must not move the subnets that are there.
            opts=self._opts(
                ignore_changes=["availabilityZone"] if isinstance(self._args.zones, int) else None
            ),
        )

    def _routes(
        self,
        public: Sequence[aws.ec2.Subnet],
        private: Sequence[aws.ec2.Subnet],
        isolated: Sequence[aws.ec2.Subnet],
    ) -> None:
        gateway_name = f"{self._name}-internet"
        gateway = aws.ec2.InternetGateway(
            gateway_name, vpc_id=self._vpc.id, tags=self._tags(gateway_name), opts=self._opts()
        )
        public_table = self._table("public", public)
        to_internet = self._route("public", public_table, gateway_id=gateway.id)
        nat_count = {"none": 0, "one": 1, "per-zone": len(public)}[self._args.nat]
        gateways = [self._nat(index, public[index], to_internet) for index in range(nat_count)]
        # A table a zone, whatever `nat` says, so that changing it replaces no table.
        private_tables = [self._table(f"private-{index}", [subnet]) for index, subnet in enumerate(private)]
        if gateways:
            for index, table in enumerate(private_tables):
                self._route(f"private-{index}", table, nat_gateway_id=gateways[index % nat_count].id)
        isolated_table = self._table("isolated", isolated)
        region = aws.get_region_output(opts=pulumi.InvokeOutputOptions(parent=self))
        endpoint_name = f"{self._name}-s3"
        aws.ec2.VpcEndpoint(
            endpoint_name,
            vpc_id=self._vpc.id,
            service_name=pulumi.Output.concat("com.amazonaws.", region.region, ".s3"),
            vpc_endpoint_type="Gateway",
            route_table_ids=[table.id for table in (*private_tables, isolated_table)],
            tags=self._tags(endpoint_name),
            opts=self._opts(),
        )

    def _table(self, kind: str, subnets: Sequence[aws.ec2.Subnet]) -> aws.ec2.RouteTable:
        name = f"{self._name}-{kind}"
        table = aws.ec2.RouteTable(name, vpc_id=self._vpc.id, tags=self._tags(name), opts=self._opts())
        for index, subnet in enumerate(subnets):
            association = name if kind.startswith("private") else f"{name}-{index}"
            aws.ec2.RouteTableAssociation(
                association, route_table_id=table.id, subnet_id=subnet.id, opts=self._opts()
            )
        return table

    def _route(self, kind: str, table: aws.ec2.RouteTable, **target: pulumi.Output[str]) -> aws.ec2.Route:
        return aws.ec2.Route(
            f"{self._name}-{kind}",
            route_table_id=table.id,
            destination_cidr_block="0.0.0.0/0",
            opts=self._opts(),
            **target,
        )

    def _nat(self, index: int, subnet: aws.ec2.Subnet, to_internet: aws.ec2.Route) -> aws.ec2.NatGateway:
        name = f"{self._name}-nat-{index}"
        address = aws.ec2.Eip(name, domain="vpc", tags=self._tags(name), opts=self._opts())
        return aws.ec2.NatGateway(
            name,
            allocation_id=address.id,
            subnet_id=subnet.id,
            tags=self._tags(name),
            opts=self._opts(depends_on=[to_internet]),
        )

    def _flow_logs(self, retention_days: int) -> None:
        name = f"{self._name}-flow-logs"
        group = aws.cloudwatch.LogGroup(
            name, retention_in_days=retention_days, tags=self._tags(name), opts=self._opts()
        )
        role = aws.iam.Role(
            name,
            assume_role_policy=policies.assumed_by("vpc-flow-logs.amazonaws.com"),
            tags=self._tags(name),
            opts=self._opts(),
        )
        actions = [
            "logs:CreateLogStream",
            "logs:PutLogEvents",
            "logs:DescribeLogGroups",
            "logs:DescribeLogStreams",
        ]
        policy = aws.iam.RolePolicy(
            name,
            role=role.id,
            policy=policies.document(policies.allow(actions, pulumi.Output.concat(group.arn, ":*"))),
            opts=self._opts(),
        )
        aws.ec2.FlowLog(
            name,
            vpc_id=self._vpc.id,
            traffic_type="ALL",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            tags=self._tags(name),
            opts=self._opts(depends_on=[policy]),
        )

"""`Network`: a VPC over several zones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from agent_infra.aws.adopted import adopt
from agent_infra.aws.alarms import Watch, watch
from agent_infra.aws.cidr import ZoneSubnets, plan
from agent_infra.aws.endpoints import gateway_endpoints, interface_endpoints
from agent_infra.aws.flow_logs import flow_logs
from agent_infra.aws.network_args import ExistingNetwork, NetworkArgs, NetworkOptions, SubnetKind
from agent_infra.component import Component

__all__ = ["ExistingNetwork", "Network", "NetworkArgs", "NetworkOptions"]

_WATCHES = (
    Watch(
        name="nat-ports",
        metric="ErrorPortAllocation",
        statistic="Sum",
        threshold=0,
        description="A NAT gateway has no ports left for one destination and connections fail: say "
        "`nat: per-zone`, or reach the service by an endpoint.",
    ),
    Watch(
        name="nat-drops",
        metric="PacketsDropCount",
        statistic="Sum",
        threshold=0,
        periods=15,
        description="A NAT gateway drops packets for a quarter of an hour: see whether AWS reports trouble "
        "in its zone, and how much traffic it carries.",
    ),
)


class Network(Component):
    """A VPC with public, private and isolated subnets in every zone; or one that exists, adopted.

    Makes the VPC, its internet gateway, subnets, route tables, NAT gateways as `nat` says, a gateway
    endpoint for S3 (free), the interface endpoints that are asked for, a default security group without
    rules, and flow logs. Isolated subnets have no way out at all; data services live there.

    Of an adopted VPC (`existing`) nothing is made or changed but the endpoints that are asked for. Its owner
    puts the tags on the subnets that load balancers and Karpenter look for.

    Raises:
        ArgsError: an argument is wrong.
    """

    vpc_id: pulumi.Output[str]
    cidr_blocks: pulumi.Output[list[str]]
    """The VPC's ranges: what may call an endpoint or a service inside."""
    public_subnet_ids: list[pulumi.Output[str]]
    private_subnet_ids: list[pulumi.Output[str]]
    isolated_subnet_ids: list[pulumi.Output[str]]
    nat_addresses: list[pulumi.Output[str]]
    """From where the internet sees the private subnets call, for a vendor's list of allowed addresses."""
    endpoint_security_group_id: pulumi.Output[str] | None

    def __init__(
        self,
        name: str,
        args: NetworkArgs | Mapping[str, Any] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        self._args = args = NetworkArgs.parse(args or {}, owner=f"Network {name!r}")
        super().__init__("Network", name, opts, tags=args.tags)
        self.nat_addresses = []
        if args.existing is None:
            self._make()
        else:
            self._adopt(args.existing)
        self.register_outputs(
            {
                "vpcId": self.vpc_id,
                "cidrBlocks": self.cidr_blocks,
                "publicSubnetIds": self.public_subnet_ids,
                "privateSubnetIds": self.private_subnet_ids,
                "isolatedSubnetIds": self.isolated_subnet_ids,
                "natAddresses": self.nat_addresses,
                "endpointSecurityGroupId": self.endpoint_security_group_id,
            }
        )

    def _adopt(self, existing: ExistingNetwork) -> None:
        services = self._args.interface_endpoints
        found = adopt(self, existing, with_endpoints=bool(services))
        self.vpc_id = found.vpc_id
        self.cidr_blocks = found.cidr_blocks
        self.public_subnet_ids = found.public
        self.private_subnet_ids = found.private
        self.isolated_subnet_ids = found.isolated
        gateway_endpoints(
            self,
            self._args.gateway_endpoints or (),
            vpc_id=found.vpc_id,
            route_table_ids=existing.route_table_ids,
        )
        self.endpoint_security_group_id = interface_endpoints(
            self,
            services,
            vpc_id=found.vpc_id,
            subnet_ids=found.endpoint_subnets,
            cidr_blocks=found.cidr_blocks,
        )

    def _make(self) -> None:
        args, name = self._args, self._name
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
        tables = self._routes(public, private, isolated)
        if args.flow_log_retention_days is not None:
            flow_logs(
                self,
                vpc_id=self._vpc.id,
                retention_days=args.flow_log_retention_days,
                kms_key_arn=args.kms_key_arn,
            )

        self.vpc_id = self._vpc.id
        self.cidr_blocks = self._vpc.cidr_block.apply(lambda block: [block])
        self.public_subnet_ids = [subnet.id for subnet in public]
        self.private_subnet_ids = [subnet.id for subnet in private]
        self.isolated_subnet_ids = [subnet.id for subnet in isolated]
        gateways = ("s3",) if args.gateway_endpoints is None else args.gateway_endpoints
        gateway_endpoints(self, gateways, vpc_id=self._vpc.id, route_table_ids=[table.id for table in tables])
        self.endpoint_security_group_id = interface_endpoints(
            self,
            args.interface_endpoints,
            vpc_id=self._vpc.id,
            subnet_ids=self.private_subnet_ids,
            cidr_blocks=self.cidr_blocks,
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
        kind: SubnetKind,
        index: int,
        subnets: Sequence[ZoneSubnets],
    ) -> aws.ec2.Subnet:
        name = f"{self._name}-{kind}-{index}"
        return aws.ec2.Subnet(
            name,
            vpc_id=self._vpc.id,
            cidr_block=str(getattr(subnets[index], kind)),
            availability_zone=self._zone(index),
            map_public_ip_on_launch=False,
            tags={**self._tags(name), **self._found_by(kind), **self._args.subnet_tags.get(kind, {})},
            # A region that gains a zone must not move the subnets that are there.
            opts=self._opts(
                ignore_changes=["availabilityZone"] if isinstance(self._args.zones, int) else None
            ),
        )

    def _found_by(self, kind: SubnetKind) -> dict[str, str]:
        """The tags by which Kubernetes finds subnets: for load balancers, and for Karpenter's nodes.

        https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html
        """
        roles = {"public": "kubernetes.io/role/elb", "private": "kubernetes.io/role/internal-elb"}
        if kind not in roles:
            return {}
        found = {roles[kind]: "1"}
        cluster = self._args.cluster_name
        if cluster is not None and self._args.discovery:
            found[f"kubernetes.io/cluster/{cluster}"] = "shared"
            if kind == "private":
                found["karpenter.sh/discovery"] = cluster
        return found

    def _routes(
        self,
        public: Sequence[aws.ec2.Subnet],
        private: Sequence[aws.ec2.Subnet],
        isolated: Sequence[aws.ec2.Subnet],
    ) -> list[aws.ec2.RouteTable]:
        """Routes the subnets; gives the tables of the private and the isolated ones."""
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
        return [*private_tables, isolated_table]

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
        gateway = aws.ec2.NatGateway(
            name,
            allocation_id=address.id,
            subnet_id=subnet.id,
            tags=self._tags(name),
            opts=self._opts(depends_on=[to_internet]),
        )
        self.nat_addresses.append(address.public_ip)
        watch(
            self,
            _WATCHES,
            alarms=self._args.alarms,
            namespace="AWS/NATGateway",
            dimensions={"NatGatewayId": gateway.id},
            suffix=f"-{index}",
        )
        return gateway

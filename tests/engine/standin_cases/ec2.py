"""Cases of the stand-in's ec2 rows."""

from __future__ import annotations

from collections.abc import Callable

from agent_infra.local.standins.server import Properties
from tests.engine.standin_cases.case import NEW_TAGS, TAGS, Case, World


def _flow_log(world: World) -> Properties:
    group = world.make("aws:cloudwatch/logGroup:LogGroup")
    return {
        "vpcId": world.vpc(),
        "trafficType": "ALL",
        "logDestination": group["arn"],
        "iamRoleArn": world.role()["arn"],
        **TAGS,
    }


def _route(world: World) -> Properties:
    vpc = world.vpc()
    table = world.make("aws:ec2/routeTable:RouteTable", vpcId=vpc)
    gateway = world.make("aws:ec2/internetGateway:InternetGateway", vpcId=vpc)
    return {"routeTableId": table["id"], "destinationCidrBlock": "0.0.0.0/0", "gatewayId": gateway["id"]}


def _association(world: World) -> Properties:
    vpc = world.vpc()
    table = world.make("aws:ec2/routeTable:RouteTable", vpcId=vpc)
    return {"routeTableId": table["id"], "subnetId": world.subnets(vpc)[0]}


def _nat(world: World) -> Properties:
    address = world.make("aws:ec2/eip:Eip", domain="vpc")
    return {"allocationId": address["id"], "subnetId": world.subnets()[0], **TAGS}


def _rule(direction: str) -> Callable[[World], Properties]:
    def make(world: World) -> Properties:
        group = world.group()
        other = {"referencedSecurityGroupId": group} if direction == "ingress" else {"cidrIpv4": "10.0.0.0/8"}
        ports = {"fromPort": 6379, "toPort": 6379}
        return {
            "securityGroupId": group,
            "ipProtocol": "tcp",
            **ports,
            "description": "cache",
            **other,
            **TAGS,
        }

    return make


CASES: dict[str, Case] = {
    "aws:ec2/launchTemplate:LaunchTemplate": Case(
        lambda w: {
            "description": "nodes",
            "updateDefaultVersion": True,
            "blockDeviceMappings": [
                {
                    "deviceName": "/dev/xvda",
                    "ebs": {"encrypted": "true", "volumeSize": 50, "volumeType": "gp3"},
                }
            ],
            "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1},
            "monitoring": {"enabled": True},
            "tagSpecifications": [{"resourceType": "instance", "tags": {"team": "agents"}}],
            **TAGS,
        },
        {
            "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 2},
            **NEW_TAGS,
        },
        {"updateDefaultVersion"},
    ),
    "aws:ec2/vpc:Vpc": Case(
        lambda w: {"cidrBlock": "10.0.0.0/16", "enableDnsHostnames": True, **TAGS},
        {"enableDnsHostnames": False, **NEW_TAGS},
    ),
    "aws:ec2/subnet:Subnet": Case(
        lambda w: {
            "vpcId": w.vpc(),
            "cidrBlock": "10.9.1.0/24",
            "availabilityZone": "eu-west-1a",
            "mapPublicIpOnLaunch": True,
            **TAGS,
        },
        {"mapPublicIpOnLaunch": False, **NEW_TAGS},
    ),
    "aws:ec2/internetGateway:InternetGateway": Case(lambda w: {"vpcId": w.vpc(), **TAGS}, NEW_TAGS),
    "aws:ec2/natGateway:NatGateway": Case(_nat, NEW_TAGS),
    "aws:ec2/eip:Eip": Case(lambda w: {"domain": "vpc", **TAGS}, NEW_TAGS),
    "aws:ec2/routeTable:RouteTable": Case(lambda w: {"vpcId": w.vpc(), **TAGS}, NEW_TAGS),
    "aws:ec2/route:Route": Case(
        _route, import_id=lambda _, inputs: f"{inputs['routeTableId']}_{inputs['destinationCidrBlock']}"
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": Case(_association),
    "aws:ec2/securityGroup:SecurityGroup": Case(
        lambda w: {
            "vpcId": w.vpc(),
            "description": "a cache",
            "ingress": [
                {
                    "protocol": "tcp",
                    "fromPort": 6379,
                    "toPort": 6379,
                    "cidrBlocks": ["10.0.0.0/16", "10.1.0.0/16"],
                    "description": "from the pods",
                },
                {"protocol": "-1", "fromPort": 0, "toPort": 0, "self": True},
            ],
            "egress": [{"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": ["0.0.0.0/0"]}],
            **TAGS,
        },
        {"ingress": [{"protocol": "tcp", "fromPort": 5432, "toPort": 5432, "cidrBlocks": ["10.0.0.0/16"]}]},
        {"ingress", "egress"},
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": Case(
        lambda w: {
            "vpcId": (vpc := w.vpc()),
            "serviceName": "com.amazonaws.eu-west-1.s3",
            "routeTableIds": [w.make("aws:ec2/routeTable:RouteTable", vpcId=vpc)["id"]],
            **TAGS,
        },
        NEW_TAGS,
    ),
    "aws:ec2/flowLog:FlowLog": Case(_flow_log, NEW_TAGS),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": Case(
        lambda w: {"vpcId": w.vpc(), **TAGS}, NEW_TAGS, stays=True
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": Case(
        _rule("ingress"), {"fromPort": 6378}, {"description"}
    ),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": Case(
        _rule("egress"), {"cidrIpv4": "10.2.0.0/16"}
    ),
}

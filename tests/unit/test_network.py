"""`Network`: which subnets, routes and gateways it makes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_infra import ArgsError, Network
from agent_infra.aws.log_retention import RETENTION_DAYS
from agent_infra.aws.network_args import tag_problem
from tests.unit.components import made
from tests.unit.recording import ZONES, Recorded, record

ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
SUBNET = "aws:ec2/subnet:Subnet"
KEY = "arn:aws:kms:eu-central-1:123456789012:key/logs"


def network(**args: Any) -> Recorded:
    return made(Network, args)


@pytest.mark.parametrize(("nat", "count"), [("none", 0), ("one", 1), ("per-zone", 3)])
def test_nat_gateways_are_as_many_as_was_said(nat: str, count: int) -> None:
    recorded = network(nat=nat)
    assert len(recorded.of("aws:ec2/natGateway:NatGateway")) == count
    private = [route for route in recorded.of("aws:ec2/route:Route") if "private" in route.name]
    assert len(private) == (3 if count else 0)
    assert len({route.inputs["natGatewayId"] for route in private}) == count


def test_changing_nat_neither_adds_nor_removes_a_subnet_or_table() -> None:
    def fixed(nat: str) -> list[tuple[str, str]]:
        kinds = ("aws:ec2/subnet:Subnet", "aws:ec2/routeTable:RouteTable")
        return sorted((item.type, item.name) for item in network(nat=nat).resources if item.type in kinds)

    assert fixed("none") == fixed("per-zone")


def test_isolated_subnets_have_no_way_out() -> None:
    recorded = network()
    assert not [route for route in recorded.of("aws:ec2/route:Route") if "isolated" in route.name]
    assert not any(item.inputs["mapPublicIpOnLaunch"] for item in recorded.of("aws:ec2/subnet:Subnet"))


def test_subnets_say_what_load_balancers_they_are_for() -> None:
    tags = {item.name: item.inputs["tags"] for item in network().of("aws:ec2/subnet:Subnet")}
    assert tags["it-public-0"]["kubernetes.io/role/elb"] == "1"
    assert tags["it-private-0"]["kubernetes.io/role/internal-elb"] == "1"
    assert not [key for key in tags["it-isolated-0"] if key.startswith("kubernetes.io")]


def test_zones_are_the_regions_first_ones_and_stay_when_it_gains_one() -> None:
    subnets = [item for item in network(zones=2).of("aws:ec2/subnet:Subnet") if "private" in item.name]
    zones = {item.name: item.inputs["availabilityZone"] for item in subnets}
    assert zones == {"it-private-0": ZONES[0], "it-private-1": ZONES[1]}
    assert all(item.ignore_changes == ["availabilityZone"] for item in subnets)


def test_named_zones_are_taken_as_they_are() -> None:
    subnets = network(zones=["eu-central-1c", "eu-central-1a"]).of("aws:ec2/subnet:Subnet")
    assert {item.inputs["availabilityZone"] for item in subnets} == {"eu-central-1a", "eu-central-1c"}
    assert not any(item.ignore_changes for item in subnets)


def test_a_region_with_too_few_zones_is_told_with_the_way_out() -> None:
    with pytest.raises(Exception, match="4 were asked for and this region has 3") as raised:
        network(zones=4)
    assert "say 3 or less" in str(raised.value)


@pytest.mark.parametrize("zones", [1, 7, ["eu-central-1a"], ["eu-central-1a", "eu-central-1a"]])
def test_an_impossible_choice_of_zones_is_refused(zones: Any) -> None:
    with pytest.raises(ArgsError, match="Network 'it': zones"):
        network(zones=zones)


def test_a_network_of_the_first_cut_keeps_all_that_it_has() -> None:
    recorded = network(zones=2)
    assert {(item.type.rpartition(":")[2], item.name) for item in recorded.resources} >= {
        ("Vpc", "it-vpc"),
        ("DefaultSecurityGroup", "it-default"),
        *(("Subnet", f"it-{kind}-{n}") for kind in ("public", "private", "isolated") for n in (0, 1)),
        ("InternetGateway", "it-internet"),
        *(("RouteTable", f"it-{kind}") for kind in ("public", "private-0", "private-1", "isolated")),
        *(("Route", f"it-{kind}") for kind in ("public", "private-0", "private-1")),
        ("Eip", "it-nat-0"),
        ("NatGateway", "it-nat-0"),
        ("VpcEndpoint", "it-s3"),
        *((kind, "it-flow-logs") for kind in ("LogGroup", "Role", "RolePolicy", "FlowLog")),
    }
    assert recorded.one("aws:ec2/vpc:Vpc").inputs.keys() == {
        "cidrBlock",
        "enableDnsHostnames",
        "enableDnsSupport",
        "tags",
    }
    assert recorded.one(ENDPOINT).inputs.keys() == {
        "vpcId",
        "serviceName",
        "vpcEndpointType",
        "routeTableIds",
        "tags",
    }


def test_the_default_security_group_lets_nothing_in_or_out() -> None:
    inputs = network().one("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup").inputs
    assert inputs.keys() == {"vpcId", "tags"}


def test_no_security_group_or_access_list_is_made_that_nobody_uses() -> None:
    recorded = network()
    assert not recorded.of("aws:ec2/securityGroup:SecurityGroup")
    assert not recorded.of("aws:ec2/networkAcl:NetworkAcl")


def test_subnets_give_no_public_addresses() -> None:
    assert not any(item.inputs["mapPublicIpOnLaunch"] for item in network().of(SUBNET))


def test_gateway_endpoints_are_s3_or_what_is_said() -> None:
    def services(**args: Any) -> set[str]:
        return {item.inputs["serviceName"].rpartition(".")[2] for item in network(**args).of(ENDPOINT)}

    assert services() == {"s3"}
    assert services(gateway_endpoints=["s3", "dynamodb"]) == {"s3", "dynamodb"}
    assert services(gateway_endpoints=[]) == set()


def test_gateway_endpoints_serve_private_and_isolated_subnets() -> None:
    tables = network(zones=2).one(ENDPOINT, "it-s3").inputs["routeTableIds"]
    assert tables == ["it-private-0-id", "it-private-1-id", "it-isolated-id"]


def test_interface_endpoints_are_private_in_every_zone_and_under_the_public_name() -> None:
    recorded = network(interface_endpoints=["ecr.api", "sqs"])
    made_here = {item.name: item.inputs for item in recorded.of(ENDPOINT) if item.name != "it-s3"}
    assert made_here.keys() == {"it-ecr-api", "it-sqs"}
    endpoint = made_here["it-ecr-api"]
    assert endpoint["serviceName"] == "com.amazonaws.eu-central-1.ecr.api"
    assert endpoint["vpcEndpointType"] == "Interface"
    assert endpoint["subnetIds"] == [f"it-private-{index}-id" for index in range(3)]
    assert endpoint["privateDnsEnabled"] is True
    assert endpoint["securityGroupIds"] == ["it-endpoints-id"]


@pytest.mark.parametrize("service", ["ec2", "ecr.api", "ecr.dkr", "ssm", "ssm-contacts", "ssm-incidents"])
def test_each_service_that_security_hub_asks_for_can_have_an_endpoint(service: str) -> None:
    endpoints = network(interface_endpoints=[service]).of(ENDPOINT)
    names = {
        item.inputs["serviceName"] for item in endpoints if item.inputs["vpcEndpointType"] == "Interface"
    }
    assert names == {f"com.amazonaws.eu-central-1.{service}"}


def test_the_endpoints_let_the_network_in_on_443_and_nobody_else() -> None:
    recorded = network(interface_endpoints=["sts"], cidr="10.7.0.0/16")
    group = recorded.one("aws:ec2/securityGroup:SecurityGroup").inputs
    (rule,) = group["ingress"]
    assert (rule["protocol"], rule["fromPort"], rule["toPort"]) == ("tcp", 443, 443)
    assert rule["cidrBlocks"] == ["10.7.0.0/16"]
    assert "egress" not in group


def test_subnets_say_which_cluster_finds_them() -> None:
    tags = {item.name: item.inputs["tags"] for item in network(cluster_name="agents-prod").of(SUBNET)}
    shared = "kubernetes.io/cluster/agents-prod"
    assert [tags[f"it-{kind}-0"].get(shared) for kind in ("public", "private", "isolated")] == [
        "shared",
        "shared",
        None,
    ]
    discovered = [name for name, each in tags.items() if "karpenter.sh/discovery" in each]
    assert sorted(discovered) == ["it-private-0", "it-private-1", "it-private-2"]
    assert tags["it-private-0"]["karpenter.sh/discovery"] == "agents-prod"


@pytest.mark.parametrize("args", [{}, {"cluster_name": "agents", "discovery": False}])
def test_without_a_cluster_or_discovery_no_subnet_names_one(args: dict[str, Any]) -> None:
    keys = {key for item in network(**args).of(SUBNET) for key in item.inputs["tags"]}
    assert not [key for key in keys if "cluster/" in key or "karpenter" in key]


def test_subnets_carry_the_tags_that_were_said_for_their_kind() -> None:
    recorded = network(subnet_tags={"isolated": {"tier": "data"}})
    tiers = {item.name: item.inputs["tags"].get("tier") for item in recorded.of(SUBNET)}
    assert (tiers["it-isolated-2"], tiers["it-private-0"], tiers["it-public-0"]) == ("data", None, None)


def test_all_connections_are_logged_and_the_log_is_kept_for_a_month() -> None:
    recorded = network()
    assert recorded.one("aws:ec2/flowLog:FlowLog").inputs["trafficType"] == "ALL"
    group = recorded.one("aws:cloudwatch/logGroup:LogGroup").inputs
    assert group["retentionInDays"] == 30
    assert "kmsKeyId" not in group


def test_flow_logs_are_encrypted_with_the_key_that_was_said() -> None:
    assert network(kms_key_arn=KEY).one("aws:cloudwatch/logGroup:LogGroup").inputs["kmsKeyId"] == KEY


def test_the_role_of_the_flow_logs_writes_into_their_group_alone() -> None:
    (statement,) = json.loads(network().one("aws:iam/rolePolicy:RolePolicy").inputs["policy"])["Statement"]
    assert statement["Resource"].endswith("it-flow-logs:*")


def test_without_flow_logs_nothing_of_them_is_made() -> None:
    recorded = network(flow_log_retention_days=None)
    assert not [item for item in recorded.resources if "flow-logs" in item.name]


def test_each_nat_gateway_is_watched_where_somebody_is_told() -> None:
    topic = "arn:aws:sns:eu-central-1:123456789012:alarms"
    alarms = network(nat="per-zone", alarms={"notify": [topic]}).of("aws:cloudwatch/metricAlarm:MetricAlarm")
    assert sorted(item.name for item in alarms) == [
        f"it-nat-{what}-{index}" for what in ("drops", "ports") for index in range(3)
    ]
    ports = next(item.inputs for item in alarms if item.name == "it-nat-ports-1")
    assert (ports["namespace"], ports["metricName"]) == ("AWS/NATGateway", "ErrorPortAllocation")
    assert ports["dimensions"] == {"NatGatewayId": "it-nat-1-id"}
    assert ports["alarmActions"] == [topic]
    assert not network(nat="per-zone").of("aws:cloudwatch/metricAlarm:MetricAlarm")


def test_a_network_tells_from_which_addresses_it_calls() -> None:
    counts = record(lambda: [len(Network(nat, {"nat": nat}).nat_addresses) for nat in ("none", "per-zone")])
    assert counts.result == [0, 3]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"interface_endpoints": ["s3"]}, "say it in `gateway_endpoints`"),
        ({"interface_endpoints": ["com.amazonaws.eu-central-1.ecr.api"]}, "such as ecr.api"),
        ({"interface_endpoints": ["ECR"]}, "say one such as ecr.api or sqs"),
        ({"interface_endpoints": ["ecr.api", "ecr-api"]}, "named twice"),
        ({"gateway_endpoints": ["sqs"]}, "gateway_endpoints.0: 'sqs' is wrong"),
        ({"gateway_endpoints": ["s3", "s3"]}, "named twice"),
        ({"flow_log_retention_days": 31}, "31 is wrong: logs are kept for one of 1, 3, 5"),
        ({"flow_log_retention_days": 31}, "say 30"),
        ({"subnet_tags": {"public": {"aws:team": "x"}}}, "begin with aws: are AWS's own"),
        ({"subnet_tags": {"secret": {}}}, "subnet_tags"),
        ({"cluster_name": "my cluster"}, "say an EKS cluster's name"),
        ({"cidr": "127.0.0.0/16"}, "say one inside 10.0.0.0/8"),
    ],
)
def test_what_aws_would_refuse_is_refused_with_the_way_out(args: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgsError, match=re.escape(said)):
        network(**args)


@settings(max_examples=50)
@given(st.text(max_size=140), st.text(max_size=260))
def test_a_tag_is_either_aws_grammar_or_refused(key: str, value: str) -> None:
    if tag_problem(key, value) is None:
        assert 1 <= len(key) <= 128 and len(value) <= 256
        assert not key.startswith("aws:")


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 4000))
def test_the_retention_that_is_proposed_is_allowed_and_the_nearest(days: int) -> None:
    if days in RETENTION_DAYS:
        return
    with pytest.raises(ArgsError) as refused:
        Network("it", {"flow_log_retention_days": days})
    proposed = int(str(refused.value).rpartition("; say ")[2].split(",")[0])
    assert abs(proposed - days) == min(abs(each - days) for each in RETENTION_DAYS)

"""`Network`: which subnets, routes and gateways it makes."""

from __future__ import annotations

from typing import Any

import pytest

from agent_infra import (
    ArgsError,
    Network,
)
from tests.unit.components import made
from tests.unit.recording import ZONES, Recorded


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

"""`Network` over a VPC that exists: what is looked up, what is made, and what is refused."""

from __future__ import annotations

import re
from typing import Any

import pulumi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_infra import ArgsError, Network
from agent_infra.aws.adopted import one_per_zone
from tests.unit.components import made
from tests.unit.recording import EXISTING_VPC, Recorded, record

ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
PRIVATE = ["subnet-00000001", "subnet-00000002"]
EXISTING = {"vpc_id": EXISTING_VPC, "private_subnet_ids": PRIVATE}


def adopted(existing: dict[str, Any] | None = None, **args: Any) -> Recorded:
    return made(Network, {"existing": {**EXISTING, **(existing or {})}, **args})


def outputs(**existing: Any) -> Any:
    """What the component gives, of an adopted VPC."""

    def program() -> Any:
        network = Network("it", {"existing": {**EXISTING, **existing}})
        return {
            "vpc": network.vpc_id,
            "ranges": network.cidr_blocks,
            "public": network.public_subnet_ids,
            "private": network.private_subnet_ids,
            "isolated": network.isolated_subnet_ids,
            "nat": network.nat_addresses,
            "group": network.endpoint_security_group_id,
        }

    return record(program).result


def test_of_an_adopted_vpc_nothing_is_made() -> None:
    assert not [item for item in adopted().resources if item.type.startswith("aws:")]


def test_an_adopted_vpc_has_the_outputs_of_one_that_is_made() -> None:
    found = outputs(public_subnet_ids=["subnet-00000003"], isolated_subnet_ids=PRIVATE)
    assert found == {
        "vpc": EXISTING_VPC,
        "ranges": ["100.64.0.0/16", "172.31.0.0/16"],
        "public": ["subnet-00000003"],
        "private": PRIVATE,
        "isolated": PRIVATE,
        "nat": [],
        "group": None,
    }


def test_without_isolated_subnets_data_services_are_in_private_ones() -> None:
    assert outputs()["isolated"] == PRIVATE


def test_the_endpoints_that_were_asked_for_are_made_in_an_adopted_vpc() -> None:
    recorded = adopted(
        {"route_table_ids": ["rtb-00000001"], "private_subnet_ids": [*PRIVATE, "subnet-00000004"]},
        gateway_endpoints=["s3"],
        interface_endpoints=["sqs"],
    )
    assert recorded.one(ENDPOINT, "it-s3").inputs["routeTableIds"] == ["rtb-00000001"]
    endpoint = recorded.one(ENDPOINT, "it-sqs").inputs
    assert endpoint["subnetIds"] == PRIVATE, "one a zone: the third is in the first one's"
    (rule,) = recorded.one("aws:ec2/securityGroup:SecurityGroup").inputs["ingress"]
    assert rule["cidrBlocks"] == ["100.64.0.0/16", "172.31.0.0/16"], "all the ranges it has"


def test_a_vpc_of_the_same_program_can_be_adopted() -> None:
    def program() -> Any:
        vpc = pulumi.Output.from_input(EXISTING_VPC)
        subnets = [pulumi.Output.from_input(subnet) for subnet in PRIVATE]
        return Network("it", {"existing": {"vpc_id": vpc, "private_subnet_ids": subnets}}).private_subnet_ids

    assert record(program).result == PRIVATE


@pytest.mark.parametrize(
    "args",
    [
        {"cidr": "10.1.0.0/16"},
        {"zones": 2},
        {"nat": "none"},
        {"flow_log_retention_days": 7},
        {"flow_log_retention_days": None},
        {"discovery": False},
        {"subnet_tags": {"public": {"a": "b"}}},
    ],
)
def test_what_cannot_be_done_to_an_adopted_vpc_is_refused(args: dict[str, Any]) -> None:
    (name,) = args
    with pytest.raises(ArgsError, match=f"{name}: .* cannot be done to an adopted VPC.*leave `{name}` out"):
        adopted(**args)


@pytest.mark.parametrize(
    ("existing", "said"),
    [
        ({"private_subnet_ids": PRIVATE[:1]}, "private_subnet_ids: 1 is not enough"),
        ({"isolated_subnet_ids": PRIVATE[:1]}, "isolated_subnet_ids: 1 is not enough"),
        ({"private_subnet_ids": [PRIVATE[0]] * 2}, "said twice; say each once"),
        ({"vpc_id": "my-vpc"}, "say one such as vpc-0a1b2c3d4e5f60718"),
        ({"public_subnet_ids": ["public"]}, "say one such as subnet-0a1b2c3d4e5f60718"),
        ({"route_table_ids": ["main"]}, "say one such as rtb-0a1b2c3d4e5f60718"),
    ],
)
def test_ids_that_cannot_be_are_refused_at_once(existing: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgsError, match=re.escape(said)):
        adopted(existing)


def test_gateway_endpoints_of_an_adopted_vpc_need_its_route_tables() -> None:
    with pytest.raises(ArgsError, match=re.escape("add `existing.route_table_ids`")):
        adopted(gateway_endpoints=["s3"])


@pytest.mark.parametrize(
    ("existing", "said"),
    [
        ({"private_subnet_ids": [*PRIVATE, "subnet-0000000f"]}, "subnet-0000000f is in vpc-0fffffff, not in"),
        ({"private_subnet_ids": ["subnet-00000001", "subnet-00000004"]}, "say subnets in 2 zones or more"),
        (
            {"isolated_subnet_ids": ["subnet-00000001", "subnet-00000004"]},
            "existing.isolated_subnet_ids: all",
        ),
    ],
)
def test_subnets_that_do_not_serve_are_refused_when_they_are_looked_up(
    existing: dict[str, Any], said: str
) -> None:
    with pytest.raises(Exception, match=re.escape(said)):
        outputs(**existing)


def test_interface_endpoints_need_the_adopted_vpcs_dns() -> None:
    with pytest.raises(Exception, match="has DNS support or DNS hostnames off"):
        adopted({"vpc_id": "vpc-0000000d"}, interface_endpoints=["sqs"])


@settings(max_examples=50)
@given(st.lists(st.tuples(st.text(min_size=1), st.sampled_from("abc")), min_size=1))
def test_one_subnet_a_zone_is_the_first_of_each(subnets: list[tuple[str, str]]) -> None:
    chosen = one_per_zone(subnets)
    assert len(chosen) == len({zone for _, zone in subnets})
    assert chosen[0] == subnets[0][0]

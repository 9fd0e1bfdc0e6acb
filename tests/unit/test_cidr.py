"""The addresses of a network's subnets, for every network that is allowed."""

from __future__ import annotations

from ipaddress import IPv4Network
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_infra.aws.cidr import LARGEST_PREFIX, MOST_ZONES, SMALLEST_PREFIX, parse_cidr, plan

prefixes = st.integers(LARGEST_PREFIX, SMALLEST_PREFIX)
cidrs = st.builds(
    lambda prefix, host: str(IPv4Network(((10 << 24) + host, prefix), strict=False)),
    prefixes,
    st.integers(0, 2**24 - 1),
)
zone_counts = st.integers(2, MOST_ZONES)


def subnets(cidr: str, zones: int) -> list[IPv4Network]:
    return [subnet for zone in plan(cidr, zones) for subnet in (zone.public, zone.private, zone.isolated)]


@given(cidrs, zone_counts)
def test_subnets_are_inside_the_network_and_never_overlap(cidr: str, zones: int) -> None:
    found = subnets(cidr, zones)
    assert all(subnet.subnet_of(IPv4Network(cidr)) for subnet in found)
    assert not any(one.overlaps(other) for one, other in combinations(found, 2))


@given(cidrs, zone_counts)
def test_a_zone_more_moves_no_subnet(cidr: str, zones: int) -> None:
    assert plan(cidr, MOST_ZONES)[:zones] == plan(cidr, zones)


@given(cidrs, zone_counts)
def test_every_subnet_is_one_that_aws_allows(cidr: str, zones: int) -> None:
    assert all(16 <= subnet.prefixlen <= 28 for subnet in subnets(cidr, zones))


@given(cidrs, zone_counts)
def test_private_subnets_are_the_largest(cidr: str, zones: int) -> None:
    for zone in plan(cidr, zones):
        assert zone.private.num_addresses == 2 * zone.public.num_addresses == 2 * zone.isolated.num_addresses


@pytest.mark.parametrize(
    ("cidr", "said"),
    [
        ("10.0.0.0/8", "say /16 to /22"),
        ("10.0.0.0/24", "say /16 to /22"),
        ("10.0.0.1/16", "host bits set"),
        ("8.8.0.0/16", "not a private range"),
        ("ten", "such as 10.0.0.0/16"),
    ],
)
def test_an_impossible_range_is_refused_with_what_is_possible(cidr: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_cidr(cidr)


@pytest.mark.parametrize("zones", [0, 1, 7])
def test_an_impossible_number_of_zones_is_refused(zones: int) -> None:
    with pytest.raises(ValueError, match="say 2 to 6"):
        plan("10.0.0.0/16", zones)

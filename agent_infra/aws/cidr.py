"""Which addresses each subnet of a network gets: pure arithmetic, known before anything is made."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError

#: AWS allows a VPC of /16 to /28; below /22 the smallest subnet here would be too small for a cluster.
LARGEST_PREFIX, SMALLEST_PREFIX = 16, 22
FEWEST_ZONES, MOST_ZONES = 2, 6
#: RFC 1918, and the range that carriers share (RFC 6598). Others that Python calls private (loopback,
#: link-local, reserved) are no VPC's: https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
_ALLOWED = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))
#: The network is cut into eight parts, one a zone, so that a zone added later moves no subnet.
_ZONE_BITS = 3


@dataclass(frozen=True)
class ZoneSubnets:
    """The three subnets of one zone: half of its part is private, a quarter each public and isolated."""

    public: IPv4Network
    private: IPv4Network
    isolated: IPv4Network


def parse_cidr(text: str) -> IPv4Network:
    """A network's range, such as `10.0.0.0/16`.

    Raises:
        ValueError: it is no range, has host bits set, is too large or too small, or is a public one.
    """
    try:
        network = IPv4Network(text)
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        raise ValueError(f"not an IPv4 range ({error}); say one such as 10.0.0.0/16") from None
    if not LARGEST_PREFIX <= network.prefixlen <= SMALLEST_PREFIX:
        raise ValueError(
            f"a network of /{network.prefixlen} is not possible; "
            f"say /{LARGEST_PREFIX} to /{SMALLEST_PREFIX}, such as 10.0.0.0/16"
        )
    if not any(network.subnet_of(allowed) for allowed in _ALLOWED):
        raise ValueError(f"not a private range; say one inside {', '.join(map(str, _ALLOWED))}")
    return network


def plan(cidr: str, zones: int) -> tuple[ZoneSubnets, ...]:
    """The subnets of each zone, in order; disjoint, and the same however many zones follow.

    Of a /16, each zone has a private /20 (4,091 addresses), a public /21 and an isolated /21.

    Raises:
        ValueError: the range or the number of zones is not possible.
    """
    if not FEWEST_ZONES <= zones <= MOST_ZONES:
        raise ValueError(f"{zones} zones are not possible; say {FEWEST_ZONES} to {MOST_ZONES}")
    parts = list(parse_cidr(cidr).subnets(prefixlen_diff=_ZONE_BITS))
    result = []
    for part in parts[:zones]:
        private, rest = part.subnets(prefixlen_diff=1)
        public, isolated = rest.subnets(prefixlen_diff=1)
        result.append(ZoneSubnets(public=public, private=private, isolated=isolated))
    return tuple(result)

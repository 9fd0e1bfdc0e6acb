"""A fleet's NetworkPolicies: default deny for its pods, then what this fleet needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from agent_infra.fleet.args import AgentFleetArgs
from agent_infra.fleet.names import ComponentKind, Names
from agent_infra.fleet.network_args import EgressRule, NetworkRules
from agent_infra.fleet.objects import Manifest
from agent_infra.outputs import computed

_HTTPS = 443
_DEFAULT_PORTS = {
    "http": 80,
    "https": _HTTPS,
    "redis": 6379,
    "rediss": 6379,
    "postgres": 5432,
    "postgresql": 5432,
    "grpc": 4317,
}
#: The node's own services, the instance's credentials among them (169.254.169.254, fd00:ec2::254).
_LINK_LOCAL = ("169.254.0.0/16",)
_LINK_LOCAL_6 = ("fd00:ec2::/32", "fe80::/10")
#: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-agent-setup.html
_POD_IDENTITY_AGENT = ("169.254.170.23/32", "fd00:ec2::23/128")
#: Environment variables with these endings hold addresses that pods connect to.
_ADDRESSES = ("_URL", "_ENDPOINT", "_ISSUER")


def network_policies(
    args: AgentFleetArgs, names: Names, values: Mapping[str, Any], kinds: Sequence[ComponentKind]
) -> list[tuple[ComponentKind, Manifest]]:
    """A policy for each kind of pods, or none where that was chosen.

    Args:
        args: the fleet's arguments.
        names: what its objects are called.
        values: the pods' environment; the ports of the addresses in it are opened.
        kinds: the kinds of pods that there are.
    """
    rules = args.network_policy
    if rules is None:
        return []
    return [(kind, _policy(args, rules, names, kind, values)) for kind in kinds]


def _policy(
    args: AgentFleetArgs, rules: NetworkRules, names: Names, kind: ComponentKind, values: Mapping[str, Any]
) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": names.metadata(names.of(kind), kind),
        "spec": {
            "podSelector": {"matchLabels": names.selector(kind)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": _ingress(args, rules, kind),
            "egress": _egress(args, rules, kind, values),
        },
    }


def _ingress(args: AgentFleetArgs, rules: NetworkRules, kind: ComponentKind) -> list[dict[str, Any]]:
    """Who may connect; the node's probes always may (Kubernetes lets a pod's own node in)."""
    ports = _ports([args.port])
    found: list[dict[str, Any]] = []
    if kind == "api":
        peers = _clients(args, rules)
        found.append({**({"from": peers} if peers else {}), "ports": ports})
    if rules.metrics_namespaces:
        found.append({"from": [_namespaces(rules.metrics_namespaces)], "ports": ports})
    return found


def _clients(args: AgentFleetArgs, rules: NetworkRules) -> list[dict[str, Any]]:
    """The API's peers; none means anybody."""
    chosen = rules.clients
    named: list[dict[str, Any]] = [{"ipBlock": {"cidr": cidr}} for cidr in rules.client_cidrs]
    if rules.client_namespaces:
        named.append(_namespaces(rules.client_namespaces))
    if chosen is None and not named:
        exposed = args.service.type == "load-balancer" or args.ingress or args.gateway
        chosen = "anywhere" if exposed else "cluster"
    if chosen == "namespace":
        named.append({"podSelector": {}})
    if chosen == "cluster":
        named.append({"namespaceSelector": {}})
    return named


def _egress(args: AgentFleetArgs, rules: NetworkRules, kind: ComponentKind, values: Mapping[str, Any]) -> Any:
    """Whom pods may connect to. Ports that only the update will know keep the whole an `Output`."""
    addresses = [value for name, value in values.items() if name.endswith(_ADDRESSES)]
    return computed(addresses, lambda known: _egress_rules(args, rules, kind, known))


def _egress_rules(
    args: AgentFleetArgs, rules: NetworkRules, kind: ComponentKind, addresses: Iterable[Any]
) -> list[dict[str, Any]]:
    ports = {port for address in addresses for port in ports_of(str(address))} - {_HTTPS}
    found: list[dict[str, Any]] = [
        # To anywhere: clusters have their DNS in pods, on nodes (EKS Auto Mode) or on a link-local address.
        {"ports": [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]},
        {"to": _reached(rules.https_cidrs), "ports": _ports([_HTTPS])},
    ]
    if ports:
        found.append({"to": _reached(None), "ports": _ports(sorted(ports))})
    if args.cluster_name is not None and args.oidc_provider_arn is None:
        found.append({"to": _blocks(_POD_IDENTITY_AGENT), "ports": _ports([80])})
    if args.uses_kubernetes(kind):
        found.append({"to": _reached(rules.kubernetes_cidrs), "ports": _ports([_HTTPS, 6443])})
    return [*found, *map(_extra, rules.egress)]


def _extra(rule: EgressRule) -> dict[str, Any]:
    peers = [*_blocks(rule.cidrs), *([_namespaces(rule.namespaces)] if rule.namespaces else [])]
    return {"to": peers or _reached(None), "ports": _ports(rule.ports, rule.protocol)}


def _reached(cidrs: Sequence[str] | None) -> list[dict[str, Any]]:
    """Addresses; without any all but the node's own services. Some networks see no pods in an ipBlock."""
    if cidrs is not None:
        return _blocks(cidrs)
    return [
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": list(_LINK_LOCAL)}},
        {"ipBlock": {"cidr": "::/0", "except": list(_LINK_LOCAL_6)}},
        {"namespaceSelector": {}},
    ]


def _blocks(cidrs: Iterable[str]) -> list[dict[str, Any]]:
    return [{"ipBlock": {"cidr": cidr}} for cidr in cidrs]


def _namespaces(names: Sequence[str]) -> dict[str, Any]:
    expression = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": list(names)}
    return {"namespaceSelector": {"matchExpressions": [expression]}}


def _ports(ports: Iterable[int], protocol: str = "TCP") -> list[dict[str, Any]]:
    return [{"port": port, "protocol": protocol} for port in ports]


def ports_of(address: str) -> set[int]:
    """The ports that an address leads to: none for what is no address, or is the pod itself.

    A Postgres address may name several hosts: `postgresql://one:5432,two:5433/agents`.
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        return set()
    default = _DEFAULT_PORTS.get(parts.scheme)
    if default is None:
        return set()
    found: set[int] = set()
    for each in parts.netloc.rpartition("@")[2].split(","):
        host, _, port = each.rpartition(":") if not each.endswith("]") else (each, "", "")
        if not host:
            host, port = each, ""
        if not _is_loopback(host.strip("[]")):
            found.add(int(port) if port.isdecimal() else default)
    return {port for port in found if 1 <= port <= 65535}


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False

"""Whom a fleet's pods may talk to, and who to them."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_infra import AgentFleet, ArgsError
from agent_infra.fleet.network_policy import ports_of
from tests.unit.fleet_objects import CERTIFICATE, IMAGE, QUEUE, named, objects, objects_of, one, recorded
from tests.unit.recording import record

Rules = list[dict[str, Any]]


def ingress(name: str = "support", **args: Any) -> Rules:
    rules: Rules = one("NetworkPolicy", name, **args)["spec"]["ingress"]
    return rules


def egress(name: str = "support", **args: Any) -> Rules:
    rules: Rules = one("NetworkPolicy", name, **args)["spec"]["egress"]
    return rules


def allowed(rules: Rules, address: str, port: int, protocol: str = "TCP") -> bool:
    """Whether a policy lets a connection to an address outside the cluster through."""
    return any(
        {"port": port, "protocol": protocol} in rule["ports"]
        and ("to" not in rule or any(_has(peer, address) for peer in rule["to"]))
        for rule in rules
    )


def _has(peer: dict[str, Any], address: str) -> bool:
    block = peer.get("ipBlock")
    if block is None:
        return False
    found = ip_address(address)
    return found in ip_network(block["cidr"]) and not any(
        found in ip_network(cidr) for cidr in block.get("except", ())
    )


def test_both_directions_are_denied_but_for_what_is_said() -> None:
    made = objects(queue=QUEUE)
    assert len([each for each in made if each["kind"] == "NetworkPolicy"]) == 2
    for name in ("support", "support-worker"):
        policy, deployment = named(made, "NetworkPolicy", name), named(made, "Deployment", name)
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        selector = policy["spec"]["podSelector"]["matchLabels"]
        assert selector.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    assert ingress("support-worker", queue=QUEUE) == []


def test_pods_speak_https_to_anywhere_but_the_nodes_own_services() -> None:
    rules = egress()
    for address in ("1.1.1.1", "10.0.0.5", "2606:4700::1"):
        assert allowed(rules, address, 443)
        assert not allowed(rules, address, 80)
        assert not allowed(rules, address, 22)
    for address in ("169.254.169.254", "fd00:ec2::254"):
        assert not any(allowed(rules, address, port) for port in (80, 443))


def test_names_are_resolved_wherever_the_cluster_has_its_dns() -> None:
    for protocol in ("UDP", "TCP"):
        for address in ("172.20.0.10", "169.254.20.10"):
            assert allowed(egress(), address, 53, protocol)


def test_pod_identitys_agent_is_reached_where_it_is_used() -> None:
    agents = ("169.254.170.23", "fd00:ec2::23")
    assert all(allowed(egress(cluster_name="agents"), agent, 80) for agent in agents)
    assert not allowed(egress(cluster_name="agents"), "169.254.169.254", 80)
    assert not allowed(egress(), agents[0], 80)
    irsa = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLE"
    assert not allowed(egress(oidc_provider_arn=irsa), agents[0], 80)


def test_the_ports_of_the_fleets_own_connections_are_open_and_no_others() -> None:
    rules = egress(
        cache={"url": "rediss://cache.example:6380/0"},
        database={"url": "postgresql://db.example/agents"},
        extra_environment={
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.monitoring:4318",
            "NOT_AN_ADDRESS": "http://elsewhere:9999",
        },
        llm={"openai_base_url": "http://gateway.llm/v1"},
    )
    opened = {port["port"] for rule in rules for port in rule["ports"]}
    assert opened == {53, 443, 6380, 5432, 4318, 80}
    assert allowed(rules, "10.0.0.5", 80)
    assert not allowed(rules, "169.254.169.254", 80), "an address on port 80 does not open the instance's"


def test_addresses_on_the_pod_itself_open_nothing() -> None:
    rules = egress(cache={"url": "redis://127.0.0.1:6399"}, database={"url": "postgresql://localhost:5433/a"})
    assert {port["port"] for rule in rules for port in rule["ports"]} == {53, 443}


def test_ports_that_only_the_update_knows_are_followed() -> None:
    def program() -> None:
        url = pulumi.Output.from_input("rediss://later.example:7000")
        AgentFleet("support", {"image": IMAGE, "cache": {"url": url}})

    rules = named(objects_of(record(program)), "NetworkPolicy")["spec"]["egress"]
    assert allowed(rules, "10.0.0.5", 7000)


def test_what_is_not_known_in_a_preview_stays_unknown_and_opens_nothing() -> None:
    def program() -> None:
        # What a preview has of a cluster that is not there yet.
        url: pulumi.Output[str] = pulumi.Output(
            set(), _resolved("redis://never.example"), _resolved(False), _resolved(False)
        )
        AgentFleet("support", {"image": IMAGE, "cache": {"url": url}})

    spec = record(program, preview=True).one("kubernetes:networking.k8s.io/v1:NetworkPolicy").inputs["spec"]
    assert not isinstance(spec.get("egress"), list)


async def _resolved(value: Any) -> Any:
    return value


def test_who_may_ask_follows_from_how_the_fleet_is_reached() -> None:
    assert ingress() == [{"from": [{"namespaceSelector": {}}], "ports": [{"port": 8000, "protocol": "TCP"}]}]
    anybody = [{"ports": [{"port": 8000, "protocol": "TCP"}]}]
    balancer = {"type": "load-balancer"}
    host = {"host": "a.example.com", "certificate_arn": CERTIFICATE}
    assert ingress(service=balancer) == ingress(ingress=host) == anybody
    (own,) = ingress(network_policy={"clients": "namespace"})
    assert own["from"] == [{"podSelector": {}}]


def test_clients_can_be_said_by_namespace_and_by_address() -> None:
    rules = {"client_namespaces": ["gateways"], "client_cidrs": ["10.0.0.0/16"]}
    (rule,) = ingress(network_policy=rules, service={"type": "load-balancer"})
    assert rule["from"] == [
        {"ipBlock": {"cidr": "10.0.0.0/16"}},
        {
            "namespaceSelector": {
                "matchExpressions": [
                    {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["gateways"]}
                ]
            }
        },
    ]


def test_metrics_of_workers_are_read_by_those_who_were_named() -> None:
    (rule,) = ingress("support-worker", queue=QUEUE, network_policy={"metrics_namespaces": ["monitoring"]})
    assert rule["from"][0]["namespaceSelector"]["matchExpressions"][0]["values"] == ["monitoring"]
    assert rule["ports"] == [{"port": 8000, "protocol": "TCP"}]


def test_more_can_be_let_out_and_https_can_be_narrowed() -> None:
    rules = egress(
        network_policy={
            "https_cidrs": ["203.0.113.0/24"],
            "egress": [{"ports": [9092], "namespaces": ["kafka"]}, {"ports": [514], "protocol": "UDP"}],
        }
    )
    assert allowed(rules, "203.0.113.9", 443)
    assert not allowed(rules, "1.1.1.1", 443)
    assert allowed(rules, "1.1.1.1", 514, "UDP")
    assert not allowed(rules, "169.254.169.254", 514, "UDP")
    assert not allowed(rules, "1.1.1.1", 9092)


def test_pods_that_use_kubernetes_reach_its_api() -> None:
    assert not allowed(egress(), "10.0.0.5", 6443)
    uses = {"extra_pod_spec": {"automountServiceAccountToken": True}}
    assert allowed(egress(**uses), "10.0.0.5", 6443)
    assert not allowed(egress(**uses, network_policy={"kubernetes_cidrs": ["10.9.0.0/16"]}), "10.0.0.5", 6443)


def test_no_policy_is_a_choice() -> None:
    assert not [each for each in objects(network_policy=None) if each["kind"] == "NetworkPolicy"]


@pytest.mark.parametrize(
    ("address", "ports"),
    [
        ("https://sqs.eu-central-1.amazonaws.com/1/q", {443}),
        ("postgresql://agents@one:5433,two:5434/agents", {5433, 5434}),
        ("postgresql://[2001:db8::1]:5433/agents", {5433}),
        ("redis://[2001:db8::1]", {6379}),
        ("redis://[::1]:7000", set()),
        ("rediss://user@cache", {6379}),
        ("s3://bucket", set()),
        ("", set()),
    ],
)
def test_an_addresss_ports(address: str, ports: set[int]) -> None:
    assert ports_of(address) == ports


@given(
    st.text(max_size=60) | st.from_regex(r"(https?|rediss?|postgresql)://[^/\s]{0,30}(/\w*)?", fullmatch=True)
)
def test_no_text_is_too_odd_to_be_an_address(text: str) -> None:
    assert all(1 <= port <= 65535 for port in ports_of(text))


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"clients": "anywhere", "client_cidrs": ["10.0.0.0/8"]}, "clients is anywhere"),
        ({"client_cidrs": ["10.0.0.1/8"]}, "client_cidrs.0: '10.0.0.1/8' is wrong: say a range"),
        ({"client_namespaces": ["Kafka"]}, "client_namespaces.0: 'Kafka' is wrong"),
        ({"egress": [{"ports": []}]}, "egress.0.ports"),
        ({"egress": [{"ports": [70_000]}]}, "egress.0.ports.0: 70000 is wrong"),
        ({"egres": []}, "network_policy.egres: is not known; did you mean 'egress'?"),
    ],
)
def test_rules_that_cannot_be_are_told_with_the_way_out(rules: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgsError) as raised:
        recorded(network_policy=rules)
    assert said in str(raised.value)

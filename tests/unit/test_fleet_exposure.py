"""How a fleet is reached: its Service, Ingress or HTTPRoute, and the address that is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_infra import AgentFleetArgs, ArgsError
from agent_infra.contract import LONGEST_TASK_SECONDS
from agent_infra.fleet.exposure import exposed, request_seconds
from agent_infra.fleet.names import Names
from agent_infra.fleet.service import service
from tests.unit.fleet_objects import CERTIFICATE, IMAGE, objects, one, recorded
from tests.unit.test_platform import platform

NAMES = Names("support", namespace="agents", part_of="support")
LB = {"type": "load-balancer"}
AWS = "service.beta.kubernetes.io/aws-load-balancer"
ALB = "alb.ingress.kubernetes.io"


def annotations(kind: str, **args: Any) -> dict[str, str]:
    found: dict[str, str] = one(kind, **args)["metadata"].get("annotations", {})
    return found


def test_a_fleet_is_reached_inside_the_cluster_alone_where_nothing_is_said() -> None:
    made = objects()
    assert not [each for each in made if each["kind"] in {"Ingress", "HTTPRoute"}]
    service = next(each for each in made if each["kind"] == "Service")
    assert service["spec"]["type"] == "ClusterIP"
    assert recorded(namespace="agents").result == "http://support.agents.svc"
    assert recorded(service={"port": 8080}).result == "http://support.default.svc:8080"


def test_a_load_balancer_is_internal_where_nothing_else_is_said() -> None:
    made = one("Service", service=LB)
    assert made["spec"]["type"] == "LoadBalancer"
    assert "loadBalancerClass" not in made["spec"]
    said = made["metadata"]["annotations"]
    assert said[f"{AWS}-scheme"] == "internal"
    assert said["service.beta.kubernetes.io/azure-load-balancer-internal"] == "true"
    assert said["networking.gke.io/load-balancer-type"] == "Internal"
    assert said[f"{AWS}-nlb-target-type"] == "ip"
    assert said[f"{AWS}-healthcheck-path"] == "/readyz"


def test_a_load_balancer_on_the_internet_speaks_tls() -> None:
    public = {
        **LB,
        "internal": False,
        "certificate_arn": CERTIFICATE,
        "source_ranges": ["203.0.113.0/24"],
        "load_balancer_class": "eks.amazonaws.com/nlb",
        "annotations": {"example.com/team": "support"},
    }
    made = one("Service", service=public)
    assert made["spec"]["ports"][0]["port"] == 443
    assert made["spec"]["loadBalancerSourceRanges"] == ["203.0.113.0/24"]
    assert made["spec"]["loadBalancerClass"] == "eks.amazonaws.com/nlb"
    said = made["metadata"]["annotations"]
    assert said[f"{AWS}-scheme"] == "internet-facing"
    assert said[f"{AWS}-ssl-cert"] == CERTIFICATE
    assert said[f"{AWS}-ssl-ports"] == "443"
    assert said["example.com/team"] == "support"
    assert not [name for name in said if "internal" in name.rpartition("/")[2]]
    assert recorded(service=public).result == "https://support.default.svc"


def test_a_silent_request_outlives_the_load_balancers_own_patience() -> None:
    name = f"{AWS}-listener-attributes.TCP-80"
    assert name not in annotations("Service", service=LB, task_timeout=300)
    assert annotations("Service", service=LB, task_timeout=900)[name] == "tcp.idle_timeout.seconds=915"
    assert annotations("Service", service=LB, task_timeout=20_000)[name] == "tcp.idle_timeout.seconds=6000"


@pytest.mark.parametrize(
    ("ingress", "wanted"),
    [
        (
            {"class_name": "alb", "certificate_arn": CERTIFICATE},
            {
                f"{ALB}/scheme": "internal",
                f"{ALB}/target-type": "ip",
                f"{ALB}/listen-ports": json.dumps([{"HTTPS": 443}]),
                f"{ALB}/certificate-arn": CERTIFICATE,
                f"{ALB}/healthcheck-path": "/readyz",
                f"{ALB}/load-balancer-attributes": "idle_timeout.timeout_seconds=915",
                f"{ALB}/target-group-attributes": "deregistration_delay.timeout_seconds=915",
            },
        ),
        (
            {"class_name": "nginx", "tls_secret": "support-tls"},
            {
                "nginx.ingress.kubernetes.io/proxy-read-timeout": "915",
                "nginx.ingress.kubernetes.io/proxy-send-timeout": "915",
                "nginx.ingress.kubernetes.io/proxy-buffering": "off",
                "nginx.ingress.kubernetes.io/ssl-redirect": "true",
            },
        ),
        ({"class_name": "traefik", "default_certificate": True}, {}),
    ],
)
def test_an_ingress_does_not_cut_what_the_contract_allows(
    ingress: dict[str, Any], wanted: dict[str, str]
) -> None:
    args = {"ingress": {"host": "agents.example.com", **ingress}, "task_timeout": 900}
    assert annotations("Ingress", **args) == wanted
    assert recorded(**args).result == "https://agents.example.com"


def test_an_ingress_leads_to_the_service_with_tls() -> None:
    made = one("Ingress", ingress={"host": "a.example.com", "tls_secret": "tls", "path": "/support"})
    assert made["spec"] == {
        "tls": [{"hosts": ["a.example.com"], "secretName": "tls"}],
        "rules": [
            {
                "host": "a.example.com",
                "http": {
                    "paths": [
                        {
                            "path": "/support",
                            "pathType": "Prefix",
                            "backend": {"service": {"name": "support", "port": {"number": 80}}},
                        }
                    ]
                },
            }
        ],
    }


def test_an_ingress_without_tls_is_a_choice() -> None:
    plain = {"host": "a.example.com", "class_name": "alb", "plain_http": True, "internal": False}
    said = annotations("Ingress", ingress=plain)
    assert said[f"{ALB}/listen-ports"] == json.dumps([{"HTTP": 80}])
    assert said[f"{ALB}/scheme"] == "internet-facing"
    assert recorded(ingress=plain).result == "http://a.example.com"


def test_a_route_answers_by_one_listener_and_does_not_cut_a_stream() -> None:
    gateway = {"name": "shared", "namespace": "gateways", "hostnames": ["*.example.com", "a.example.com"]}
    made = one("HTTPRoute", gateway=gateway, task_timeout=600)
    assert made["apiVersion"] == "gateway.networking.k8s.io/v1"
    assert made["spec"] == {
        "parentRefs": [{"name": "shared", "namespace": "gateways", "sectionName": "https"}],
        "hostnames": ["*.example.com", "a.example.com"],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "backendRefs": [{"name": "support", "port": 80}],
                "timeouts": {"request": "615s"},
            }
        ],
    }
    assert recorded(gateway=gateway).result == "https://a.example.com"


def test_a_gateway_that_takes_no_timeouts_gets_none() -> None:
    made = one("HTTPRoute", gateway={"name": "g", "hostnames": ["a.example.com"], "timeouts": False})
    assert "timeouts" not in made["spec"]["rules"][0]


@given(st.integers(1, LONGEST_TASK_SECONDS))
def test_every_derived_timeout_is_one_that_its_proxy_takes_and_outlives_what_it_can(timeout: int) -> None:
    def made(**said: Any) -> Any:
        return AgentFleetArgs.model_validate({"image": IMAGE, "task_timeout": timeout, **said})

    seconds = request_seconds(made())
    assert seconds > timeout
    (alb,) = exposed(made(ingress={"host": "a.b", "certificate_arn": CERTIFICATE}), NAMES)
    said = alb["metadata"]["annotations"]
    idle = int(said[f"{ALB}/load-balancer-attributes"].rpartition("=")[2])
    drain = int(said[f"{ALB}/target-group-attributes"].rpartition("=")[2])
    assert 1 <= idle <= 4000
    assert 0 <= drain <= 3600
    assert idle > timeout or idle == 4000
    (route,) = exposed(made(gateway={"name": "g", "hostnames": ["a.b"]}), NAMES)
    assert route["spec"]["rules"][0]["timeouts"] == {"request": f"{seconds}s"}
    assert len(str(seconds)) <= 5
    balancer = service(made(service=LB), NAMES)["metadata"]["annotations"]
    nlb = int(balancer.get(f"{AWS}-listener-attributes.TCP-80", "=350").rpartition("=")[2])
    assert 60 <= nlb <= 6000
    assert nlb > timeout or nlb == 6000


HOST = {"host": "a.example.com"}
GATEWAY = {"name": "g", "hostnames": ["a.example.com"]}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (
            {"service": {"internal": False}},
            "service: internal is about a load balancer, and type is cluster-ip",
        ),
        ({"service": {**LB, "internal": False}}, "on the internet without TLS"),
        (
            {"service": {**LB, "certificate_arn": CERTIFICATE, "plain_http": True}},
            "certificate_arn makes it speak TLS, and plain_http says it does not",
        ),
        (
            {"service": {**LB, "source_ranges": ["10.0.0.1/8"]}},
            "source_ranges.0: '10.0.0.1/8' is wrong: say a",
        ),
        ({"service": {"port": 0}}, "service.port: 0 is wrong"),
        ({"service": {"type": "node-port"}}, "service.type: 'node-port' is wrong"),
        ({"service_port": 80}, "service_port: is not known; did you mean 'service'?"),
        ({"ingress": HOST}, "a.example.com would answer without TLS"),
        (
            {"ingress": {**HOST, "tls_secret": "a", "plain_http": True}},
            "tls_secret and plain_http contradict",
        ),
        ({"ingress": {**HOST, "class_name": "alb", "tls_secret": "a"}}, "say certificate_arn"),
        (
            {"ingress": {**HOST, "class_name": "nginx", "certificate_arn": CERTIFICATE}},
            "certificate_arn is for AWS's load balancers, and the controller is nginx",
        ),
        ({"ingress": {**HOST, "tls_secret": "a", "internal": True}}, "internal is for AWS's load balancers"),
        ({"ingress": {"host": "https://a", "plain_http": True}}, "ingress.host: 'https://a' is wrong"),
        ({"ingress": {**HOST, "plain_http": True, "path": "/a//b"}}, "ingress.path: '/a//b' is wrong"),
        ({"gateway": {**GATEWAY, "hostnames": []}}, "gateway.hostnames"),
        (
            {"gateway": GATEWAY, "ingress": {**HOST, "plain_http": True}},
            "ingress and gateway would be 2 ways",
        ),
        ({"gateway": GATEWAY, "service": LB}, "service.type load-balancer and gateway would be 2 ways in"),
    ],
)
def test_ways_in_that_cannot_be_are_told_with_the_way_out(args: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgsError) as raised:
        recorded(**args)
    assert said in str(raised.value)


def test_an_environment_tells_where_its_fleets_answer() -> None:
    ingress = {"host": "a.example.com", "tls_secret": "a-tls"}
    fleets = {"support": {"image": IMAGE, "ingress": ingress}, "inner": {"image": IMAGE}}
    told = platform("local", change={"fleets": fleets}).result["fleets"]
    assert told["support"]["url"] == "https://a.example.com"
    assert told["inner"]["url"] == "http://inner.agents.svc"

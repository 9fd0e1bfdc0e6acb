"""What leads to a fleet from outside the cluster, and its address."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pulumi

from agent_infra.fleet.args import AgentFleetArgs
from agent_infra.fleet.exposure_args import FleetGateway, FleetIngress
from agent_infra.fleet.names import Names
from agent_infra.fleet.objects import Manifest

#: An ALB waits this long for a byte at most, and lets requests end for an hour at most
#: (https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html).
_ALB_LONGEST_IDLE = 4000
_ALB_LONGEST_DRAIN = 3600


def request_seconds(args: AgentFleetArgs) -> int:
    """How long a request or a stream may take at most, its end included: what no proxy may cut."""
    return args.numbers().drain


def exposed(args: AgentFleetArgs, names: Names) -> list[Manifest]:
    """What is before the Service."""
    if args.ingress is not None:
        return [ingress(args, args.ingress, names)]
    if args.gateway is not None:
        return [http_route(args, args.gateway, names)]
    return []


def ingress(args: AgentFleetArgs, said: FleetIngress, names: Names) -> Manifest:
    """An Ingress whose controller does not cut what the task contract allows."""
    backend = {"service": {"name": names.fleet, "port": {"number": args.service.listens}}}
    path = {"path": said.path, "pathType": "Prefix", "backend": backend}
    secret = {"secretName": said.tls_secret} if said.tls_secret else {}
    with_tls = said.tls_secret is not None or said.default_certificate
    annotations = {**_ingress_annotations(args, said), **said.annotations}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            **names.metadata(names.fleet, "api"),
            **({"annotations": annotations} if annotations else {}),
        },
        "spec": {
            **({"ingressClassName": said.class_name} if said.class_name else {}),
            **({"tls": [{"hosts": [said.host], **secret}]} if with_tls else {}),
            "rules": [{"host": said.host, "http": {"paths": [path]}}],
        },
    }


def _ingress_annotations(args: AgentFleetArgs, said: FleetIngress) -> dict[str, Any]:
    seconds = request_seconds(args)
    if said.kind == "nginx":
        prefix = "nginx.ingress.kubernetes.io"
        return {
            f"{prefix}/proxy-read-timeout": str(seconds),
            f"{prefix}/proxy-send-timeout": str(seconds),
            # Streams are shown as they are said.
            f"{prefix}/proxy-buffering": "off",
            f"{prefix}/ssl-redirect": "false" if said.plain_http else "true",
        }
    if said.kind == "alb":
        prefix = "alb.ingress.kubernetes.io"
        certificate = (
            {} if said.certificate_arn is None else {f"{prefix}/certificate-arn": said.certificate_arn}
        )
        return {
            f"{prefix}/scheme": "internal" if said.internal else "internet-facing",
            f"{prefix}/target-type": "ip",
            f"{prefix}/listen-ports": json.dumps([{"HTTP": 80} if said.plain_http else {"HTTPS": 443}]),
            f"{prefix}/healthcheck-path": args.probes.ready_path,
            f"{prefix}/load-balancer-attributes": (
                f"idle_timeout.timeout_seconds={min(seconds, _ALB_LONGEST_IDLE)}"
            ),
            f"{prefix}/target-group-attributes": (
                f"deregistration_delay.timeout_seconds={min(seconds, _ALB_LONGEST_DRAIN)}"
            ),
            **certificate,
        }
    return {}


def http_route(args: AgentFleetArgs, said: FleetGateway, names: Names) -> Manifest:
    """An HTTPRoute whose timeout is the contract's: Gateways' own are shorter than a task."""
    parent = {"name": said.name, "sectionName": said.listener}
    if said.namespace is not None:
        parent["namespace"] = said.namespace
    rule: dict[str, Any] = {
        "matches": [{"path": {"type": "PathPrefix", "value": said.path}}],
        "backendRefs": [{"name": names.fleet, "port": args.service.listens}],
    }
    if said.timeouts:
        rule["timeouts"] = {"request": f"{request_seconds(args)}s"}
    annotations = {"annotations": dict(said.annotations)} if said.annotations else {}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {**names.metadata(names.fleet, "api"), **annotations},
        "spec": {"parentRefs": [parent], "hostnames": list(said.hostnames), "rules": [rule]},
    }


def url(args: AgentFleetArgs, names: Names, status: pulumi.Output[Any]) -> pulumi.Output[str]:
    """Where the fleet answers, as far as can be known: outside the cluster where it is exposed.

    A load balancer's name is known after the update that made it; before that, and where nothing
    makes load balancers, it is the address inside the cluster.
    """
    if args.ingress is not None:
        return _address(args.ingress.host, args.ingress.path, tls=not args.ingress.plain_http)
    if args.gateway is not None:
        gateway = args.gateway
        host = next((name for name in gateway.hostnames if not name.startswith("*")), gateway.hostnames[0])
        return _address(host, gateway.path, tls=not gateway.plain_http)
    service = args.service
    port = service.listens
    tls = service.certificate_arn is not None
    scheme, usual = ("https", 443) if tls else ("http", 80)

    def written(known: Sequence[Any]) -> str:
        status, namespace = known
        host = _balancer(status) or f"{names.fleet}.{namespace}.svc"
        return f"{scheme}://{host}{'' if port == usual else f':{port}'}"

    return pulumi.Output.all(status, names.namespace).apply(written)


def _address(host: str, path: str, *, tls: bool) -> pulumi.Output[str]:
    return pulumi.Output.from_input(f"{'https' if tls else 'http'}://{host}{path.rstrip('/')}")


def _balancer(status: Any) -> str | None:
    """The load balancer's name or address out of a Service's status, as the SDK or a plain mapping has it."""
    balancer = _field(status, "loadBalancer", "load_balancer")
    first = next(iter(_field(balancer, "ingress", "ingress") or ()), None)
    found = _field(first, "hostname", "hostname") or _field(first, "ip", "ip")
    return f"[{found}]" if found and ":" in found else found


def _field(value: Any, name: str, attribute: str) -> Any:
    if value is None:
        return None
    return (
        value.get(name, value.get(attribute)) if isinstance(value, dict) else getattr(value, attribute, None)
    )

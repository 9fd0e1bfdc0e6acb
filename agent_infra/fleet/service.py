"""The fleet's Service: its one address inside the cluster, or a load balancer of its own."""

from __future__ import annotations

from typing import Any

from agent_infra.fleet.args import AgentFleetArgs
from agent_infra.fleet.exposure import request_seconds
from agent_infra.fleet.names import Names
from agent_infra.fleet.objects import Manifest

_AWS = "service.beta.kubernetes.io/aws-load-balancer"
#: What each cloud takes as "from the private network alone"; one does not mind another's.
_INTERNAL = {
    f"{_AWS}-internal": "true",
    "service.beta.kubernetes.io/azure-load-balancer-internal": "true",
    "networking.gke.io/load-balancer-type": "Internal",
}
#: A Network Load Balancer drops a connection that is silent for 350 s; without TLS that can be 60 to 6000
#: (https://docs.aws.amazon.com/elasticloadbalancing/latest/network/update-idle-timeout.html).
_NLB_IDLE = 350
_NLB_LONGEST_IDLE = 6000


def service(args: AgentFleetArgs, names: Names) -> Manifest:
    """What leads to the API's pods."""
    said = args.service
    port = {"name": "http", "port": said.listens, "targetPort": args.port, "protocol": "TCP"}
    spec: dict[str, Any] = {"type": "ClusterIP", "selector": names.selector("api"), "ports": [port]}
    annotations: dict[str, Any] = {}
    if said.type == "load-balancer":
        spec["type"] = "LoadBalancer"
        if said.load_balancer_class is not None:
            spec["loadBalancerClass"] = said.load_balancer_class
        if said.source_ranges:
            spec["loadBalancerSourceRanges"] = list(said.source_ranges)
        annotations = _balancer_annotations(args)
    annotations |= said.annotations
    more = {"annotations": annotations} if annotations else {}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {**names.metadata(names.fleet, "api"), **more},
        "spec": spec,
    }


def _balancer_annotations(args: AgentFleetArgs) -> dict[str, Any]:
    said = args.service
    port = said.listens
    found: dict[str, Any] = {
        f"{_AWS}-scheme": "internal" if said.internal else "internet-facing",
        # To the pods themselves: a node that goes takes no connection with it.
        f"{_AWS}-nlb-target-type": "ip",
        f"{_AWS}-healthcheck-protocol": "HTTP",
        f"{_AWS}-healthcheck-path": args.probes.ready_path,
        **(_INTERNAL if said.internal else {}),
    }
    if said.certificate_arn is not None:
        found |= {
            f"{_AWS}-ssl-cert": said.certificate_arn,
            f"{_AWS}-ssl-ports": str(port),
            f"{_AWS}-backend-protocol": "tcp",
        }
    elif request_seconds(args) > _NLB_IDLE:
        seconds = min(request_seconds(args), _NLB_LONGEST_IDLE)
        found[f"{_AWS}-listener-attributes.TCP-{port}"] = f"tcp.idle_timeout.seconds={seconds}"
    return found

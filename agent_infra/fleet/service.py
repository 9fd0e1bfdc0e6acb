"""The fleet's one address inside the cluster."""

from __future__ import annotations

from agent_infra.fleet.args import AgentFleetArgs
from agent_infra.fleet.names import Names
from agent_infra.fleet.objects import Manifest


def service(args: AgentFleetArgs, names: Names) -> Manifest:
    """The fleet's one address inside the cluster."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": names.metadata(names.fleet, "api"),
        "spec": {
            "type": "ClusterIP",
            "selector": names.selector("api"),
            "ports": [
                {"name": "http", "port": args.service_port, "targetPort": args.port, "protocol": "TCP"}
            ],
        },
    }

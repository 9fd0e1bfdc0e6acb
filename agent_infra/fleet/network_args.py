"""Whom a fleet's pods may talk to, and who to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from agent_infra.component import Args
from agent_infra.fleet.exposure_args import Cidr, NamespaceName

Port = Annotated[int, Field(ge=1, le=65535)]


class EgressRule(Args):
    """Somewhere that pods may connect to, besides what the fleet's own settings name."""

    ports: Sequence[Port] = Field(min_length=1)
    protocol: Literal["TCP", "UDP"] = "TCP"
    cidrs: Sequence[Cidr] = ()
    namespaces: Sequence[NamespaceName] = ()
    """Namespaces of the cluster. Without these and `cidrs` it is anywhere but the node's own services."""


class NetworkRules(Args):
    """The fleet's network policies: nothing in and out but what is said here and what the fleet needs."""

    clients: Literal["namespace", "cluster", "anywhere"] | None = None
    """Who may ask the API: pods of the fleet's namespace, pods of the cluster, or whoever reaches it.
    Where it is not said: the cluster, or anywhere where the fleet is exposed, as load balancers and some
    gateways have addresses outside the cluster."""
    client_namespaces: Sequence[NamespaceName] = ()
    """Such as the ingress controller's. Without `clients` it is these and `client_cidrs` alone."""
    client_cidrs: Sequence[Cidr] = ()
    """Such as the load balancer's subnets."""
    metrics_namespaces: Sequence[NamespaceName] = ()
    """Whose pods read /metrics of the API's and of the workers' pods, such as monitoring."""
    https_cidrs: Sequence[Cidr] | None = None
    """Where pods may speak HTTPS (port 443); anywhere but the node's own services where it is not said."""
    kubernetes_cidrs: Sequence[Cidr] | None = None
    """Where the Kubernetes API server is, for pods that use it; anywhere (ports 443 and 6443) where it is
    not said."""
    egress: Sequence[EgressRule] = ()
    """Where else pods may connect to."""

    @model_validator(mode="after")
    def _said_once(self) -> Self:
        if self.clients == "anywhere" and (self.client_namespaces or self.client_cidrs):
            raise ValueError(
                "clients is anywhere, and client_namespaces or client_cidrs would be less; leave out one"
            )
        return self

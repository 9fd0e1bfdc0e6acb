"""How a fleet is reached: its Service, and the Ingress or the Gateway before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from agent_infra.component import Args, MaybeOutput, shaped


def _cidr(text: str) -> str:
    try:
        ip_network(text)
    except ValueError:
        raise ValueError(
            "say a range of addresses without bits behind its length, such as 10.0.0.0/16"
        ) from None
    return text if "/" in text else f"{text}/{ip_network(text).prefixlen}"


Cidr = Annotated[str, AfterValidator(_cidr)]
_DNS_NAME = r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+"
Host = Annotated[
    str, shaped(_DNS_NAME, "a host name in lower case, without a port, such as agents.example.com")
]
Hostname = Annotated[
    str,
    shaped(
        rf"(\*\.)?{_DNS_NAME}",
        "a host name in lower case, such as agents.example.com or *.example.com",
    ),
]
#: What names most of Kubernetes' objects.
ObjectName = Annotated[
    str,
    shaped(
        r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*",
        "the name of a Kubernetes object: lower-case letters, digits, dashes and dots",
    ),
]
NamespaceName = Annotated[
    str,
    shaped(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", "a namespace: up to 63 lower-case letters, digits, dashes"),
]
CertificateArn = Annotated[
    str,
    shaped(
        r"arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate/[A-Za-z0-9-]+",
        "a certificate in ACM, such as arn:aws:acm:eu-central-1:123456789012:certificate/1234abcd-12ab",
    ),
]
UrlPath = Annotated[str, shaped(r"/|(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)+/?", "a path such as /readyz")]


class FleetService(Args):
    """The fleet's Service: an address inside the cluster, or a load balancer of its own."""

    type: Literal["cluster-ip", "load-balancer"] = "cluster-ip"
    port: int = Field(default=80, ge=1, le=65535)
    """443 where it is not said and there is a certificate."""
    annotations: Mapping[str, str] = {}
    """More annotations; they win over the derived ones."""
    internal: bool = True
    """Whether the load balancer is reached from the private network alone (AWS, Azure, Google Cloud)."""
    source_ranges: Sequence[Cidr] = ()
    """Whom the load balancer lets in; everybody who reaches it where it is not said."""
    load_balancer_class: str | None = None
    """Which controller makes the load balancer, such as `eks.amazonaws.com/nlb` (EKS Auto Mode, where it is
    the default) or `service.k8s.aws/nlb` (AWS Load Balancer Controller); the cluster's default where it
    is not said. It cannot be changed later."""
    certificate_arn: MaybeOutput[CertificateArn] | None = None
    """A certificate in ACM: AWS's load balancer speaks TLS with it."""
    plain_http: bool = False
    """Says that an address on the internet without TLS is meant."""

    @property
    def listens(self) -> int:
        """The Service's port."""
        return 443 if self.certificate_arn is not None and "port" not in self.model_fields_set else self.port

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        of_balancers = {"internal", "source_ranges", "load_balancer_class", "certificate_arn", "plain_http"}
        if self.type == "cluster-ip":
            if said := sorted(of_balancers & self.model_fields_set):
                raise ValueError(
                    f"{', '.join(said)} is about a load balancer, and type is cluster-ip; say `type: "
                    "load-balancer`, or leave it out"
                )
            return self
        if self.plain_http and self.certificate_arn is not None:
            raise ValueError("certificate_arn makes it speak TLS, and plain_http says it does not; say one")
        if not (self.internal or self.plain_http) and self.certificate_arn is None:
            raise ValueError(
                "internal is false: the fleet would be on the internet without TLS, and its keys could be "
                "read on the way; say certificate_arn (AWS), use `ingress` or `gateway` with TLS, or say "
                "`plain_http: true` where that is meant"
            )
        return self


class FleetIngress(Args):
    """An Ingress before the fleet's Service. How it speaks TLS is said by one of four."""

    host: Host
    class_name: ObjectName | None = None
    """The IngressClass, such as alb or nginx; the cluster's default where it is not said."""
    controller: Literal["alb", "nginx", "other"] | None = None
    """Whose annotations are derived: AWS's load balancers, ingress-nginx, or none. Where it is not said
    it follows from `class_name`, or from a certificate_arn."""
    path: UrlPath = "/"
    tls_secret: ObjectName | None = None
    """A Kubernetes secret of type kubernetes.io/tls in the fleet's namespace, such as cert-manager's."""
    certificate_arn: MaybeOutput[CertificateArn] | None = None
    """A certificate in ACM, for AWS's load balancers."""
    default_certificate: bool = False
    """The controller has a certificate for the host: a wildcard one, the class's own, or one that AWS's
    controller finds in ACM by the host."""
    plain_http: bool = False
    """No TLS, on purpose."""
    internal: bool = True
    """With AWS's load balancers: reached from the private network alone. Elsewhere the controller decides."""
    annotations: Mapping[str, str] = {}
    """More annotations; they win over the derived ones."""

    @property
    def kind(self) -> Literal["alb", "nginx", "other"]:
        """Whose annotations it gets."""
        if self.controller is not None:
            return self.controller
        if self.class_name == "alb" or (self.class_name is None and self.certificate_arn is not None):
            return "alb"
        return "nginx" if self.class_name == "nginx" else "other"

    @model_validator(mode="after")
    def _speaks_tls_in_one_way(self) -> Self:
        ways = {
            "tls_secret": self.tls_secret is not None,
            "certificate_arn": self.certificate_arn is not None,
            "default_certificate": self.default_certificate,
            "plain_http": self.plain_http,
        }
        said = [way for way, is_said in ways.items() if is_said]
        if not said:
            raise ValueError(
                f"{self.host} would answer without TLS, and keys could be read on the way; say tls_secret, "
                "certificate_arn (AWS) or `default_certificate: true`, or `plain_http: true` where that is "
                "meant"
            )
        if len(said) > 1:
            raise ValueError(f"{' and '.join(said)} contradict each other; say one of {', '.join(ways)}")
        if self.kind == "alb" and self.tls_secret is not None:
            raise ValueError(
                "AWS's load balancers take no tls_secret: their certificates are in ACM; say certificate_arn"
            )
        if self.kind != "alb" and self.certificate_arn is not None:
            raise ValueError(
                f"certificate_arn is for AWS's load balancers, and the controller is {self.kind}; say "
                "tls_secret, or `controller: alb`"
            )
        if self.kind != "alb" and "internal" in self.model_fields_set:
            raise ValueError(
                f"internal is for AWS's load balancers, and the controller is {self.kind}, which answers "
                "where it answers; choose it by class_name"
            )
        return self


class FleetGateway(Args):
    """An HTTPRoute of the Gateway API, attached to a Gateway that is there."""

    name: ObjectName
    """The Gateway."""
    namespace: NamespaceName | None = None
    """Where the Gateway is; the fleet's namespace where it is not said. Its listener must let that in."""
    listener: ObjectName = "https"
    """The Gateway's listener; no other answers for the fleet, so none without TLS does by chance."""
    hostnames: Sequence[Hostname] = Field(min_length=1, max_length=16)
    path: UrlPath = "/"
    timeouts: bool = True
    """Whether the route says how long a request may take; not every implementation takes it."""
    plain_http: bool = False
    """Says that the listener speaks no TLS, and that this is meant."""
    annotations: Mapping[str, str] = {}


def one_way_in(service: FleetService, ingress: FleetIngress | None, gateway: FleetGateway | None) -> None:
    """
    Raises:
        ValueError: there is more than one way in from outside the cluster.
    """
    ways = {
        "service.type load-balancer": service.type == "load-balancer",
        "ingress": ingress is not None,
        "gateway": gateway is not None,
    }
    said = [way for way, is_said in ways.items() if is_said]
    if len(said) > 1:
        raise ValueError(
            f"{' and '.join(said)} would be {len(said)} ways in, each with rules of its own; say one"
        )

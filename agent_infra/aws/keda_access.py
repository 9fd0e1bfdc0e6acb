"""What a fleet has to know of the KEDA in its cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import model_validator

from agent_infra.aws.secret_policies import RoleArn
from agent_infra.component import Args, shaped

ObjectName = Annotated[
    str,
    shaped(
        r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?",
        "a Kubernetes object's name: lower-case letters, digits, dashes and dots",
    ),
]


def _is_server(url: str) -> bool:
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return (
        usable
        and parts.scheme in {"http", "https"}
        and not (parts.query or parts.fragment or "@" in parts.netloc)
    )


class Prometheus(Args):
    """A Prometheus, or what speaks as one."""

    url: str
    """Where KEDA's pods reach it, such as http://prometheus.monitoring:9090."""
    authentication: ObjectName | None = None
    """A TriggerAuthentication in the fleet's namespace, where the server asks who comes."""
    auth_modes: Sequence[Literal["bearer", "basic", "tls", "custom", "oauth"]] = ()
    """What that TriggerAuthentication holds; none where it is a pod identity."""

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        if not _is_server(self.url):
            # Not repeated: there may be a login in it.
            raise ValueError(
                "url is no Prometheus server's address; say one that KEDA's pods reach, without a login, ? "
                "and #, such as http://prometheus.monitoring:9090; a login belongs into a "
                "TriggerAuthentication"
            )
        if self.auth_modes and self.authentication is None:
            raise ValueError(
                "`auth_modes` says what the TriggerAuthentication holds, and `authentication` names none; "
                "add it, or leave `auth_modes` out"
            )
        return self


class KedaAccess(Args):
    """The KEDA in a cluster, as its fleets see it: even {} says that there is one.

    Where nothing else is said KEDA's operator reads queues by a role of its own.
    """

    prometheus: Prometheus | None = None
    """Where the fleets' metrics are: for `concurrency`, and for queries that name no server."""
    authentication: ObjectName | None = None
    """A TriggerAuthentication that is there, in the fleets' namespace, by which queues are read."""
    role_arn: RoleArn | None = None
    """A role that the operator takes to read queues, such as one in another account."""
    credentials_secret: ObjectName | None = None
    """A Kubernetes secret in the fleets' namespace with awsAccessKeyID and awsSecretAccessKey, for a KEDA
    outside AWS."""

    @model_validator(mode="after")
    def _one_identity(self) -> Self:
        names = ("authentication", "role_arn", "credentials_secret")
        said = [name for name in names if getattr(self, name) is not None]
        if len(said) > 1:
            raise ValueError(
                f"{' and '.join(said)} each say by what KEDA reads queues; leave one, or none where its "
                "operator has a role of its own"
            )
        return self

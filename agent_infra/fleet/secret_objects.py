"""External Secrets' objects and the charts' values, as plain mappings; pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent_infra.component import MaybeOutput
from agent_infra.fleet.secret_sync_args import SecretSource

API_VERSION = "external-secrets.io/v1"
#: `up` waits until the operator says so, and tells what the operator tells where it does not.
_WAIT = {"pulumi.com/waitFor": "condition=Ready"}
_RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def metadata(
    name: MaybeOutput[str], namespace: MaybeOutput[str], annotations: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": namespace,
        "labels": {"app.kubernetes.io/managed-by": "agent-infra"},
        "annotations": {**_WAIT, **(annotations or {})},
    }


def store(*, region: MaybeOutput[str], role_arn: MaybeOutput[str] | None) -> dict[str, Any]:
    """A SecretStore's spec: one region's Secrets Manager, by the operator's own role or one that it takes."""
    role = {} if role_arn is None else {"role": role_arn}
    return {"provider": {"aws": {"service": "SecretsManager", "region": region, **role}}}


def external_secret(
    name: str, source: SecretSource, *, store_name: str, refresh_seconds: int
) -> dict[str, Any]:
    """An ExternalSecret's spec. Its Kubernetes secret goes with it, and stays when AWS's is gone."""
    if source.keys is None:
        content: dict[str, Any] = {"dataFrom": [{"extract": {"key": source.arn}}]}
    else:
        content = {
            "data": [
                {"secretKey": key, "remoteRef": {"key": source.arn, "property": property}}
                for key, property in source.keys.items()
            ]
        }
    return {
        "refreshInterval": f"{refresh_seconds}s",
        "secretStoreRef": {"name": store_name, "kind": "SecretStore"},
        "target": {"name": name, "creationPolicy": "Owner", "deletionPolicy": "Retain"},
        **content,
    }


def operator_values(
    *,
    name: str,
    namespace: MaybeOutput[str],
    role_arn: MaybeOutput[str] | None,
    definitions: bool,
) -> dict[str, Any]:
    """External Secrets for one namespace: no right outside it, and nothing that the whole cluster calls.

    `role_arn` is for IRSA; Pod Identity needs nothing here.
    """
    identity = {} if role_arn is None else {"annotations": {"eks.amazonaws.com/role-arn": role_arn}}
    unused = ("ClusterStore", "ClusterExternalSecret", "ClusterGenerator", "ClusterPushSecret", "PushSecret")
    return {
        "fullnameOverride": name,
        "installCRDs": definitions,
        # Without its kind every ExternalSecret of the cluster would go, and its Kubernetes secret with it.
        "crds": {"annotations": {"helm.sh/resource-policy": "keep"}, "conversion": {"enabled": False}},
        "scopedNamespace": namespace,
        "scopedRBAC": True,
        **{f"process{kind}": False for kind in unused},
        # It has its identity from its own pod, and needs no other account's token.
        "rbac": {"serviceAccountTokenCreate": False, "servicebindings": {"create": False}},
        "webhook": {"create": False},
        "certController": {"create": False},
        "serviceAccount": {"create": True, "name": name, **identity},
        "resources": {"requests": {"cpu": "25m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
    }


def reloader_values(*, name: str) -> dict[str, Any]:
    """Reloader for its own namespace, and for secrets alone: a fleet's settings are in its pods' template."""
    return {
        "fullnameOverride": name,
        "reloader": {
            "watchGlobally": False,
            "ignoreConfigMaps": True,
            # On the pods' annotations, which no program says, and not into their environment.
            "reloadStrategy": "annotations",
            "readOnlyRootFileSystem": True,
            "deployment": {
                "containerSecurityContext": _RESTRICTED,
                "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
            },
        },
    }

"""What the parts may do that Kubernetes has no roles of its own for: what each needs, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agent_infra.local.cluster.api import Manifest

_READ = ("get", "list", "watch")
_WRITE = ("create", "delete", "get", "list", "patch", "update", "watch")
_CHANGE = ("get", "list", "patch", "update", "watch")
_GROUP = "rbac.authorization.k8s.io"


def _rule(group: str, resources: Sequence[str], verbs: Sequence[str]) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}


_KWOK_KINDS = (
    *("attaches", "clusterattaches", "clusterexecs", "clusterlogs", "clusterportforwards"),
    *("clusterresourceusages", "execs", "logs", "metrics", "portforwards", "resourceusages", "stages"),
)
#: As a node manager: what all kubelets together do.
_KWOK = (
    _rule("", ["nodes"], _READ),
    _rule("", ["nodes/status", "pods/status"], ["patch", "update"]),
    _rule("", ["pods"], ["delete", "get", "list", "patch", "update", "watch"]),
    _rule("", ["events"], ["create", "patch", "update"]),
    _rule("coordination.k8s.io", ["leases"], ["create", "get", "list", "patch", "update", "watch"]),
    _rule("kwok.x-k8s.io", _KWOK_KINDS, _READ),
    _rule("kwok.x-k8s.io", [f"{kind}/status" for kind in _KWOK_KINDS], ["patch", "update"]),
)
_METRICS_SERVER = (
    _rule("", ["nodes/metrics"], ["get"]),
    _rule("", ["pods", "nodes"], _READ),
)
_KEDA_KINDS = ("clustertriggerauthentications", "scaledjobs", "scaledobjects", "triggerauthentications")
_KEDA_EVENTS = ("cloudeventsources", "clustercloudeventsources")
#: KEDA's own role may read every object there is; here it reads what fleets scale.
_KEDA = (
    _rule("", ["configmaps", "pods", "secrets", "services", "limitranges", "serviceaccounts"], _READ),
    _rule("", ["events"], ["create", "patch"]),
    _rule("*", ["*/scale"], _CHANGE),
    _rule("apps", ["deployments", "statefulsets", "replicasets"], _READ),
    _rule("argoproj.io", ["rollouts"], _READ),
    _rule("autoscaling", ["horizontalpodautoscalers"], _WRITE),
    _rule("batch", ["jobs"], _WRITE),
    _rule("discovery.k8s.io", ["endpointslices"], _READ),
    _rule("eventing.keda.sh", [*_KEDA_EVENTS, *(f"{kind}/status" for kind in _KEDA_EVENTS)], _CHANGE),
    _rule(
        "keda.sh",
        [f"{kind}{part}" for kind in _KEDA_KINDS for part in ("", "/status", "/finalizers")],
        _CHANGE,
    ),
)
_ARGO = (
    _rule("argoproj.io", ["rollouts", "rollouts/status", "rollouts/finalizers"], _CHANGE),
    _rule(
        "argoproj.io",
        ["analysisruns", "analysisruns/finalizers", "experiments", "experiments/finalizers"],
        _WRITE,
    ),
    _rule("argoproj.io", ["analysistemplates", "clusteranalysistemplates"], _READ),
    _rule("apps", ["replicasets"], _WRITE),
    _rule("apps", ["deployments", "deployments/scale"], ["get", "list", "patch", "update", "watch"]),
    _rule("", ["podtemplates"], _READ),
    _rule("", ["services"], _WRITE),
    _rule("", ["configmaps", "secrets"], _READ),
    _rule("", ["pods"], ["get", "list", "update", "watch"]),
    _rule("", ["pods/eviction"], ["create"]),
    _rule("", ["events"], ["create", "patch", "update"]),
    _rule("batch", ["jobs"], _WRITE),
    _rule("networking.k8s.io", ["ingresses"], ["create", *_CHANGE]),
    _rule("coordination.k8s.io", ["leases"], ["create", "get", "update"]),
)
_ROLES = {
    "kwok": _KWOK,
    "metrics-server": _METRICS_SERVER,
    "keda": _KEDA,
    "argo-rollouts": _ARGO,
}
#: Those that serve a part of the API ask the API server who their callers are and what they may.
_DELEGATING = ("metrics-server", "keda")


def roles() -> list[Manifest]:
    """The roles and who has them."""
    found: list[Manifest] = []
    for part, rules in _ROLES.items():
        name = f"agent-infra:{part}"
        found += [
            {
                "apiVersion": f"{_GROUP}/v1",
                "kind": "ClusterRole",
                "metadata": {"name": name},
                "rules": list(rules),
            },
            _binding(name, name, name),
        ]
    for part in _DELEGATING:
        name = f"agent-infra:{part}"
        found += [
            _binding(f"{name}:auth-delegator", "system:auth-delegator", name),
            {
                **_binding(f"{name}:auth-reader", "extension-apiserver-authentication-reader", name),
                "kind": "RoleBinding",
                "metadata": {"name": f"{name}:auth-reader", "namespace": "kube-system"},
                "roleRef": {
                    "apiGroup": _GROUP,
                    "kind": "Role",
                    "name": "extension-apiserver-authentication-reader",
                },
            },
        ]
    # Kubernetes' own role for it, which a cluster binds to the certificate that it made.
    found.append(
        _binding("agent-infra:kubelet-client", "system:kubelet-api-admin", "kube-apiserver-kubelet-client")
    )
    # Who may view a namespace may view its figures, as metrics-server's own manifests have it.
    found.append(
        {
            "apiVersion": f"{_GROUP}/v1",
            "kind": "ClusterRole",
            "metadata": {
                "name": "system:aggregated-metrics-reader",
                "labels": {
                    f"rbac.authorization.k8s.io/aggregate-to-{role}": "true"
                    for role in ("admin", "edit", "view")
                },
            },
            "rules": [_rule("metrics.k8s.io", ["pods", "nodes"], _READ)],
        }
    )
    return found


def _binding(name: str, role: str, user: str) -> Manifest:
    return {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": _GROUP, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": _GROUP, "kind": "User", "name": user}],
    }

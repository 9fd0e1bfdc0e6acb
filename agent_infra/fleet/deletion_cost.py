"""What lets workers tell Kubernetes how busy they are, and nothing else.

A worker keeps its own pod's annotation `controller.kubernetes.io/pod-deletion-cost`, so that idle pods go
first when there are to be fewer. RBAC can only say "patch pods"; a ValidatingAdmissionPolicy (Kubernetes
1.30 and later) narrows that to the pod that asks, and to that one annotation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi

from agent_infra.fleet.fleet_contract import CONTAINER
from agent_infra.fleet.objects import Manifest
from agent_infra.outputs import computed

ANNOTATION = "controller.kubernetes.io/pod-deletion-cost"
#: Where a worker finds its pod's name, namespace, token and the API server's authority.
DIRECTORY = "/var/run/agent-infra/pod"
_VOLUME = "pod"
#: The kubelet replaces a token before it ends; the API server takes none that lives shorter than ten minutes.
_TOKEN_SECONDS = 3600
_RBAC = "rbac.authorization.k8s.io"
_ADMISSION = "admissionregistration.k8s.io/v1"


def pod_part() -> dict[str, Any]:
    """What a worker's pod spec has besides: a token that its one container alone can read."""
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": _TOKEN_SECONDS}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {
            "downwardAPI": {
                "items": [
                    {"path": field, "fieldRef": {"fieldPath": f"metadata.{field}"}}
                    for field in ("name", "namespace")
                ]
            }
        },
    ]
    return {
        "containers": [
            {
                "name": CONTAINER,
                "env": [{"name": "AGENT_APP_POD_DIRECTORY", "value": DIRECTORY}],
                "volumeMounts": [{"name": _VOLUME, "mountPath": DIRECTORY, "readOnly": True}],
            }
        ],
        "volumes": [{"name": _VOLUME, "projected": {"defaultMode": 0o440, "sources": sources}}],
    }


def role(name: str, *, namespace: Any, labels: dict[str, str]) -> Manifest:
    """To patch pods; a role alone cannot say which, or what of them."""
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "Role",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["patch"]}],
    }


def role_binding(
    name: str, service_accounts: Sequence[str], *, namespace: Any, labels: dict[str, str]
) -> Manifest:
    """Gives the role to the workers' ServiceAccounts."""
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": name},
        "subjects": [
            {"kind": "ServiceAccount", "name": account, "namespace": namespace}
            for account in service_accounts
        ],
    }


def policy(name: Any, service_accounts: Sequence[str], *, namespace: Any, labels: dict[str, str]) -> Manifest:
    """Of what these ServiceAccounts do to pods, refuses all but their own pod's deletion cost.

    A token that the kubelet gives a pod names the pod, and so does who asks with it
    (`authentication.kubernetes.io/pod-name`). Others' requests are no matter of the policy.
    """
    users = computed(
        namespace,
        lambda known: ", ".join(f"'system:serviceaccount:{known}:{account}'" for account in service_accounts),
    )
    return {
        "apiVersion": _ADMISSION,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                # A patch is an UPDATE to admission.
                "resourceRules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["UPDATE"],
                        "resources": ["pods"],
                    }
                ],
            },
            "matchConditions": [
                {
                    "name": "a-worker-asks",
                    "expression": pulumi.Output.concat("request.userInfo.username in [", users, "]"),
                }
            ],
            "variables": [
                {
                    "name": "asking",
                    "expression": "request.userInfo.?extra[?'authentication.kubernetes.io/pod-name'][0]"
                    ".orValue('')",
                },
                {"name": "before", "expression": "oldObject.metadata.?annotations.orValue({})"},
                {"name": "after", "expression": "object.metadata.?annotations.orValue({})"},
            ],
            "validations": [
                {
                    "expression": "variables.asking != '' && variables.asking == object.metadata.name",
                    "message": "a worker may change its own pod and no other",
                    "reason": "Forbidden",
                },
                {
                    "expression": "object.spec == oldObject.spec && "
                    + " && ".join(_same(field, empty) for field, empty in _KEPT.items()),
                    "message": "a worker may change its pod's deletion cost and nothing else of it",
                    "reason": "Forbidden",
                },
                {
                    "expression": f"variables.after.all(key, key == '{ANNOTATION}' || "
                    "(key in variables.before && variables.before[key] == variables.after[key])) && "
                    f"variables.before.all(key, key == '{ANNOTATION}' || key in variables.after)",
                    "message": "a worker may change its pod's deletion cost and no other annotation",
                    "reason": "Forbidden",
                },
                {
                    "expression": f"variables.after[?'{ANNOTATION}'].orValue('').matches('^[0-9]{{1,6}}$')",
                    "message": "a pod's deletion cost is the number of its tasks in hand",
                },
            ],
        },
    }


#: Of a pod's metadata: what could be changed, and what it is where it is not there.
_KEPT = {"labels": "{}", "ownerReferences": "[]", "finalizers": "[]"}


def _same(field: str, empty: str) -> str:
    sides = (f"{side}.metadata.?{field}.orValue({empty})" for side in ("object", "oldObject"))
    return " == ".join(sides)


def policy_binding(name: Any, *, labels: dict[str, str]) -> Manifest:
    """Puts the policy in force."""
    return {
        "apiVersion": _ADMISSION,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name, "labels": labels},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }

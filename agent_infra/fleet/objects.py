"""How manifests become resources: which of the SDK's classes makes which kind of object."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pulumi
from pulumi_kubernetes import apiextensions, apps, autoscaling, core, networking, policy

#: A Kubernetes object in Kubernetes' own names, `apiVersion` and `kind` included.
Manifest = dict[str, Any]

_CLASSES: dict[tuple[str, str], Callable[..., pulumi.CustomResource]] = {
    ("v1", "Secret"): core.v1.Secret,
    ("v1", "Service"): core.v1.Service,
    ("v1", "ServiceAccount"): core.v1.ServiceAccount,
    ("apps/v1", "Deployment"): apps.v1.Deployment,
    ("policy/v1", "PodDisruptionBudget"): policy.v1.PodDisruptionBudget,
    ("autoscaling/v2", "HorizontalPodAutoscaler"): autoscaling.v2.HorizontalPodAutoscaler,
    ("networking.k8s.io/v1", "Ingress"): networking.v1.Ingress,
    ("networking.k8s.io/v1", "NetworkPolicy"): networking.v1.NetworkPolicy,
}


#: Imported where one is made: a fleet of its own seldom has them.
_RARE = {
    ("rbac.authorization.k8s.io/v1", "Role"): "rbac",
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): "rbac",
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"): "admissionregistration",
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding"): "admissionregistration",
}


def _rare(version: str, kind: str) -> Callable[..., pulumi.CustomResource] | None:
    module = _RARE.get((version, kind))
    if module is None:
        return None
    found: Callable[..., pulumi.CustomResource] = getattr(
        importlib.import_module(f"pulumi_kubernetes.{module}.v1"), kind
    )
    return found


def registered(name: str, manifest: Manifest, opts: pulumi.ResourceOptions) -> Any:
    """The object as a resource; a kind that Kubernetes itself does not have is a custom one."""
    version, kind = manifest["apiVersion"], manifest["kind"]
    fields = {_attribute(key): value for key, value in manifest.items() if key not in {"apiVersion", "kind"}}
    made = _CLASSES.get((version, kind)) or _rare(version, kind)
    if made is None:
        return apiextensions.CustomResource(name, api_version=version, kind=kind, opts=opts, **fields)
    return made(name, opts=opts, **fields)


def _attribute(key: str) -> str:
    """The SDK's name of a manifest's top-level field."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)

"""Storage, and the parts that serve some of the API themselves."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent_infra.local.cluster.api import Manifest

#: Group, version, the namespace and name of who serves it, and the name of its port.
_SERVED = (
    ("metrics.k8s.io", "v1beta1", "kube-system", "metrics-server", "metrics-server"),
    ("external.metrics.k8s.io", "v1beta1", "kube-system", "keda-metrics-apiserver", "keda-adapter"),
)


def first() -> list[Manifest]:
    """What everything else needs.

    No namespace is made: those of a stack, KEDA's own too, are its own to make and to delete.
    """
    return [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": "gp3",
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            # Nobody makes volumes here: a claim waits, as one does for which there is no room.
            "provisioner": "ebs.csi.eks.amazonaws.com",
            "parameters": {"type": "gp3", "encrypted": "true"},
            "volumeBindingMode": "WaitForFirstConsumer",
            "allowVolumeExpansion": True,
        },
        _unlimited("agent-infra-kwok", "agent-infra:kwok"),
    ]


def served(ports: Mapping[str, int], authority: Path) -> list[Manifest]:
    """Where the API server finds those who serve a part of its API.

    A Service cannot have a loopback address behind it; one of the type ExternalName can be called localhost.
    """
    bundle = base64.b64encode(authority.read_bytes()).decode()
    found: list[Manifest] = []
    for group, version, namespace, name, port in _SERVED:
        found += [
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name, "namespace": namespace},
                "spec": {
                    "type": "ExternalName",
                    "externalName": "localhost",
                    "ports": [{"name": "https", "port": ports[port], "protocol": "TCP"}],
                },
            },
            {
                "apiVersion": "apiregistration.k8s.io/v1",
                "kind": "APIService",
                "metadata": {"name": f"{version}.{group}"},
                "spec": {
                    "group": group,
                    "version": version,
                    "groupPriorityMinimum": 100,
                    "versionPriority": 100,
                    "caBundle": bundle,
                    "service": {"namespace": namespace, "name": name, "port": ports[port]},
                },
            },
        ]
    return found


def api_services() -> list[str]:
    """Their names."""
    return [f"{version}.{group}" for group, version, *_ in _SERVED]


def _unlimited(name: str, user: str) -> Manifest:
    """One kwok asks for what a thousand kubelets would: it is not to wait as one client."""
    anything: dict[str, Any] = {
        "subjects": [{"kind": "User", "user": {"name": user}}],
        "resourceRules": [
            {
                "apiGroups": ["*"],
                "resources": ["*"],
                "verbs": ["*"],
                "namespaces": ["*"],
                "clusterScope": True,
            }
        ],
    }
    return {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "FlowSchema",
        "metadata": {"name": name},
        "spec": {
            "priorityLevelConfiguration": {"name": "exempt"},
            "matchingPrecedence": 1000,
            "rules": [anything],
        },
    }

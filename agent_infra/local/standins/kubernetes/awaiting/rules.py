"""Which kinds are waited for: those that the official plugin waits for, definitions and namespaces."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from agent_infra.local.standins.kubernetes.awaiting import (
    deployments,
    jobs,
    networks,
    others,
    pods,
    sets,
)
from agent_infra.local.standins.kubernetes.awaiting.verdicts import Rule
from agent_infra.local.standins.kubernetes.kinds import Kind

#: The rule of a kind by its group and name; a kind without one is ready once it is there.
RULES: Final[dict[tuple[str, str], Rule]] = {
    ("", "Namespace"): others.NAMESPACE,
    ("", "PersistentVolume"): others.VOLUME,
    ("", "PersistentVolumeClaim"): others.CLAIM,
    ("", "Pod"): pods.RULE,
    ("", "ReplicationController"): sets.REPLICATION_CONTROLLER,
    ("", "ResourceQuota"): others.QUOTA,
    ("", "Secret"): others.SECRET,
    ("", "Service"): networks.SERVICE_RULE,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): others.DEFINITION,
    ("apps", "DaemonSet"): sets.DAEMON_SET,
    ("apps", "Deployment"): deployments.RULE,
    ("apps", "StatefulSet"): sets.STATEFUL_SET,
    ("batch", "Job"): jobs.RULE,
    ("networking.k8s.io", "Ingress"): networks.INGRESS_RULE,
}


def of(kind: Kind) -> Rule | None:
    return RULES.get((kind.group, kind.name))


def without_balancers(rule: Rule) -> Rule:
    """The same, where nothing gives load balancers their addresses."""
    return replace(rule, judge=lambda scene: rule.judge(replace(scene, balancers=False)))

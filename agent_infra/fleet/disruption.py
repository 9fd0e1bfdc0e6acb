"""What keeps a fleet whole while nodes come and go."""

from __future__ import annotations

from agent_infra.contract import TaskContract
from agent_infra.fleet.names import ComponentKind, Names
from agent_infra.fleet.objects import Manifest


def disruption_budget(contract: TaskContract, names: Names, kind: ComponentKind) -> Manifest:
    """How many pods a drain may take at once: always one at least, or a node would never be drained.

    A pod that is on its way out counts as taken only until a new one is ready: a drain does not wait for
    its tasks. Pods that do not get ready stand in no drain's way.
    """
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": names.metadata(names.of(kind), kind),
        "spec": {
            "maxUnavailable": contract.disrupted,
            "selector": {"matchLabels": names.selector(kind)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def protection(contract: TaskContract, kind: ComponentKind, *, with_workers: bool) -> dict[str, str]:
    """A pod's annotations that keep its node where it need not go.

    Of a fleet with workers only theirs: the API's requests are short, and each such pod keeps a node from
    being saved. What has to go (an expired node, spot capacity taken back) goes all the same, after the
    pods' grace.
    """
    if not contract.protect or (with_workers and kind == "api"):
        return {}
    return {
        # Karpenter, and EKS Auto Mode, which is Karpenter.
        "karpenter.sh/do-not-disrupt": "true",
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    }

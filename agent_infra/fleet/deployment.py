"""The Deployment of one kind of pods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent_infra.fleet import configuration, followed_secrets, pod
from agent_infra.fleet.args import AgentFleetArgs
from agent_infra.fleet.deletion_cost import pod_part
from agent_infra.fleet.disruption import protection
from agent_infra.fleet.merge import merge
from agent_infra.fleet.names import ComponentKind, Names
from agent_infra.fleet.objects import Manifest
from agent_infra.fleet.scaling import scales


def deployment(
    args: AgentFleetArgs,
    names: Names,
    kind: ComponentKind,
    *,
    image: Any,
    values: Mapping[str, Any],
    secrets_hash: Any = None,
) -> Manifest:
    """A Deployment; under an autoscaler it says no replicas, or every update would reset them.

    Its template holds the settings (`values`) too, so that each revision that the cluster keeps is whole.
    """
    contract = args.numbers()
    replicas = args.replicas_of(kind)
    own = pod.spec(args, names, kind, image=image)
    ours = {each["name"] for part in ("initContainers", "containers") for each in own.get(part, ())}
    if args.tells_load(kind):
        own = merge(own, pod_part())
    fixed = {} if scales(replicas) else {"replicas": replicas.min}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            **names.metadata(names.of(kind), kind),
            "annotations": {
                # How long Pulumi waits; what it is, Kubernetes does not care.
                "pulumi.com/timeoutSeconds": str(contract.rollout_timeout),
                # Who goes back to an earlier revision owns its fields; the next `up` would be refused them.
                "pulumi.com/patchForce": "true",
                **followed_secrets.reloaded_with(args.synced_secrets),
            },
        },
        "spec": {
            **fixed,
            "progressDeadlineSeconds": contract.progress_deadline,
            "revisionHistoryLimit": args.rollout.revisions,
            "selector": {"matchLabels": names.owned(kind)},
            # A new pod is ready before an old one is told to stop.
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": contract.max_unavailable, "maxSurge": contract.max_surge},
            },
            "template": {
                "metadata": {
                    "labels": names.labels(kind),
                    "annotations": {
                        **({} if secrets_hash is None else {"agent-infra/secrets-hash": secrets_hash}),
                        **protection(contract, kind, with_workers=args.queue is not None),
                    },
                },
                "spec": configuration.held(merge(own, args.extra_pod_spec), values, containers=ours),
            },
        },
    }

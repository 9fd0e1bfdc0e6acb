"""How a fleet's Deployments are made, as its rollout's strategy wants them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from agent_infra.fleet import argo
from agent_infra.fleet.args import AgentFleetArgs
from agent_infra.fleet.canary import manifests as canaries
from agent_infra.fleet.canary.cluster import open_cluster
from agent_infra.fleet.canary.drive import Canary, Track
from agent_infra.fleet.canary.hooks import Trial
from agent_infra.fleet.names import ComponentKind, Names
from agent_infra.fleet.objects import Manifest, registered
from agent_infra.fleet.rollout_args import Rollout

Deployments = Mapping[ComponentKind, Manifest]


def target_of(rollout: Rollout) -> tuple[str, str]:
    """The apiVersion and kind of what holds the pods that have the traffic: what an autoscaler scales."""
    return argo.TARGET if rollout.strategy == "argo-rollouts" else ("apps/v1", "Deployment")


def rolled_out(
    name: str,
    args: AgentFleetArgs,
    names: Names,
    deployments: Deployments,
    *,
    opts: Any,
    needed: Sequence[pulumi.Resource],
) -> dict[ComponentKind, Any]:
    """Registers the Deployments, and what a canary wants beside them.

    Args:
        name: the fleet component's.
        args: the fleet's arguments.
        names: what its objects are called.
        deployments: their manifests.
        opts: makes a child's options.
        needed: what has to be there first.

    Returns:
        The Deployments that have the traffic, and that an autoscaler scales.
    """
    if args.rollout.strategy == "rolling":
        return {
            kind: registered(names.child(name, kind), manifest, opts(depends_on=list(needed)))
            for kind, manifest in deployments.items()
        }
    if args.rollout.strategy == "argo-rollouts":
        return _by_argo(name, args, names, deployments, opts=opts, needed=needed)
    revision = canaries.revision(list(deployments.values()))
    beside = [
        registered(
            f"{names.child(name, kind)}-canary",
            canaries.canary(manifest, names, kind, revision),
            opts(depends_on=list(needed)),
        )
        for kind, manifest in deployments.items()
    ]
    trial = Trial(
        lambda inputs: _begin(args, names, list(deployments), inputs),
        {"namespace": args.namespace, "kubeconfig": args.kubeconfig},
    )
    hooks = trial.guard(name)
    stable = {
        kind: registered(
            names.child(name, kind),
            canaries.stable(manifest, revision),
            opts(depends_on=[*needed, *beside], hooks=hooks),
        )
        for kind, manifest in deployments.items()
    }
    trial.retire_after(list(stable.values()))
    return stable


def _by_argo(
    name: str,
    args: AgentFleetArgs,
    names: Names,
    manifests: Deployments,
    *,
    opts: Any,
    needed: Sequence[pulumi.Resource],
) -> dict[ComponentKind, Any]:
    made = {}
    for kind, templates, rollout in argo.objects(manifests, args.rollout, names):
        child = names.child(name, kind)
        judges = [
            registered(f"{child}{suffix}", template, opts(depends_on=list(needed)))
            for suffix, template in templates
        ]
        made[kind] = registered(child, rollout, opts(depends_on=[*needed, *judges]))
    return made


def _begin(args: AgentFleetArgs, names: Names, kinds: Sequence[ComponentKind], inputs: Any) -> Canary:
    return Canary(
        fleet=names.fleet,
        cluster=open_cluster(inputs["namespace"], inputs["kubeconfig"]),
        rollout=args.rollout,
        tracks={kind: Track(stable=names.of(kind), canary=names.canary(kind)) for kind in kinds},
        port=args.port,
        start_seconds=float(args.numbers().start),
        tell=pulumi.log.info,
    )

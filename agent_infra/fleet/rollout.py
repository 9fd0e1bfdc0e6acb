"""How a fleet's Deployments are made, as its rollout's strategy wants them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from agent_infra.fleet.args import AgentFleetArgs
from agent_infra.fleet.canary import manifests as canaries
from agent_infra.fleet.canary.cluster import open_cluster
from agent_infra.fleet.canary.drive import Canary, Track
from agent_infra.fleet.canary.hooks import Trial
from agent_infra.fleet.names import ComponentKind, Names
from agent_infra.fleet.objects import Manifest, registered

Deployments = Mapping[ComponentKind, Manifest]


def rolled_out(
    name: str,
    args: AgentFleetArgs,
    names: Names,
    deployments: Deployments,
    *,
    values: Mapping[str, Any],
    opts: Any,
    needed: Sequence[pulumi.Resource],
) -> dict[ComponentKind, Any]:
    """Registers the Deployments, and what a canary wants beside them.

    Args:
        name: the fleet component's.
        args: the fleet's arguments.
        names: what its objects are called.
        deployments: their manifests.
        values: the pods' settings.
        opts: makes a child's options.
        needed: what has to be there first.

    Returns:
        The Deployments that have the traffic, and that an autoscaler scales.
    """
    if args.rollout.strategy != "canary":
        return {
            kind: registered(names.child(name, kind), manifest, opts(depends_on=list(needed)))
            for kind, manifest in deployments.items()
        }
    own = {kind: canaries.with_own_settings(each, names, values) for kind, each in deployments.items()}
    revision = canaries.revision(list(own.values()))
    beside = [
        registered(
            f"{names.child(name, kind)}-canary",
            canaries.canary(manifest, names, kind, revision),
            opts(depends_on=list(needed)),
        )
        for kind, manifest in own.items()
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
        for kind, manifest in own.items()
    }
    trial.retire_after(list(stable.values()))
    return stable


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

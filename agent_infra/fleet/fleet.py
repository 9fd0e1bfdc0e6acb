"""`AgentFleet`: replicas of one agent service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from agent_infra.component import Component
from agent_infra.fleet import configuration, followed_secrets, image
from agent_infra.fleet.account import service_account
from agent_infra.fleet.args import AgentFleetArgs
from agent_infra.fleet.deletion_cost_access import DeletionCostAccess
from agent_infra.fleet.deployment import deployment
from agent_infra.fleet.disruption import disruption_budget
from agent_infra.fleet.exposure import exposed, url
from agent_infra.fleet.kubernetes_secrets import kubernetes_secret
from agent_infra.fleet.names import ComponentKind, Names
from agent_infra.fleet.network_policy import network_policies
from agent_infra.fleet.objects import Manifest, registered
from agent_infra.fleet.role import checked_name, has_role, workload_role
from agent_infra.fleet.rollout import rolled_out, target_of
from agent_infra.fleet.scaling import autoscalers
from agent_infra.fleet.service import service


class AgentFleet(Component):
    """An agent service in any Kubernetes cluster: an API behind one address, and workers for its queue.

    Makes a Deployment with its PodDisruptionBudget, Service and ServiceAccount; an autoscaler where
    `replicas` leaves it a choice (an HPA, or KEDA's ScaledObject, which owns one); a second
    Deployment `<fleet>-worker` where there is a queue; an image where one is to be built; an AWS role
    for the pods where `cluster_name` or `oidc_provider_arn` is given. The pods satisfy Kubernetes'
    `restricted` pod security standard.

    The cluster is said by a Kubernetes provider: `ResourceOptions(provider=cluster.provider)`.

    Raises:
        ArgsError: an argument is wrong.
    """

    service: pulumi.Output[str]
    """The Service's name."""
    url: pulumi.Output[str]
    """Where it answers: its host where it is exposed, its load balancer once that is there, else its address
    inside the cluster."""
    namespace: pulumi.Output[str]
    image: pulumi.Output[str]
    """What the pods run; one that was built is `repository@sha256:...`."""
    role_arn: pulumi.Output[str | None]
    """The pods' AWS role, where they have one."""
    max_replicas: dict[str, int]
    """The most pods of each kind: what was said, lowered to what the model's limits keep busy."""

    def __init__(
        self,
        name: str,
        args: AgentFleetArgs | Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        self._args = args = AgentFleetArgs.parse(args, owner=f"AgentFleet {name!r}")
        fleet = checked_name("AgentFleet", name, args.fleet_name or name)
        image.check(f"AgentFleet {name!r}", args.image)
        super().__init__("AgentFleet", name, opts, tags=args.tags)
        self._names = names = Names(fleet, namespace=args.namespace, part_of=args.part_of or fleet)

        self.image = image.reference(
            f"{name}-image", args.image, require_digest=args.require_digest, opts=self._opts()
        )
        needed: list[pulumi.Resource] = []
        self.role_arn = pulumi.Output.from_input(None)
        annotations: dict[str, pulumi.Output[str]] = {}
        if has_role(args):
            role = workload_role(self, args, fleet=fleet, service_account=fleet)
            needed, annotations = list(role.needed), role.annotations
            self.role_arn = role.role.arn.apply(lambda arn: arn)
        needed.append(self._object(name, service_account(names, annotations)))
        environment = args.environment_name or pulumi.get_stack()
        values = configuration.values(args, fleet=fleet, environment=environment)
        for secret, content in args.kubernetes_secrets.items():
            needed.append(self._object(f"{name}-{secret}", kubernetes_secret(names, secret, content)))
        kinds: Sequence[ComponentKind] = ("api", "worker") if args.queue else ("api",)
        self.max_replicas = {kind: args.replicas_of(kind).max for kind in kinds}
        for kind, policy in network_policies(args, names, values, kinds):
            needed.append(self._object(names.child(name, kind), policy))
        api = self._workloads(kinds, values, needed)["api"]
        if args.tells_load("worker") and args.deletion_cost_role is None:
            access = {"namespace": args.namespace, "service_accounts": [fleet]}
            access["role_name"] = f"{fleet}-deletion-cost"
            DeletionCostAccess(f"{name}-deletion-cost", access, self._opts())
        # It selects by what only the newest pods may have: they are there first.
        made = self._object(name, service(args, names), [api])
        for manifest in exposed(args, names):
            self._object(name, manifest, [made])

        self.service = made.metadata.apply(lambda metadata: metadata.name or fleet)
        self.url = url(args, names, made.status)
        self.namespace = pulumi.Output.from_input(args.namespace)
        self.register_outputs(
            {
                "service": self.service,
                "url": self.url,
                "namespace": self.namespace,
                "image": self.image,
                "roleArn": self.role_arn,
                "maxReplicas": self.max_replicas,
            }
        )

    def _workloads(
        self, kinds: Sequence[ComponentKind], values: Mapping[str, Any], needed: Sequence[pulumi.Resource]
    ) -> Mapping[ComponentKind, pulumi.Resource]:
        args, names = self._args, self._names
        hashed = followed_secrets.secrets_hash(args)
        manifests = {
            kind: deployment(args, names, kind, image=self.image, values=values, secrets_hash=hashed)
            for kind in kinds
        }
        made = rolled_out(self._name, args, names, manifests, opts=self._opts, needed=needed)
        for kind in kinds:
            child = names.child(self._name, kind)
            self._object(child, disruption_budget(args.numbers(), names, kind))
            waits = [made[kind]]
            for scaling in autoscalers(args, names, kind, target=target_of(args.rollout)):
                waits.append(self._object(child, scaling, waits))
        return made

    def _object(self, name: str, manifest: Manifest, needed: Sequence[pulumi.Resource] = ()) -> Any:
        return registered(name, manifest, self._opts(depends_on=list(needed)))

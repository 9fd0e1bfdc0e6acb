"""`AgentFleet`: replicas of one agent service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi_kubernetes import apps, autoscaling, core

from agent_infra.component import Component
from agent_infra.fleet import followed_secrets, image, workload
from agent_infra.fleet.args import AgentFleetArgs, Replicas
from agent_infra.fleet.role import checked_name, has_role, workload_role
from agent_infra.fleet.workload import ComponentKind, Names


class AgentFleet(Component):
    """An agent service in any Kubernetes cluster: an API behind one address, and workers for its queue.

    Makes a Deployment, Service, ServiceAccount and ConfigMap; an autoscaler where `replicas` leaves
    it a choice; a second Deployment `<fleet>-worker` where there is a queue; an image where one is to
    be built; an AWS role for the pods where `cluster_name` or `oidc_provider_arn` is given. The pods
    satisfy Kubernetes' `restricted` pod security standard.

    The cluster is said by a Kubernetes provider: `ResourceOptions(provider=cluster.provider)`.

    Raises:
        ArgsError: an argument is wrong.
        FileNotFoundError: the directory to build the image from does not exist.
    """

    service: pulumi.Output[str]
    """The Service's name."""
    namespace: pulumi.Output[str]
    image: pulumi.Output[str]
    """What the pods run."""
    role_arn: pulumi.Output[str | None]
    """The pods' AWS role, where they have one."""

    def __init__(
        self,
        name: str,
        args: AgentFleetArgs | Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        self._args = args = AgentFleetArgs.parse(args, owner=f"AgentFleet {name!r}")
        fleet = checked_name("AgentFleet", name, args.fleet_name or name)
        super().__init__("AgentFleet", name, opts, tags=args.tags)
        self._names = names = Names(fleet, namespace=args.namespace, part_of=args.part_of or fleet)

        self.image = image.reference(f"{name}-image", args.image, opts=self._opts())
        needed: list[pulumi.Resource] = []
        role_arn: pulumi.Output[str | None] = pulumi.Output.from_input(None)
        annotations: dict[str, pulumi.Output[str]] = {}
        if has_role(args):
            role = workload_role(self, args, fleet=fleet, service_account=fleet)
            needed, annotations = list(role.needed), role.annotations
            role_arn = role.role.arn.apply(lambda arn: arn)
        account = core.v1.ServiceAccount(
            name,
            metadata=_untyped(
                {**names.metadata(fleet), **({"annotations": annotations} if annotations else {})}
            ),
            automount_service_account_token=False,
            opts=self._opts(),
        )
        needed.append(account)
        environment = args.environment_name or pulumi.get_stack()
        values = workload.configuration(args, fleet=fleet, environment=environment)
        needed.append(
            core.v1.ConfigMap(
                name, metadata=_untyped(names.metadata(names.config)), data=values, opts=self._opts()
            )
        )
        for secret, content in args.kubernetes_secrets.items():
            needed.append(self._secret(secret, content))
        config_hash = workload.configuration_hash(values)
        self._secrets_hash = followed_secrets.secrets_hash(args)
        self._workload("api", args.replicas, config_hash, needed)
        if args.queue:
            self._workload("worker", args.worker.replicas, config_hash, needed)
        manifest = workload.service(args, names)
        service = core.v1.Service(
            name, metadata=_untyped(manifest["metadata"]), spec=_untyped(manifest["spec"]), opts=self._opts()
        )

        self.service = service.metadata.apply(lambda metadata: metadata.name or fleet)
        self.namespace = pulumi.Output.from_input(args.namespace)
        self.role_arn = role_arn
        self.register_outputs(
            {
                "service": self.service,
                "namespace": self.namespace,
                "image": self.image,
                "roleArn": self.role_arn,
            }
        )

    def _secret(self, secret: str, content: Mapping[str, pulumi.Output[Any]]) -> core.v1.Secret:
        return core.v1.Secret(
            f"{self._name}-{secret}",
            metadata=_untyped(self._names.metadata(secret)),
            string_data={key: pulumi.Output.secret(value) for key, value in content.items()},
            opts=self._opts(),
        )

    def _workload(
        self,
        kind: ComponentKind,
        replicas: Replicas,
        config_hash: pulumi.Output[str],
        needed: list[pulumi.Resource],
    ) -> None:
        child = self._name if kind == "api" else f"{self._name}-worker"
        manifest = workload.deployment(
            self._args,
            self._names,
            kind,
            image=self.image,
            config_hash=config_hash,
            secrets_hash=self._secrets_hash,
        )
        made = apps.v1.Deployment(
            child,
            metadata=_untyped(manifest["metadata"]),
            spec=_untyped(manifest["spec"]),
            opts=self._opts(depends_on=needed),
        )
        if workload.scales(replicas):
            scaler = workload.autoscaler(replicas, self._names, kind)
            autoscaling.v2.HorizontalPodAutoscaler(
                child,
                metadata=_untyped(scaler["metadata"]),
                spec=_untyped(scaler["spec"]),
                opts=self._opts(depends_on=[made]),
            )


def _untyped(manifest: Any) -> Any:
    """A manifest as it is: the SDK takes mappings in Kubernetes' own names, which its types do not say."""
    return manifest

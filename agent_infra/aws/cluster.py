"""`EksCluster`: a Kubernetes cluster that brings its own nodes, disks and load balancers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from agent_infra.aws import keda, policies
from agent_infra.aws.cluster_access import Access, grant
from agent_infra.aws.cluster_addons import Addon, make_addons
from agent_infra.aws.cluster_args import EksClusterArgs, EksClusterOptions, ExistingCluster
from agent_infra.aws.cluster_compute import Compute, FargateProfile, NodeGroup
from agent_infra.aws.cluster_network_policy import enforce
from agent_infra.aws.cluster_nodes import Home, make_compute
from agent_infra.aws.cluster_roles import made_role
from agent_infra.aws.cluster_versions import guard
from agent_infra.aws.keda import Keda
from agent_infra.aws.kubeconfig import kubeconfig
from agent_infra.component import ArgsError, Component, Problem

__all__ = [
    "Access",
    "Compute",
    "EksCluster",
    "EksClusterArgs",
    "EksClusterOptions",
    "ExistingCluster",
    "FargateProfile",
    "Keda",
    "NodeGroup",
    "kubeconfig",
]

_CLUSTER_POLICIES: Final = ("AmazonEKSClusterPolicy",)
#: What Auto Mode does in the cluster's name.
_AUTO_POLICIES: Final = (
    "AmazonEKSComputePolicy",
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingPolicy",
)
_AUTO_NODE_POLICIES: Final = ("AmazonEKSWorkerNodeMinimalPolicy", "AmazonEC2ContainerRegistryPullOnly")
_LONGEST_NAME: Final = 100


@dataclass(frozen=True)
class _Found:
    """A cluster's own facts, whether it was made here or was there already."""

    name: pulumi.Output[str]
    arn: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    certificate: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    oidc_issuer: pulumi.Output[str]


class EksCluster(Component):
    """An EKS cluster in Auto Mode: nodes, block storage and load balancers are EKS's own business.

    Makes the cluster, its roles, a key that encrypts Kubernetes' secrets, the control plane's log group,
    access entries, add-ons and, where asked for, node groups, Fargate profiles, an OIDC provider and KEDA.
    Access goes through EKS's API, not a ConfigMap. Or uses an `existing` cluster as it is.

    A change of `version` that skips one or goes back fails in the preview, before anything is changed.

    Raises:
        ArgsError: an argument is wrong.
    """

    name: pulumi.Output[str]
    arn: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    """The security group of every node and pod."""
    kubeconfig: pulumi.Output[str]
    """How clients reach the cluster; it holds no credentials."""
    provider: kubernetes.Provider
    """Kubernetes resources with this provider are made in the cluster."""
    ready: list[pulumi.Resource]
    """What workloads have to wait for: access, nodes, add-ons and KEDA."""
    oidc_issuer: pulumi.Output[str]
    oidc_provider_arn: pulumi.Output[str] | None
    """IAM's side of IRSA; None without `irsa`."""
    kms_key_arn: pulumi.Output[str] | None
    """What encrypts Kubernetes' secrets; None for an existing cluster."""

    def __init__(
        self,
        name: str,
        args: EksClusterArgs | Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        owner = f"EksCluster {name!r}"
        self._args = args = EksClusterArgs.parse(args, owner=owner)
        super().__init__("EksCluster", name, opts, tags=args.tags)
        self._invoke = pulumi.InvokeOutputOptions(parent=self)
        self._partition = aws.get_partition_output(opts=self._invoke).partition
        self._kubernetes_version = pulumi.Output.from_input(args.version)
        self._physical = self._physical_name(owner)
        self.kms_key_arn = None
        found = self._adopted(args.existing) if args.existing else self._made()
        self.name, self.arn, self.endpoint = found.name, found.arn, found.endpoint
        self.security_group_id, self.oidc_issuer = found.security_group_id, found.oidc_issuer
        region = aws.get_region_output(opts=self._invoke).region
        self.kubeconfig = pulumi.Output.all(found.name, found.endpoint, found.certificate, region).apply(
            lambda parts: kubeconfig(name=parts[0], endpoint=parts[1], certificate=parts[2], region=parts[3])
        )
        self.provider = kubernetes.Provider(
            f"{name}-kubernetes",
            kubeconfig=self.kubeconfig,
            # A cluster whose address or certificate changes is still the same cluster.
            cluster_identifier=self._physical,
            # A changed ConfigMap is updated, and not replaced by one of another name.
            enable_config_map_mutable=True,
            opts=self._opts(),
        )
        self.oidc_provider_arn = self._oidc_provider()
        self.ready = self._inside()
        self.register_outputs(
            {
                "name": self.name,
                "arn": self.arn,
                "endpoint": self.endpoint,
                "securityGroupId": self.security_group_id,
                "kubeconfig": self.kubeconfig,
                "oidcIssuer": self.oidc_issuer,
                "oidcProviderArn": self.oidc_provider_arn,
                "kmsKeyArn": self.kms_key_arn,
            }
        )

    def _physical_name(self, owner: str) -> str:
        if self._args.existing is not None:
            return self._args.existing.name
        physical = self._args.cluster_name or f"{self._name}-{pulumi.get_stack()}"
        if len(physical) > _LONGEST_NAME:
            told = f"{physical!r} has {len(physical)} characters; say one of {_LONGEST_NAME} at most"
            raise ArgsError(owner, [Problem("cluster_name", told)])
        return physical

    def _made(self) -> _Found:
        args, name = self._args, self._name
        auto = args.compute.auto_mode
        cluster_role, waits = made_role(
            self,
            "cluster",
            trust=policies.assumed_by("eks.amazonaws.com", tag_session=True),
            managed=(*_CLUSTER_POLICIES, *(_AUTO_POLICIES if auto else ())),
            partition=self._partition,
        )
        compute = aws.eks.ClusterComputeConfigArgs(enabled=False)
        if auto:
            node_role, node_policies = made_role(
                self,
                "node",
                trust=policies.assumed_by("ec2.amazonaws.com"),
                managed=_AUTO_NODE_POLICIES,
                partition=self._partition,
            )
            waits += node_policies
            compute = aws.eks.ClusterComputeConfigArgs(
                enabled=True, node_pools=list(args.node_pools), node_role_arn=node_role.arn
            )
        self.kms_key_arn = self._key()
        cluster = aws.eks.Cluster(
            name,
            name=self._physical,
            role_arn=cluster_role.arn,
            version=args.version,
            vpc_config={
                "subnet_ids": list(args.subnet_ids),
                "endpoint_private_access": True,
                "endpoint_public_access": bool(args.public_access),
                "public_access_cidrs": list(args.public_access) or None,
            },
            access_config={
                "authentication_mode": "API",
                "bootstrap_cluster_creator_admin_permissions": True,
            },
            # Auto Mode has its own; the others get theirs as EKS add-ons, with versions.
            bootstrap_self_managed_addons=False,
            # Auto Mode is these three together, on or off.
            compute_config=compute,
            kubernetes_network_config={"elastic_load_balancing": {"enabled": auto}},
            storage_config={"block_storage": {"enabled": auto}},
            encryption_config={"provider": {"key_arn": self.kms_key_arn}, "resources": ["secrets"]},
            enabled_cluster_log_types=list(args.log_types),
            upgrade_policy={"support_type": "EXTENDED" if args.extended_support else "STANDARD"},
            deletion_protection=args.deletion_protection or None,
            tags=self._tags(name),
            opts=self._opts(
                depends_on=[self._logs(), *waits],
                protect=args.deletion_protection,
                hooks=guard(self._physical),
            ),
        )
        self._kubernetes_version = cluster.version
        return _Found(
            name=cluster.name,
            arn=cluster.arn,
            endpoint=cluster.endpoint,
            certificate=cluster.certificate_authority.apply(lambda authority: authority.data or ""),
            security_group_id=cluster.vpc_config.apply(lambda vpc: vpc.cluster_security_group_id or ""),
            oidc_issuer=cluster.identities.apply(_issuer),
        )

    def _adopted(self, existing: ExistingCluster) -> _Found:
        cluster = aws.eks.get_cluster_output(name=existing.name, opts=self._invoke)
        return _Found(
            name=cluster.name,
            arn=cluster.arn,
            endpoint=cluster.endpoint,
            certificate=cluster.certificate_authorities.apply(lambda found: found[0].data if found else ""),
            security_group_id=cluster.vpc_config.apply(lambda vpc: vpc.cluster_security_group_id),
            oidc_issuer=cluster.identities.apply(_issuer),
        )

    def _key(self) -> pulumi.Output[str]:
        """The ARN of one's own key, or of one that is made."""
        args = self._args
        if args.kms_key_arn is not None:
            return pulumi.Output.from_input(args.kms_key_arn)
        name = f"{self._name}-secrets"
        key = aws.kms.Key(
            name,
            description=f"Encrypts the Kubernetes secrets of {self._physical}",
            enable_key_rotation=True,
            deletion_window_in_days=30 if args.deletion_protection else 7,
            tags=self._tags(name),
            # Without it nobody reads the cluster's secrets again.
            opts=self._opts(protect=args.deletion_protection),
        )
        return key.arn

    def _logs(self) -> pulumi.Resource:
        name = f"{self._name}-logs"
        return aws.cloudwatch.LogGroup(
            name,
            # Where EKS writes; made first, or EKS makes it and keeps everything for ever.
            name=f"/aws/eks/{self._physical}/cluster",
            retention_in_days=self._args.log_retention_days,
            tags=self._tags(name),
            opts=self._opts(),
        )

    def _oidc_provider(self) -> pulumi.Output[str] | None:
        existing = self._args.existing
        if existing is not None and existing.oidc_provider_arn is not None:
            return pulumi.Output.from_input(existing.oidc_provider_arn)
        if not self._args.irsa:
            return None
        name = f"{self._name}-irsa"
        provider = aws.iam.OpenIdConnectProvider(
            name,
            url=self.oidc_issuer,
            client_id_lists=["sts.amazonaws.com"],
            tags=self._tags(name),
            opts=self._opts(),
        )
        return provider.arn

    def _inside(self) -> list[pulumi.Resource]:
        """Who may enter, and what runs in the cluster before any workload does."""
        args = self._args
        ready = grant(
            self, cluster=self.name, partition=self._partition, admins=args.admins, access=args.access
        )
        addons = args.addon_plan
        before = self._addons([addon for addon in addons if addon.before_nodes], [])
        nodes: list[pulumi.Resource] = []
        if args.existing is None:
            home = Home(self.name, self.arn, self._kubernetes_version, args.subnet_ids, self._partition)
            nodes = make_compute(self, args.compute, home, depends_on=before)
            if args.network_policy:
                nodes += enforce(self._name, args.compute, self._opts(provider=self.provider))
        after = self._addons([addon for addon in addons if not addon.before_nodes], [*before, *nodes])
        ready += [*before, *nodes, *after]
        if args.keda is not None and args.keda.install:
            ready += keda.install(
                self,
                args.keda,
                cluster=self.name,
                provider=self.provider,
                partition=self._partition,
                queue_arns=args.keda_queue_arns,
                reads_metrics=args.keda_reads_metrics,
                depends_on=[*ready],
            )
        return ready

    def _addons(self, addons: Sequence[Addon], waits: Sequence[pulumi.Resource]) -> list[pulumi.Resource]:
        return make_addons(self, addons, cluster=self.name, partition=self._partition, depends_on=waits)


def _issuer(identities: Any) -> str:
    """Where the cluster's OIDC issuer is; both the resource and the data source say it so."""
    return str(identities[0].oidcs[0].issuer) if identities and identities[0].oidcs else ""

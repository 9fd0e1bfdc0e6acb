"""`EksCluster`: a Kubernetes cluster that brings its own nodes, disks and load balancers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network
from typing import Annotated, Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
from pydantic import AfterValidator, Field

from agent_infra.aws import policies
from agent_infra.component import Args, Component, MaybeOutput, shaped

_CLUSTER_POLICIES = (
    "AmazonEKSClusterPolicy",
    "AmazonEKSComputePolicy",
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingPolicy",
)
_NODE_POLICIES = ("AmazonEKSWorkerNodeMinimalPolicy", "AmazonEC2ContainerRegistryPullOnly")
_CLUSTER_ADMIN = "cluster-access-policy/AmazonEKSClusterAdminPolicy"


def _range(text: str) -> str:
    try:
        IPv4Network(text)
    except ValueError as error:
        raise ValueError(f"not an IPv4 range ({error}); say one such as 198.51.100.7/32") from None
    return text


class EksClusterOptions(Args):
    """What an environment may say about its cluster."""

    version: Annotated[str, shaped(r"1\.\d{2}", 'a version of Kubernetes, such as "1.34"')] = "1.34"
    """Kubernetes' version. EKS upgrades by one minor version at a time and never back."""
    public_access: Sequence[Annotated[str, AfterValidator(_range)]] = ()
    """The address ranges from which the API server can be reached over the internet, such as
    [198.51.100.7/32]; with none it is reachable from inside the network alone, and so must `pulumi up` be."""
    admins: Mapping[str, str] = {}
    """Who else administers it: a name of one's choice to an IAM role's or user's ARN.
    Whoever made the cluster always does."""
    node_pools: Sequence[str] = ("general-purpose", "system")
    """EKS Auto Mode's built-in node pools."""
    log_types: Sequence[str] = ("api", "audit", "authenticator")
    """The control plane's logs to keep; also known are controllerManager and scheduler."""
    log_retention_days: int = Field(default=30, ge=1)


class EksClusterArgs(EksClusterOptions):
    """The arguments of `EksCluster`."""

    subnet_ids: Sequence[MaybeOutput[str]]
    """Private subnets in two zones or more: the nodes and the API server's private address are there."""
    cluster_name: str | None = None
    """Its name in AWS; `<name>-<stack>` where it is not said. Changing it replaces the cluster."""
    deletion_protection: bool = True
    """Whether AWS refuses to delete it."""
    tags: Mapping[str, str] = {}


def kubeconfig(*, name: str, endpoint: str, certificate: str, region: str) -> str:
    """How clients reach the cluster: without credentials inside, they ask `aws eks get-token` for one."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": name, "cluster": {"server": endpoint, "certificate-authority-data": certificate}}
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
        "users": [
            {
                "name": name,
                "user": {
                    "exec": {
                        "apiVersion": "client.authentication.k8s.io/v1beta1",
                        "command": "aws",
                        "args": [
                            "eks",
                            "get-token",
                            "--cluster-name",
                            name,
                            "--region",
                            region,
                            "--output",
                            "json",
                        ],
                        "interactiveMode": "Never",
                    }
                },
            }
        ],
    }
    return json.dumps(config)


class EksCluster(Component):
    """An EKS cluster in Auto Mode: nodes, block storage and load balancers are EKS's own business.

    Makes the cluster, its two roles, a key that encrypts Kubernetes' secrets, the control plane's
    log group, and access entries for `admins`. Access goes through EKS's API, not a ConfigMap.

    Raises:
        ArgsError: an argument is wrong.
    """

    name: pulumi.Output[str]
    arn: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    """The security group of every node and pod."""
    kubeconfig: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: EksClusterArgs | Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        self._args = args = EksClusterArgs.parse(args, owner=f"EksCluster {name!r}")
        super().__init__("EksCluster", name, opts, tags=args.tags)
        physical = args.cluster_name or f"{name}-{pulumi.get_stack()}"
        partition = aws.get_partition_output(opts=pulumi.InvokeOutputOptions(parent=self)).partition
        cluster_role, cluster_policies = self._role(
            "cluster", "eks.amazonaws.com", _CLUSTER_POLICIES, partition, tag_session=True
        )
        node_role, node_policies = self._role("node", "ec2.amazonaws.com", _NODE_POLICIES, partition)
        key_name = f"{name}-secrets"
        key = aws.kms.Key(
            key_name,
            description=f"Encrypts the Kubernetes secrets of {physical}",
            enable_key_rotation=True,
            deletion_window_in_days=30 if args.deletion_protection else 7,
            tags=self._tags(key_name),
            opts=self._opts(),
        )
        logs = aws.cloudwatch.LogGroup(
            f"{name}-logs",
            # Where EKS writes; made first, or EKS makes it and keeps everything for ever.
            name=f"/aws/eks/{physical}/cluster",
            retention_in_days=args.log_retention_days,
            tags=self._tags(f"{name}-logs"),
            opts=self._opts(),
        )
        self._cluster = aws.eks.Cluster(
            name,
            name=physical,
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
            # Auto Mode wants all three together, and none of the add-ons that it replaces.
            bootstrap_self_managed_addons=False,
            compute_config={
                "enabled": True,
                "node_pools": list(args.node_pools),
                "node_role_arn": node_role.arn,
            },
            kubernetes_network_config={"elastic_load_balancing": {"enabled": True}},
            storage_config={"block_storage": {"enabled": True}},
            encryption_config={"provider": {"key_arn": key.arn}, "resources": ["secrets"]},
            enabled_cluster_log_types=list(args.log_types),
            deletion_protection=args.deletion_protection or None,
            tags=self._tags(name),
            opts=self._opts(depends_on=[logs, *cluster_policies, *node_policies]),
        )
        for admin, principal in args.admins.items():
            self._admin(admin, principal, partition)
        region = aws.get_region_output(opts=pulumi.InvokeOutputOptions(parent=self)).region

        self.name = self._cluster.name
        self.arn = self._cluster.arn
        self.endpoint = self._cluster.endpoint
        self.security_group_id = self._cluster.vpc_config.apply(
            lambda vpc: vpc.cluster_security_group_id or ""
        )
        certificate = self._cluster.certificate_authority.apply(lambda authority: authority.data or "")
        self.kubeconfig = pulumi.Output.all(self.name, self.endpoint, certificate, region).apply(
            lambda parts: kubeconfig(name=parts[0], endpoint=parts[1], certificate=parts[2], region=parts[3])
        )
        #: Kubernetes resources with this provider are made in the cluster.
        self.provider = kubernetes.Provider(
            f"{name}-kubernetes",
            kubeconfig=self.kubeconfig,
            # A cluster whose address or certificate changes is still the same cluster.
            cluster_identifier=physical,
            # A changed ConfigMap is updated; the fleets restart their pods by a hash of it.
            enable_config_map_mutable=True,
            opts=self._opts(),
        )
        self.register_outputs(
            {
                "name": self.name,
                "arn": self.arn,
                "endpoint": self.endpoint,
                "securityGroupId": self.security_group_id,
                "kubeconfig": self.kubeconfig,
            }
        )

    def _role(
        self,
        kind: str,
        service: str,
        managed: Sequence[str],
        partition: pulumi.Output[str],
        *,
        tag_session: bool = False,
    ) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
        name = f"{self._name}-{kind}"
        role = aws.iam.Role(
            name,
            assume_role_policy=policies.assumed_by(service, tag_session=tag_session),
            tags=self._tags(name),
            opts=self._opts(),
        )
        attachments: list[pulumi.Resource] = [
            aws.iam.RolePolicyAttachment(
                f"{name}-{policy}",
                role=role.name,
                policy_arn=pulumi.Output.concat("arn:", partition, ":iam::aws:policy/", policy),
                opts=self._opts(),
            )
            for policy in managed
        ]
        return role, attachments

    def _admin(self, admin: str, principal: str, partition: pulumi.Output[str]) -> None:
        name = f"{self._name}-admin-{admin}"
        entry = aws.eks.AccessEntry(
            name,
            cluster_name=self._cluster.name,
            principal_arn=principal,
            tags=self._tags(name),
            opts=self._opts(),
        )
        aws.eks.AccessPolicyAssociation(
            name,
            cluster_name=self._cluster.name,
            principal_arn=principal,
            policy_arn=pulumi.Output.concat("arn:", partition, ":eks::aws:", _CLUSTER_ADMIN),
            access_scope={"type": "cluster"},
            opts=self._opts(depends_on=[entry]),
        )

"""What can be said about an `EksCluster`, and what EKS would refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from agent_infra.aws import cluster_addons
from agent_infra.aws.cluster_access import Access, AccessName, Principal, check_principals
from agent_infra.aws.cluster_addons import Addon, AddonName, AddonVersion
from agent_infra.aws.cluster_compute import Compute
from agent_infra.aws.cluster_versions import KubernetesVersion
from agent_infra.aws.keda import Keda
from agent_infra.aws.log_retention import RetentionDays
from agent_infra.aws.long_policies import MOST_POLICIES, QUEUES
from agent_infra.component import Args, MaybeOutput, shaped

#: EKS's quota of ranges that reach the public endpoint of one cluster.
_MOST_RANGES: Final = 40

ClusterName = Annotated[
    str,
    shaped(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", "up to 100 letters, digits, dashes and _, such as agents-prod"),
]
NodePool = Literal["general-purpose", "system"]
LogType = Literal["api", "audit", "authenticator", "controllerManager", "scheduler"]


def _range(text: str) -> str:
    try:
        network = IPv4Network(text)
    except ValueError as error:
        raise ValueError(f"not an IPv4 range ({error}); say one such as 198.51.100.7/32") from None
    if network.prefixlen == 0:
        raise ValueError("the whole internet is no allow-list; say your own ranges, such as 198.51.100.7/32")
    if any(network.overlaps(IPv4Network(private)) for private in _PRIVATE):
        raise ValueError(
            "a private range, and the internet knows public ones alone; say your NAT gateway's or VPN's, "
            "such as 198.51.100.7/32, or leave it out: inside the network the private endpoint is used"
        )
    return text


_PRIVATE: Final = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")


class ExistingCluster(Args):
    """A cluster that is there already; nothing of it is changed but what is asked for inside it."""

    name: ClusterName
    oidc_provider_arn: (
        Annotated[str, shaped(r"arn:aws[a-z-]*:iam::\d{12}:oidc-provider/.+", "the ARN of its OIDC provider")]
        | None
    ) = None
    """Its OIDC provider in IAM, where it has one; otherwise `irsa` makes one."""


#: What says how a new cluster is made.
_OF_NEW_ONES: Final = (
    "version",
    "public_access",
    "compute",
    "node_pools",
    "log_types",
    "log_retention_days",
    "extended_support",
    "network_policy",
)


class EksClusterOptions(Args):
    """What an environment may say about its cluster."""

    version: KubernetesVersion = "1.35"
    """Kubernetes' version. EKS upgrades by one minor version at a time and never back; so does this."""
    public_access: Annotated[
        Sequence[Annotated[str, AfterValidator(_range)]], Field(max_length=_MOST_RANGES)
    ] = ()
    """The address ranges from which the API server can be reached over the internet, such as
    [198.51.100.7/32]; with none it is reachable from inside the network alone, and so must `pulumi up` be."""
    admins: Mapping[AccessName, Principal] = {}
    """Who else administers it: a name of one's choice to an IAM role's or user's ARN.
    Whoever made the cluster always does."""
    access: Mapping[AccessName, Access] = {}
    """Who else may do what, everywhere or in some namespaces: a name of one's choice to each."""
    compute: Compute = Compute()
    """What pods run on: EKS Auto Mode, managed node groups, Fargate profiles."""
    node_pools: Annotated[Sequence[NodePool], Field(min_length=1)] = ("general-purpose", "system")
    """EKS Auto Mode's built-in node pools."""
    addons: Mapping[AddonName, AddonVersion | None] = {}
    """EKS add-ons, by name: a version, or null for EKS's own choice at the time it is made. What the compute
    needs is there without being said; saying it fixes its version."""
    addon_configuration: Mapping[AddonName, Mapping[str, Any]] = {}
    """Settings of add-ons by name: `aws eks describe-addon-configuration` says which there are."""
    metrics_server: bool | None = None
    """The CPU and memory of pods, which autoscalers and `kubectl top` ask for: an EKS add-on. Made in a new
    cluster where it is not said, and not in an existing one."""
    keda: Keda | None = None
    """Even {} installs KEDA, which scales fleets by the work that waits; `install: false` uses the one that
    is there."""
    irsa: bool = False
    """Whether IAM knows the cluster's OIDC issuer, so that pods get roles by their service account; for what
    cannot use Pod Identity. It costs nothing."""
    log_types: Sequence[LogType] = ("api", "audit", "authenticator")
    """The control plane's logs to keep; about 0.50 USD a gigabyte. Auditors ask for `audit`."""
    log_retention_days: RetentionDays = 30
    extended_support: bool = True
    """Whether the cluster stays on its version when standard support ends, at six times the price (0.60 USD
    an hour); false: EKS then upgrades the control plane by itself."""
    network_policy: bool = True
    """Whether a new cluster is told to enforce NetworkPolicies, in EKS Auto Mode or by the add-on vpc-cni. On
    Fargate nothing does. False: for another network than AWS's."""
    existing: ExistingCluster | None = None
    """A cluster that is there already and is used as it is."""

    @model_validator(mode="after")
    def _each_principal_once(self) -> Self:
        check_principals(self.admins, self.access)
        return self

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.existing is not None:
            said = [name for name in _OF_NEW_ONES if getattr(self, name) != _default(name)]
            if said:
                raise ValueError(
                    f"`existing` names a cluster that is there already, and {', '.join(said)} would say "
                    "how to make a new one; leave one of the two out"
                )
            cluster_addons.check(
                Compute(auto=True, node_groups={}), {}, self.addon_configuration, self.addon_plan
            )
            return self
        if not self.compute.auto_mode and list(self.node_pools) != list(_default("node_pools")):
            raise ValueError(
                "`node_pools` are EKS Auto Mode's, and `compute` has it off; leave them out, or add "
                "`auto: true`"
            )
        if self.keda is not None and self.keda.install and self.compute.on_fargate_alone:
            raise ValueError(
                "`keda` gets its role by Pod Identity, which Fargate does not have; add a node group for it, "
                "or leave it out"
            )
        cluster_addons.check(self.compute, self.addons, self.addon_configuration, self.addon_plan)
        return self

    @property
    def addon_plan(self) -> list[Addon]:
        """The add-ons that are made."""
        new = self.existing is None
        return cluster_addons.plan(
            needs=cluster_addons.needed(self.compute) if new else (),
            compute=self.compute,
            chosen=self.addons,
            configuration=self.addon_configuration,
            network_policy=self.network_policy,
            metrics_server=new if self.metrics_server is None else self.metrics_server,
        )


def _default(name: str) -> Any:
    return EksClusterOptions.model_fields[name].default


class EksClusterArgs(EksClusterOptions):
    """The arguments of `EksCluster`."""

    subnet_ids: Sequence[MaybeOutput[str]] = ()
    """Private subnets in two zones or more: the nodes and the API server's private address are there.
    Required but for an `existing` cluster."""
    cluster_name: ClusterName | None = None
    """Its name in AWS; `<name>-<stack>` where it is not said. Changing it replaces the cluster."""
    kms_key_arn: MaybeOutput[str] | None = None
    """A key of one's own that encrypts Kubernetes' secrets; without it one is made, for 1 USD a month.
    Another key makes another cluster."""
    keda_queue_arns: Sequence[MaybeOutput[str]] = ()
    """The queues whose length KEDA's operator may ask for."""
    keda_reads_metrics: bool = False
    """Whether KEDA's operator may read CloudWatch's metrics, as `queue_age` needs; of all, or of none."""
    deletion_protection: bool = True
    """Whether AWS, and Pulumi before it, refuse to delete the cluster."""
    tags: Mapping[str, str] = {}

    @model_validator(mode="after")
    def _has_subnets(self) -> Self:
        if self.existing is None and len(self.subnet_ids) < 2:
            raise ValueError(
                f"subnet_ids: {len(self.subnet_ids)} is too few, as a control plane is in two zones or more; "
                "say private subnets in two zones, such as a Network's private_subnet_ids, or an `existing` "
                "cluster"
            )
        plain = [subnet for subnet in self.subnet_ids if isinstance(subnet, str)]
        if len(plain) != len(set(plain)):
            raise ValueError("subnet_ids: a subnet is there twice; say each once")
        return self

    @model_validator(mode="after")
    def _kedas_role_names_the_queues(self) -> Self:
        most = MOST_POLICIES * QUEUES
        if len(self.keda_queue_arns) > most:
            raise ValueError(
                f"keda_queue_arns: {len(self.keda_queue_arns)} are more than the {most} queues that one "
                "role's policies can name; leave workers out of some fleets, let fleets share a queue, or "
                "put them into another environment"
            )
        return self

    @model_validator(mode="after")
    def _queues_have_keda(self) -> Self:
        if self.existing is not None and self.kms_key_arn is not None:
            raise ValueError(
                "`kms_key_arn` is a new cluster's, and `existing` names one; leave one of the two out"
            )
        return self

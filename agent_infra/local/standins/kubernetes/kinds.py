"""Which kinds of object there are, from the type tokens of the kubernetes SDK."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agent_infra.local.standins.server import StandinError

#: The built-in kinds that belong to no namespace (`kubectl api-resources --namespaced=false`).
_CLUSTER_SCOPED: Final = frozenset(
    {
        ("", "Namespace"),
        ("", "Node"),
        ("", "PersistentVolume"),
        ("", "ComponentStatus"),
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("apiregistration.k8s.io", "APIService"),
        ("certificates.k8s.io", "CertificateSigningRequest"),
        ("certificates.k8s.io", "ClusterTrustBundle"),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema"),
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"),
        ("networking.k8s.io", "IPAddress"),
        ("networking.k8s.io", "IngressClass"),
        ("networking.k8s.io", "ServiceCIDR"),
        ("node.k8s.io", "RuntimeClass"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("resource.k8s.io", "DeviceClass"),
        ("resource.k8s.io", "ResourceSlice"),
        ("scheduling.k8s.io", "PriorityClass"),
        ("storage.k8s.io", "CSIDriver"),
        ("storage.k8s.io", "CSINode"),
        ("storage.k8s.io", "StorageClass"),
        ("storage.k8s.io", "VolumeAttachment"),
        ("storage.k8s.io", "VolumeAttributesClass"),
    }
)

#: Custom resources that the components and their operators use: whether each is namespaced.
KNOWN_CUSTOM: Final[dict[tuple[str, str], bool]] = {
    ("keda.sh", "ScaledObject"): True,
    ("keda.sh", "ScaledJob"): True,
    ("keda.sh", "TriggerAuthentication"): True,
    ("keda.sh", "ClusterTriggerAuthentication"): False,
    ("karpenter.sh", "NodePool"): False,
    ("karpenter.sh", "NodeClaim"): False,
    ("eks.amazonaws.com", "NodeClass"): False,
    ("eks.amazonaws.com", "IngressClassParams"): False,
    ("eks.amazonaws.com", "TargetGroupBinding"): True,
    ("elbv2.k8s.aws", "IngressClassParams"): False,
    ("elbv2.k8s.aws", "TargetGroupBinding"): True,
    ("external-secrets.io", "ExternalSecret"): True,
    ("gateway.networking.k8s.io", "HTTPRoute"): True,
    ("external-secrets.io", "SecretStore"): True,
    ("monitoring.coreos.com", "ServiceMonitor"): True,
    ("monitoring.coreos.com", "PodMonitor"): True,
    ("monitoring.coreos.com", "PrometheusRule"): True,
}

_APPLY_ONE_BY_ONE: Final = "register its objects one by one, such as kubernetes.apps.v1.Deployment"
_OUT_OF_SCOPE: Final = {
    "helm.sh": "use helm.v3.Release, or render the chart with `helm template` and " + _APPLY_ONE_BY_ONE,
    "yaml": _APPLY_ONE_BY_ONE,
    "kustomize": "render it with `kubectl kustomize` and " + _APPLY_ONE_BY_ONE,
}


@dataclass(frozen=True)
class Kind:
    """A kind of object; `group` is empty for the core group."""

    group: str
    version: str
    name: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def token(self) -> str:
        return f"kubernetes:{self.group or 'core'}/{self.version}:{self.name}"

    @property
    def built_in(self) -> bool:
        """Whether the group is one that an API server has without a CustomResourceDefinition."""
        return "." not in self.group or (
            self.group.endswith(".k8s.io") and not self.group.startswith(("gateway.", "metrics."))
        )

    @property
    def cluster_scoped(self) -> bool:
        """For the built-in and the known custom kinds; a definition among the manifests says it itself."""
        return (self.group, self.name) in _CLUSTER_SCOPED or not KNOWN_CUSTOM.get(
            (self.group, self.name), True
        )


def parse(token: str) -> Kind:
    """The kind that a token such as `kubernetes:apps/v1:Deployment` means.

    Raises:
        StandinError: the token is of a type that is no single object.
    """
    package, _, rest = token.partition(":")
    module, _, name = rest.partition(":")
    group, _, version = module.rpartition("/")
    if package != "kubernetes" or not name:
        raise StandinError(f"{token}: is not the type of a Kubernetes object")
    if way_out := _OUT_OF_SCOPE.get(group or version):
        raise StandinError(f"{token}: the local environment takes single objects only: {way_out}.")
    if not group:
        raise StandinError(
            f"{token}: is not the type of a Kubernetes object; "
            "such a type reads kubernetes:<group>/<version>:<Kind>, core/v1 for the core group."
        )
    if name.endswith("Patch"):
        whole = name.removesuffix("Patch")
        raise StandinError(
            f"{token}: the local environment has no patch resources: register a {whole} that holds the "
            "fields, with the annotation pulumi.com/patchForce where another owner has them."
        )
    kind = Kind("" if group == "core" else group, version, name)
    if name.endswith("List") and kind.built_in:
        raise StandinError(
            f"{token}: the local environment takes single objects only: register each item as a "
            f"{name.removesuffix('List')} of its own."
        )
    return kind

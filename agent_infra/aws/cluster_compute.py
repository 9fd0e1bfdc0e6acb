"""What a cluster's pods run on: EKS Auto Mode, managed node groups, Fargate profiles."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from agent_infra.component import Args, shaped

Architecture = Literal["arm64", "x86_64"]
AmiType = Literal[
    "AL2023_ARM_64_STANDARD",
    "AL2023_x86_64_STANDARD",
    "AL2023_ARM_64_NVIDIA",
    "AL2023_x86_64_NVIDIA",
    "AL2023_x86_64_NEURON",
    "BOTTLEROCKET_ARM_64",
    "BOTTLEROCKET_x86_64",
    "BOTTLEROCKET_ARM_64_NVIDIA",
    "BOTTLEROCKET_x86_64_NVIDIA",
]
"""EKS's images of nodes: https://docs.aws.amazon.com/eks/latest/APIReference/API_Nodegroup.html."""

_INSTANCE_TYPE = re.compile(
    r"(?P<series>[a-z]+)(?P<generation>\d+)(?P<more>[a-z0-9-]*)"
    r"\.(nano|micro|small|medium|large|\d{0,3}xlarge|metal(-\d+xl)?)"
)
#: Series with other chips than a general node's, by what their image has to bring.
_ACCELERATED: Mapping[str, str] = {
    "g": "NVIDIA",
    "gr": "NVIDIA",
    "p": "NVIDIA",
    "inf": "NEURON",
    "trn": "NEURON",
}

InstanceType = Annotated[
    str,
    shaped(_INSTANCE_TYPE.pattern, "an EC2 instance type, such as m7g.large (arm64) or m7i.large (x86_64)"),
]
NodeGroupName = Annotated[
    str, shaped(r"[a-z]([a-z0-9-]{0,28}[a-z0-9])?", "up to 30 lower-case letters, digits and dashes")
]
NamespaceName = Annotated[
    str,
    shaped(
        r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", "a namespace: up to 63 lower-case letters, digits and dashes"
    ),
]
LabelKey = Annotated[
    str,
    shaped(
        r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?",
        "a label's name, such as team or example.com/team",
    ),
]
LabelValue = Annotated[
    str,
    shaped(
        r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?", "up to 63 letters, digits, dashes, dots and _"
    ),
]

#: What a node may not say of itself, but for two prefixes: the kubelet refuses to start.
_RESERVED = re.compile(r"(.+\.)?(kubernetes\.io|k8s\.io)/.*|eks\.amazonaws\.com/.*")
_OF_NODES = ("node.kubernetes.io/", "kubelet.kubernetes.io/")


def architecture(instance_type: str) -> Architecture:
    """What an instance type's processor is: Graviton's have a g after the generation, as in m7g or c8gn."""
    found = _INSTANCE_TYPE.fullmatch(instance_type)
    if found is None:
        raise ValueError(f"{instance_type!r} is no instance type; say one such as m7g.large")
    graviton = "g" in found["more"] or (found["series"], found["generation"]) == ("a", "1")
    return "arm64" if graviton else "x86_64"


def ami_for(instance_type: str) -> AmiType:
    """The Amazon Linux 2023 image of an instance type."""
    found = _INSTANCE_TYPE.fullmatch(instance_type)
    arm = architecture(instance_type) == "arm64"
    accelerator = _ACCELERATED.get(found["series"]) if found else None
    if accelerator == "NEURON":
        return "AL2023_x86_64_NEURON"
    if accelerator == "NVIDIA":
        return "AL2023_ARM_64_NVIDIA" if arm else "AL2023_x86_64_NVIDIA"
    return "AL2023_ARM_64_STANDARD" if arm else "AL2023_x86_64_STANDARD"


def architecture_of(ami: AmiType) -> Architecture:
    return "arm64" if "ARM_64" in ami else "x86_64"


class Taint(Args):
    """What keeps pods off the nodes that do not tolerate it."""

    key: LabelKey
    value: LabelValue | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = "NoSchedule"


class NodeGroup(Args):
    """EC2 instances that EKS starts, drains and replaces; each costs what EC2 takes for it.

    Nothing here scales between `min` and `max` by itself: that takes the Cluster Autoscaler or Karpenter in
    the cluster. Auto Mode brings its own.
    """

    instance_types: Annotated[Sequence[InstanceType], Field(min_length=1, max_length=20)] = ("m7g.large",)
    """All of one architecture; several give spot more places to look. Another list makes new nodes."""
    min: int = Field(default=2, ge=0, le=450)
    max: int = Field(default=4, ge=1, le=450)
    desired: int | None = Field(default=None, ge=0, le=450)
    """How many there are at first, `min` where it is not said. Afterwards it is the autoscaler's."""
    capacity: Literal["on-demand", "spot"] = "on-demand"
    """Spot costs up to 90 % less, and an instance goes with two minutes' notice."""
    ami: AmiType | None = None
    """Amazon Linux 2023 of the instances' architecture where it is not said."""
    disk_gb: int = Field(default=50, ge=20, le=16384)
    """The disk of each node, gp3 and encrypted."""
    labels: Annotated[Mapping[LabelKey, LabelValue], Field(max_length=50)] = {}
    taints: Annotated[Sequence[Taint], Field(max_length=50)] = ()

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}; say a min of {self.max} at most")
        if self.desired is not None and not self.min <= self.desired <= self.max:
            raise ValueError(f"desired {self.desired} is wrong; say {self.min} to {self.max}")
        return self

    @model_validator(mode="after")
    def _one_architecture(self) -> Self:
        of = {kind: architecture(kind) for kind in self.instance_types}
        if len(set(of.values())) > 1:
            told = ", ".join(f"{kind} is {chip}" for kind, chip in of.items())
            raise ValueError(f"the instance types run different images ({told}); make a node group of each")
        if len({ami_for(kind) for kind in self.instance_types}) > 1:
            raise ValueError(
                f"{', '.join(self.instance_types)} have different accelerators; make a node group of each"
            )
        chip = of[self.instance_types[0]]
        if self.ami is not None and architecture_of(self.ami) != chip:
            raise ValueError(
                f"ami {self.ami} is for {architecture_of(self.ami)}, and {self.instance_types[0]} is {chip}; "
                f"say {ami_for(self.instance_types[0])}, or leave it out"
            )
        return self

    @model_validator(mode="after")
    def _labels_are_ones_own(self) -> Self:
        for key in self.labels:
            if _RESERVED.fullmatch(key) and not key.startswith(_OF_NODES):
                raise ValueError(
                    f"label {key!r} is reserved, and a node with it does not join; say one of your own, such "
                    "as example.com/team"
                )
        return self

    @property
    def image(self) -> AmiType:
        return self.ami or ami_for(self.instance_types[0])


class FargateSelector(Args):
    """Which pods: those of a namespace, and of those the ones with all the labels."""

    namespace: Annotated[
        str,
        shaped(r"[a-z0-9*?]([a-z0-9*?-]{0,61}[a-z0-9*?])?", "a namespace; * and ? stand for any characters"),
    ]
    labels: Annotated[Mapping[LabelKey, str], Field(max_length=5)] = {}


class FargateProfile(Args):
    """Pods that run without nodes, each in a virtual machine of its own; paid by its CPU and memory.

    They have no DaemonSets, no GPUs, no Pod Identity (an IAM role comes by IRSA), and are always on amd64.
    Any change makes a new profile.
    """

    selectors: Annotated[Sequence[FargateSelector], Field(min_length=1, max_length=5)]


class Compute(Args):
    """What pods run on. Auto Mode alone where nothing is said."""

    auto: bool | None = None
    """EKS Auto Mode: EKS starts and ends the nodes that pods need; about 12 % on EC2's price. On where there
    are neither node groups nor Fargate profiles; true has it beside them."""
    node_groups: Annotated[Mapping[NodeGroupName, NodeGroup], Field(max_length=30)] = {}
    fargate_profiles: Annotated[Mapping[NodeGroupName, FargateProfile], Field(max_length=10)] = {}

    @property
    def auto_mode(self) -> bool:
        return not (self.node_groups or self.fargate_profiles) if self.auto is None else self.auto

    @property
    def has_nodes(self) -> bool:
        """Whether there are nodes on which an agent can run beside the pods."""
        return self.auto_mode or bool(self.node_groups)

    @property
    def on_fargate_alone(self) -> bool:
        return bool(self.fargate_profiles) and not self.has_nodes

    @model_validator(mode="after")
    def _pods_have_a_place(self) -> Self:
        if not self.has_nodes and not self.fargate_profiles:
            raise ValueError("auto is false, and there is nothing else; say node_groups or fargate_profiles")
        namespaces = {
            selector.namespace
            for profile in self.fargate_profiles.values()
            for selector in profile.selectors
            if not selector.labels
        }
        if self.on_fargate_alone and not any(_matches(name, "kube-system") for name in namespaces):
            raise ValueError(
                "no Fargate profile takes the pods of kube-system, so that the cluster would have no DNS; "
                "add one whose selector is {namespace: kube-system}"
            )
        return self


def _matches(pattern: str, name: str) -> bool:
    escaped = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(escaped, name) is not None

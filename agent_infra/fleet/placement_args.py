"""Where a fleet's pods run: which zones, nodes and kinds of nodes, and before whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from agent_infra.component import Args, shaped
from agent_infra.contract import TaskContract
from agent_infra.fleet.exposure_args import ObjectName
from agent_infra.fleet.image_args import BuildOptions, Platform

ARCHITECTURE = "kubernetes.io/arch"
CAPACITY = "karpenter.sh/capacity-type"
#: A spot instance is told two minutes before it is taken
#: (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html).
SPOT_NOTICE_SECONDS = 120

LabelKey = Annotated[
    str,
    shaped(
        r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?",
        "a label's key, such as example.com/pool",
    ),
]
LabelValue = Annotated[
    str, shaped(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", "a label's value, up to 63 characters")
]
_AFFINITIES = ("nodeAffinity", "podAffinity", "podAntiAffinity")


def _affinity(said: Mapping[str, Any]) -> Mapping[str, Any]:
    if strangers := sorted(set(said) - set(_AFFINITIES)):
        raise ValueError(f"{', '.join(strangers)} is no affinity; say one of {', '.join(_AFFINITIES)}")
    return said


class Toleration(Args):
    """Nodes that pods may run on although they are tainted."""

    key: LabelKey | None = None
    """Any taint where it is not said; then the operator is Exists."""
    operator: Literal["Equal", "Exists"] = "Equal"
    value: LabelValue | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """All of them where it is not said."""
    seconds: int | None = Field(default=None, ge=0)
    """For NoExecute: for how long pods stay on a node that gets the taint."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.operator == "Exists" and self.value:
            raise ValueError(f"operator Exists takes no value, and it is {self.value!r}; leave one out")
        if self.operator == "Equal" and self.key is None:
            raise ValueError("operator Equal needs a key; say it, or `operator: Exists` for any taint")
        if self.seconds is not None and self.effect != "NoExecute":
            raise ValueError("seconds is about the effect NoExecute alone; say that, or leave it out")
        return self


class Placement(Args):
    """Where pods run."""

    zones: Literal["prefer", "require"] = "prefer"
    """Pods are spread over zones evenly: where that can be, or without exception. With `require` a pod
    waits where the zone whose turn it is has no room."""
    nodes: Literal["prefer", "require"] = "prefer"
    """The same for nodes."""
    min_zones: int | None = Field(default=None, ge=2, le=10)
    """With `zones: require`: into how many zones at least, also while fewer have nodes."""
    priority_class: ObjectName | None = None
    """A PriorityClass that is there, or one of the environment's `priority_classes`."""
    architecture: Literal["amd64", "arm64"] | None = None
    """Which nodes by their processor; that of the image where it is built here."""
    capacity: Literal["on-demand", "spot"] | None = None
    """Which nodes by how they are paid for, where Karpenter or EKS Auto Mode makes them; as the node pools
    say where it is not said. Spot nodes go with two minutes' notice: pods must be able to end in that."""
    node_selector: Mapping[LabelKey, LabelValue] = {}
    tolerations: Sequence[Toleration] = ()
    affinity: Annotated[Mapping[str, Any], AfterValidator(_affinity)] = {}
    """In Kubernetes' own names."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.min_zones is not None and self.zones != "require":
            raise ValueError(
                f"min_zones {self.min_zones} counts where zones are required, and they are preferred; say "
                "`zones: require`, or leave it out"
            )
        for label, name, said in (
            (ARCHITECTURE, "architecture", self.architecture),
            (CAPACITY, "capacity", self.capacity),
        ):
            other = self.node_selector.get(label)
            if said is not None and other is not None and other != said:
                raise ValueError(
                    f"{name} is {said}, and node_selector says {label} {other}: no node is both; say one"
                )
        return self

    @property
    def on_spot(self) -> bool:
        """Whether pods are to run on nodes that may be taken away."""
        return "spot" in (self.capacity, self.node_selector.get(CAPACITY))


def check_spot(placement: Placement, contract: TaskContract) -> None:
    """
    Raises:
        ValueError: a spot node is gone before the longest task is done.
    """
    task = contract.task_timeout
    if placement.on_spot and contract.grace > SPOT_NOTICE_SECONDS:
        longest = SPOT_NOTICE_SECONDS - (contract.grace - task)
        raise ValueError(
            f"capacity spot: such a node goes {SPOT_NOTICE_SECONDS} seconds after it is told, and a pod "
            f"needs {contract.grace} to end its longest task (task_timeout {task}); say `capacity: "
            f"on-demand`, or a task_timeout of {longest} or less"
        )


def image_architectures(image: Any, ready: Sequence[Platform] = ()) -> list[str]:
    """The processors that an image is built for; of one that is ready only what was said, if anything."""
    platforms = image.platforms if isinstance(image, BuildOptions) else ready
    return [platform.partition("/")[2] for platform in platforms]


def architecture_problem(placement: Placement, built: Sequence[str]) -> str | None:
    """Why an image that is built for these processors does not run on the nodes that are asked for."""
    wanted = placement.architecture or placement.node_selector.get(ARCHITECTURE)
    if wanted is None or not built or wanted in built:
        return None
    return (
        f"placement.architecture is {wanted}, and the image is built for {', '.join(built)}; build it for "
        f"linux/{wanted}, or say architecture {built[0]}"
    )


def check_placements(
    placements: Iterable[Placement | None], built: Sequence[str], contract: TaskContract
) -> None:
    """
    Raises:
        ValueError: pods could not run there, or not for as long as their tasks take.
    """
    for placement in placements:
        if placement is not None:
            if problem := architecture_problem(placement, built):
                raise ValueError(problem)
            check_spot(placement, contract)

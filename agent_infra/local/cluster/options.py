"""What may be chosen of a cluster, and where its files are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ClusterOptions(BaseModel):
    """A cluster's size and how fast its controllers look; the speeds are Kubernetes' own defaults.

    Tests shorten them to compress time. https://kubernetes.io/docs/reference/command-line-tools-reference/
    (kube-controller-manager, kube-apiserver) says what each means. KEDA has no speed of its own here: a
    ScaledObject says its `pollingInterval` itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    nodes: int = Field(default=3, ge=1, le=100)
    """Simulated nodes, over three zones in turn."""
    node_cpu: str = "192"
    node_memory: str = "768Gi"
    node_pods: int = Field(default=1000, ge=1)
    """How many pods a node takes; together they take what a benchmark asks for."""
    architecture: Literal["amd64", "arm64"] = "amd64"
    """The processor that nodes say they have."""
    region: str = "eu-central-1"
    """Of the zones' names."""
    hpa_sync_seconds: float = Field(default=15, gt=0)
    hpa_downscale_seconds: float = Field(default=300, ge=0)
    """The window before replicas go down, where an autoscaler does not say its own."""
    hpa_cpu_initialization_seconds: float = Field(default=300, ge=0)
    """For how long after its start a pod's CPU does not count."""
    hpa_readiness_seconds: float = Field(default=30, ge=0)
    metrics_seconds: float = Field(default=15, ge=10)
    """How often metrics-server asks the nodes; it takes no less than 10."""
    node_grace_seconds: float = Field(default=50, ge=2)
    """For how long a silent node counts as ready."""
    eviction_seconds: int = Field(default=300, ge=0)
    """For how long pods stay on a node that is not ready, where they do not say it themselves."""
    argo: bool = False
    """Whether Argo Rollouts' controller runs."""
    all_definitions: bool = False
    """Also those kinds of the Gateway API and External Secrets that nothing here makes: they cost the API
    server some seconds at the first start and 90 MB."""


@dataclass(frozen=True)
class Places:
    """The files of one cluster, all in the environment's directory."""

    root: Path

    @property
    def certificates(self) -> Path:
        """Certificates and private keys, readable by their owner alone."""
        return self.root / "certificates"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.root / "kubeconfig"

    def kubeconfig_of(self, part: str) -> Path:
        return self.certificates / f"{part}.kubeconfig"

    @property
    def etcd(self) -> Path:
        """Every object of the cluster."""
        return self.root / "etcd"

    @property
    def run(self) -> Path:
        """Where the parts stand: they are known by it when all else is lost."""
        return self.root / "run"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def plan(self) -> Path:
        """What was asked for: the options and the programs."""
        return self.root / "plan.json"

    @property
    def status(self) -> Path:
        """How each part is, as the supervisor writes it."""
        return self.root / "status.json"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    def certificate(self, name: str) -> Path:
        return self.certificates / f"{name}.crt"

    def key(self, name: str) -> Path:
        return self.certificates / f"{name}.key"

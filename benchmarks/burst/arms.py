"""The three ways to scale the same workers, as the objects that each is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from agent_infra.contract import TaskContract, task_contract

Manifest = dict[str, Any]

REGION, ACCOUNT = "eu-central-1", "123456789012"
#: What KEDA reads the queues with; the fake takes any.
CREDENTIALS = "aws"
#: The Kubernetes secrets that there are: KEDA's, and the seed's own.
SECRETS = {CREDENTIALS: ("awsAccessKeyID", "awsSecretAccessKey"), "agent-secrets": ("llm-api-key",)}
#: What every worker takes at once: AgentFleet's default, for all.
CONCURRENCY = 4
#: Agents wait for their model: with all four tasks in hand a worker takes a quarter of its CPU request.
WAITING = 0.25
#: The other case, in which CPU tells of work: it takes all of it.
BUSY = 1.0
_HERE = Path(__file__).parent
_IMAGE = f"registry.example.com/agent@sha256:{'0' * 64}"


@dataclass(frozen=True)
class Arm:
    """One of them; all else is the same for all."""

    name: str
    manifests: Sequence[Manifest]
    busy_share: float
    """Of the CPU request: what a worker takes that has as many tasks in hand as it can."""
    shares_limit: bool = False
    """Whether the workers keep to the vendor's limit together, by waiting: the agent service does."""
    hold: int | None = None
    """For how long a worker hides a message at a time, with heartbeats; None: by the queue's own timeout."""
    tells_load: bool = False
    """Whether a busy worker says so, by the annotation pod-deletion-cost."""

    @property
    def namespace(self) -> str:
        return f"burst-{self.name}"

    @property
    def labels(self) -> dict[str, str]:
        """The namespace's: AgentFleet's pods are admitted under the strictest standard."""
        return {"pod-security.kubernetes.io/enforce": "restricted"} if self.tells_load else {}

    @property
    def deployment(self) -> str:
        return next(item["metadata"]["name"] for item in self.manifests if item["kind"] == "Deployment")


def queue_name(arm: str) -> str:
    return f"tasks-{arm}"


def contract() -> TaskContract:
    """Of AgentFleet's default `task_timeout`. All arms' queues hide messages for as long as it says: with
    SQS' own 30 s most tasks would be given to a second worker while the first is at it."""
    return task_contract(300)


def arms(endpoint: str, limit: int) -> list[Arm]:
    """All of them, to run side by side.

    Args:
        endpoint: where the queues are.
        limit: the vendor's, in calls a minute.
    """
    return [
        _seed("seed", WAITING),
        _keda("keda", endpoint),
        _fleet("fleet", WAITING, endpoint, limit),
        _seed("seed-busy", BUSY),
        _fleet("fleet-busy", BUSY, endpoint, limit),
    ]


def _seed(name: str, busy_share: float) -> Arm:
    return Arm(name, _read("seed.yaml", name), busy_share)


def _keda(name: str, endpoint: str) -> Arm:
    """The seed's Deployment and Service with a ScaledObject in the place of the HPA."""
    seed = [item for item in _read("seed.yaml", name) if item["kind"] != "HorizontalPodAutoscaler"]
    return Arm(name, [*seed, *_with_endpoint(_read("keda.yaml", name), name, endpoint)], WAITING)


def _fleet(name: str, busy_share: float, endpoint: str, limit: int) -> Arm:
    manifests = list(_with_endpoint(fleet_manifests(name, endpoint, limit), name, endpoint))
    return Arm(name, manifests, busy_share, shares_limit=True, hold=contract().hold, tells_load=True)


def fleet_manifests(arm: str, endpoint: str, limit: int) -> list[Manifest]:
    """What AgentFleet registers for its workers; said is only what it is connected to, and the limit."""
    from agent_infra import AgentFleet
    from tests.unit.recording import record

    connected: dict[str, Any] = {
        "image": _IMAGE,
        "namespace": f"burst-{arm}",
        "queue": {"url": _url(arm, endpoint), "arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue_name(arm)}"},
        "keda": {"credentials_secret": CREDENTIALS},
        "llm": {"requests_per_minute": limit},
        "cache": {"url": "rediss://cache:6379/0"},
        "database": {"url": "postgresql://db:5432/agents"},
    }
    found = record(lambda: AgentFleet("agent", connected) and None).resources
    mine = [item.inputs for item in found if item.type.startswith("kubernetes:")]
    return [_plain(manifest) for manifest in mine if _of_workers(manifest)]


def _of_workers(manifest: Manifest) -> bool:
    labels = manifest["metadata"].get("labels", {})
    return manifest["kind"] == "ServiceAccount" or labels.get("app.kubernetes.io/component") == "worker"


def _read(file: str, arm: str) -> list[Manifest]:
    manifests = list(yaml.safe_load_all((_HERE / file).read_text()))
    for manifest in manifests:
        manifest["metadata"]["namespace"] = f"burst-{arm}"
    return manifests


def _with_endpoint(manifests: Sequence[Manifest], arm: str, endpoint: str) -> Iterator[Manifest]:
    for manifest in manifests:
        if manifest["kind"] == "ScaledObject":
            for trigger in manifest["spec"]["triggers"]:
                if trigger["type"] == "aws-sqs-queue":
                    trigger["metadata"] |= {"queueURL": _url(arm, endpoint), "awsEndpoint": endpoint}
        yield manifest


def _url(arm: str, endpoint: str) -> str:
    return f"{endpoint}/{ACCOUNT}/{queue_name(arm)}"


def _plain(value: Any) -> Any:
    """As the engine hands it to a provider, but for whole numbers: gRPC knows only floats."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value

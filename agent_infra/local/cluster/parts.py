"""The parts of a control plane: a row each."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agent_infra.local.cluster import commands
from agent_infra.local.cluster.plan import Plan

#: What has to be in the API server before those start that look for it: definitions, rights, nodes.
OBJECTS = "objects"


@dataclass(frozen=True)
class Probe:
    """Where a part says whether it is ready."""

    url: str
    authority: str | None = None
    """The certificate of who signed its own; None for plain HTTP."""
    certificate: str | None = None
    """With whose it is asked, where it answers nobody else."""


def _nothing(_: Plan) -> dict[str, str]:
    return {}


@dataclass(frozen=True)
class Part:
    """One process."""

    name: str
    command: Callable[[Plan], list[str]]
    probe: Callable[[Plan], Probe]
    needs: tuple[str, ...] = ()
    """What must be ready before it starts."""
    ports: tuple[str, ...] = ()
    """Its ports' names; the first is the one that others ask."""
    variables: Callable[[Plan], Mapping[str, str]] = field(default=_nothing)
    stop_seconds: float = 3.0


def _https(port: str, path: str) -> Callable[[Plan], Probe]:
    return lambda plan: Probe(plan.url(port, path), authority="ca")


def _http(port: str, path: str) -> Callable[[Plan], Probe]:
    return lambda plan: Probe(plan.url(port, path, scheme="http"))


_ALL = (
    Part(
        "etcd",
        commands.etcd,
        lambda plan: Probe(plan.url("etcd", "/health"), authority="etcd-ca", certificate="etcd-client"),
        ports=("etcd", "etcd-peer"),
    ),
    Part(
        "kube-apiserver",
        commands.apiserver,
        _https("kube-apiserver", "/readyz"),
        needs=("etcd",),
        ports=("kube-apiserver",),
        stop_seconds=5.0,
    ),
    Part(
        "kube-controller-manager",
        commands.controllers,
        _https("kube-controller-manager", "/healthz"),
        needs=("kube-apiserver",),
        ports=("kube-controller-manager",),
    ),
    Part(
        "kube-scheduler",
        commands.scheduler,
        _https("kube-scheduler", "/readyz"),
        needs=("kube-apiserver",),
        ports=("kube-scheduler",),
    ),
    Part("kwok", commands.kwok, _http("kwok", "/healthz"), needs=(OBJECTS,), ports=("kwok",)),
    # It counts as ready once it answers: figures come after its first rounds of asking the nodes.
    Part(
        "metrics-server",
        commands.metrics_server,
        _https("metrics-server", "/livez"),
        needs=(OBJECTS,),
        ports=("metrics-server",),
    ),
    Part(
        "keda-operator",
        commands.keda_operator,
        _http("keda-operator", "/readyz"),
        needs=(OBJECTS,),
        ports=("keda-operator", "keda-metrics"),
        variables=commands.keda_variables,
    ),
    Part(
        "keda-adapter",
        commands.keda_adapter,
        _https("keda-adapter", "/readyz"),
        needs=(OBJECTS,),
        ports=("keda-adapter",),
        variables=commands.keda_variables,
    ),
)
_ARGO = Part(
    "argo-rollouts",
    commands.argo,
    _http("argo-rollouts", "/healthz"),
    needs=(OBJECTS,),
    ports=("argo-rollouts", "argo-metrics"),
)


def parts(*, argo: bool = False) -> tuple[Part, ...]:
    """The parts in the order of their needs."""
    return (*_ALL, _ARGO) if argo else _ALL


def environment_variables(part: Part, plan: Plan) -> dict[str, str]:
    """A part's whole environment: nothing of the user's reaches it, least of all credentials and proxies."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(plan.places.run),
        "TMPDIR": str(plan.places.run),
        "KUBE_FEATURE_WatchListClient": "false",  # the API server here has no such lists
        **part.variables(plan),
    }

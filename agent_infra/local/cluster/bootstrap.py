"""Puts a cluster's own objects into its API server, at each start again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx

from agent_infra.local.cluster.api import Api, ApiError, Manifest
from agent_infra.local.cluster.objects import definitions, nodes, rbac, stages, system
from agent_infra.local.cluster.plan import Plan
from agent_infra.local.environment import LocalError

_THREADS = 8
_LOOK_SECONDS = 0.1
_ESTABLISHED_SECONDS = 30.0
_READY_SECONDS = 60.0
_ANSWER_SECONDS = 5.0
_STAGES = "/apis/kwok.x-k8s.io/v1alpha1/stages"


def api(plan: Plan) -> Api:
    """The API server, asked as the administrator."""
    places = plan.places
    return Api(
        plan.server,
        authority=places.certificate("ca"),
        certificate=places.certificate("admin"),
        key=places.key("admin"),
    )


def objects(plan: Plan) -> None:
    """Applies what the parts need before they start; what is there already does not change.

    Raises:
        LocalError: the API server refuses something, or a definition does not take effect.
    """
    asked = api(plan)
    try:
        with ThreadPoolExecutor(_THREADS) as pool:
            real = definitions.real(plan.programs.crds)
            if not plan.options.all_definitions:
                real = definitions.used(real, argo=plan.options.argo)
            defined = [*real, *definitions.open_ones(definitions.kinds(real))]
            _apply(asked, pool, [*system.first(), *rbac.roles(), *nodes.nodes(plan.options), *defined])
            statuses = nodes.statuses(plan.options, port=plan.ports["kwok"])
            list(pool.map(lambda status: asked.apply(status, subresource="status"), statuses))
            _apply(asked, pool, system.served(plan.ports, plan.places.certificate("ca")))
            _wait("definitions take effect", _ESTABLISHED_SECONDS, lambda: _pending(asked, defined))
            _apply(asked, pool, [*_stages(asked), *stages.usage()])
    finally:
        asked.close()


def ready(plan: Plan) -> None:
    """Waits until the nodes are ready and those answer who serve a part of the API.

    Raises:
        LocalError: they do not get ready in time.
    """
    asked = api(plan)
    try:
        _wait("nodes are ready", _READY_SECONDS, lambda: _not_ready(asked))
        _wait("metrics are served", _READY_SECONDS, lambda: _not_served(asked))
        _wait("nodes tell their figures", _READY_SECONDS, lambda: _without_figures(asked, plan))
    finally:
        asked.close()


def _apply(asked: Api, pool: ThreadPoolExecutor, manifests: Iterable[Manifest]) -> None:
    list(pool.map(asked.apply, manifests))


def _stages(asked: Api) -> list[Manifest]:
    """Who plays a kubelet for the fleets' pods goes on doing it when the control plane starts again."""
    found: list[Manifest] = []
    with suppress(ApiError):
        found = asked.get(_STAGES)["items"]
    return stages.narrowed(found)


def _pending(asked: Api, defined: Iterable[Manifest]) -> list[str]:
    listed = asked.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")["items"]
    established = {each["metadata"]["name"] for each in listed if _condition(each, "Established")}
    return [each["metadata"]["name"] for each in defined if each["metadata"]["name"] not in established]


def _not_ready(asked: Api) -> list[str]:
    listed = asked.get("/api/v1/nodes")["items"]
    return [
        each["metadata"]["name"]
        for each in listed
        if not _condition(each, "Ready") and each["metadata"]["name"].startswith("node-")
    ]


def _not_served(asked: Api) -> list[str]:
    listed = asked.get("/apis/apiregistration.k8s.io/v1/apiservices")["items"]
    available = {each["metadata"]["name"] for each in listed if _condition(each, "Available")}
    return [name for name in system.api_services() if name not in available]


def _without_figures(asked: Api, plan: Plan) -> list[str]:
    """kwok 0.7 may miss a Metric that is there when it starts, and never serve it; a change of it is seen."""
    node = nodes.name(0)
    url = plan.url("kwok", nodes.METRICS_PATH.format(nodeName=node), scheme="http")
    with suppress(httpx.HTTPError):
        if httpx.get(url, timeout=_ANSWER_SECONDS, trust_env=False).is_success:
            return []
    for each in stages.usage():
        looked = {"agent-infra.dev/looked-at": str(time.time())}
        asked.apply({**each, "metadata": {**each["metadata"], "annotations": looked}})
    return [node]


def _condition(found: dict[str, Any], name: str) -> bool:
    conditions = found.get("status", {}).get("conditions") or []
    return any(each["type"] == name and each["status"] == "True" for each in conditions)


def _wait(what: str, seconds: float, left: Callable[[], list[str]]) -> None:
    deadline = time.monotonic() + seconds
    while missing := left():
        if time.monotonic() > deadline:
            raise LocalError(f"{', '.join(missing)}: not so after {seconds:.0f} s of waiting until {what}.")
        time.sleep(_LOOK_SECONDS)

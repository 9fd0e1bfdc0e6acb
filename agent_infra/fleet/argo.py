"""A fleet's Deployments as Argo Rollouts' objects, v1.8; pure functions.

A Rollout has the whole template, and no `workloadRef`: Argo would scale the Deployment to 0 behind Pulumi's
back, which waits for its pods. See https://argo-rollouts.readthedocs.io/en/stable/features/specification/.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from agent_infra.fleet.canary.drive import evaluation
from agent_infra.fleet.canary.jobs import job_like
from agent_infra.fleet.names import ComponentKind, Names
from agent_infra.fleet.objects import Manifest
from agent_infra.fleet.rollout_args import Analysis, Rollout
from agent_infra.outputs import computed

#: The apiVersion and kind of what holds the pods, for an autoscaler.
TARGET: Final = ("argoproj.io/v1alpha1", "Rollout")
_TIMEOUT: Final = "pulumi.com/timeoutSeconds"
#: What a query looks back on, and how often it is asked.
_WINDOW: Final = "5m"
_INTERVAL: Final = "1m"
_REQUESTS: Final = 'route!~"/healthz|/readyz|/metrics"'
_ENDED: Final = 'outcome=~"succeeded|failed"'


def rollout(manifest: Manifest, said: Rollout, names: Names, kind: ComponentKind) -> Manifest:
    """A Deployment as a Rollout with the canary's steps; its first revision takes none."""
    spec = {key: value for key, value in manifest["spec"].items() if key != "strategy"}
    rolling = manifest["spec"]["strategy"]["rollingUpdate"]
    metadata = manifest["metadata"]
    annotations = metadata.get("annotations", {})
    minutes = sum(step.minutes for step in said.steps)
    waits = int(annotations.get(_TIMEOUT, 600)) + int(minutes * 60)
    hashes = [
        {"name": f"{which.lower()}-hash", "valueFrom": {"podTemplateHashValue": which}}
        for which in ("Latest", "Stable")
    ]
    return {
        "apiVersion": TARGET[0],
        "kind": TARGET[1],
        "metadata": {
            **metadata,
            "annotations": {
                **annotations,
                _TIMEOUT: str(waits),
                "pulumi.com/waitFor": "jsonpath={.status.phase}=Healthy",
            },
        },
        "spec": {
            **spec,
            "progressDeadlineAbort": True,
            # Back to one of these is at once, without steps and analysis.
            "rollbackWindow": {"revisions": said.revisions},
            "strategy": {
                "canary": {
                    **rolling,
                    "analysis": {"templates": [{"templateName": names.of(kind)}], "args": hashes},
                    "steps": list(_steps(said, names, kind)),
                }
            },
        },
    }


def _steps(said: Rollout, names: Names, kind: ComponentKind) -> Iterator[dict[str, Any]]:
    if said.analysis.evaluation is not None and kind == "api":
        yield {"analysis": {"templates": [{"templateName": f"{names.of(kind)}-evaluation"}]}}
    for step in said.steps:
        yield {"setWeight": step.weight}
        yield {"pause": {"duration": f"{max(1, round(step.minutes * 60))}s"}}


def templates(
    manifest: Manifest, said: Rollout, names: Names, kind: ComponentKind
) -> list[tuple[str, Manifest]]:
    """The AnalysisTemplates that a kind's Rollout names, each with what its resource's name ends with."""
    metrics = [
        _metric(name, query, bound, said) for name, query, bound in _queries(said.analysis, names, kind)
    ]
    found = [("", _template(names, kind, names.of(kind), metrics, ["latest-hash", "stable-hash"]))]
    wanted = said.analysis.evaluation
    if wanted is not None and kind == "api":
        command, variables = evaluation(wanted, judges=True)
        name = f"{names.of(kind)}-evaluation"
        job = job_like(manifest, name, command=command, variables=variables, seconds=wanted.minutes * 60)
        metric = {"name": "evaluation", "provider": {"job": {"spec": job["spec"]}}}
        found.append(("-evaluation", _template(names, kind, name, [metric], [])))
    return found


def _template(
    names: Names, kind: ComponentKind, name: str, metrics: list[dict[str, Any]], args: list[str]
) -> Manifest:
    arguments = {"args": [{"name": each} for each in args]} if args else {}
    return {
        "apiVersion": TARGET[0],
        "kind": "AnalysisTemplate",
        "metadata": names.metadata(name, kind),
        "spec": {**arguments, "metrics": metrics},
    }


def _metric(name: str, query: Any, bound: float, said: Rollout) -> dict[str, Any]:
    return {
        "name": name,
        "initialDelay": _INTERVAL,
        "interval": _INTERVAL,
        # Nothing is what a query says of too few requests or tasks.
        "successCondition": f"len(result) == 0 || isNaN(result[0]) || result[0] <= {bound:g}",
        "failureLimit": 0,
        "provider": {"prometheus": {"address": said.analysis.prometheus_url, "query": query}},
    }


def _queries(analysis: Analysis, names: Names, kind: ComponentKind) -> Iterator[tuple[str, Any, float]]:
    """A metric's name, its query and its bound; the same numbers as a canary without a controller has."""
    chosen = _of_requests(analysis) if kind == "api" else _of_tasks(analysis)
    for name, query, bound in chosen:
        if bound is not None:
            yield name, _placed(query, names, kind), bound


def _placed(query: str, names: Names, kind: ComponentKind) -> Any:
    """The query for the fleet's namespace, which only the update may know."""
    pods = {which: f'pod=~"{names.of(kind)}-{{{{args.{which}-hash}}}}-.*"' for which in ("latest", "stable")}

    def place(namespace: str) -> str:
        found = query
        for which, pod in pods.items():
            found = found.replace(f"<{which}>", f'namespace="{namespace}",{pod}')
        return found

    return computed(names.namespace, place)


def _sum(metric: str, which: str, more: str = "", by: str = "") -> str:
    labels = f"<{which}>,{more}" if more else f"<{which}>"
    return f"sum{by}(increase(agent_app_{metric}{{{labels}}}[{_WINDOW}]))"


def _p95(which: str) -> str:
    return f"histogram_quantile(0.95, {_sum('http_request_seconds_bucket', which, _REQUESTS, ' by (le) ')})"


def _of_requests(analysis: Analysis) -> Iterator[tuple[str, str, float | None]]:
    requests = _sum("http_requests_total", "latest", _REQUESTS)
    enough = f" and {requests} >= {analysis.min_requests}"
    errors = _sum("http_requests_total", "latest", 'status=~"5.."')
    yield "error-rate", f"{errors} / {requests}{enough}", analysis.max_error_rate
    yield "latency-seconds", f"{_p95('latest')}{enough}", analysis.max_latency_seconds
    ratio = f"{_p95('latest')} / clamp_min({_p95('stable')}, 0.1)"
    yield "latency-ratio", f"{ratio}{enough}", analysis.max_latency_ratio
    cost = _cost_ratio("http_requests_total", 'method="POST"')
    yield "cost-ratio", f"{cost}{enough}", analysis.max_cost_ratio


def _of_tasks(analysis: Analysis) -> Iterator[tuple[str, str, float | None]]:
    tasks = _sum("tasks_total", "latest", _ENDED)
    enough = f" and {tasks} >= {analysis.min_tasks}"
    failed = _sum("tasks_total", "latest", 'outcome="failed"')
    yield "task-failure-rate", f"{failed} / {tasks}{enough}", analysis.max_task_failure_rate
    cost = f"{_sum('llm_cost_usd_total', 'latest')} / {tasks}"
    yield "cost-per-task", f"{cost}{enough}", analysis.max_cost_per_task_usd
    yield "cost-ratio", f"{_cost_ratio('tasks_total', _ENDED)}{enough}", analysis.max_cost_ratio


def _cost_ratio(units: str, more: str) -> str:
    def each(which: str) -> str:
        return f"({_sum('llm_cost_usd_total', which)} / {_sum(units, which, more)})"

    return f"{each('latest')} / {each('stable')}"


def objects(
    manifests: Mapping[ComponentKind, Manifest], said: Rollout, names: Names
) -> Iterator[tuple[ComponentKind, list[tuple[str, Manifest]], Manifest]]:
    """Of each kind of pods: what its Rollout needs, and the Rollout."""
    for kind, manifest in manifests.items():
        yield kind, templates(manifest, said, names, kind), rollout(manifest, said, names, kind)

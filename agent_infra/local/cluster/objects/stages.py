"""What happens to nodes and pods by themselves: kwok's Stages, Metrics and usage.

They are objects of the API server, so that whoever plays a kubelet for some pods can narrow them at run time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agent_infra.local.cluster.api import Manifest
from agent_infra.local.cluster.objects.nodes import METRICS_PATH

#: The label of fleets' pods, and that of the Jobs which judge a canary.
FLEET_LABEL = "agent-infra/kind"
FLEET_LABELS = (FLEET_LABEL, "agent-infra/evaluation")
#: A pod with this annotation is left alone until it is deleted: a test says in Stages of its own what becomes
#: of it.
SIMULATE_ANNOTATION = "agent-infra.dev/simulate"

_API = "kwok.x-k8s.io/v1alpha1"
_DELETED = ".metadata.deletionTimestamp"
_LABEL = ".metadata.labels["

_NODE_READY = """
{{ $now := Now }}
conditions:
{{ range NodeConditions }}
- type: {{ .type | Quote }}
  status: {{ .status | Quote }}
  reason: {{ .reason | Quote }}
  message: {{ .message | Quote }}
  lastHeartbeatTime: {{ $now | Quote }}
  lastTransitionTime: {{ $now | Quote }}
{{ end }}
nodeInfo:
  architecture: {{ index .metadata.labels "kubernetes.io/arch" | Quote }}
  operatingSystem: linux
  kubeletVersion: {{ printf "kwok-%s" Version | Quote }}
  kubeProxyVersion: ""
  containerRuntimeVersion: {{ printf "kwok-%s" Version | Quote }}
  kernelVersion: kwok
  osImage: kwok
  bootID: ""
  machineID: ""
  systemUUID: ""
phase: Running
"""

_POD_READY = """
{{ $now := Now }}
phase: Running
startTime: {{ $now | Quote }}
hostIP: {{ NodeIPWith .spec.nodeName | Quote }}
podIP: {{ PodIPWith .spec.nodeName ( or .spec.hostNetwork false ) ( or .metadata.uid "" )
  ( or .metadata.name "" ) ( or .metadata.namespace "" ) | Quote }}
conditions:
{{ range ( list "PodReadyToStartContainers" "Initialized" "ContainersReady" "Ready" ) }}
- type: {{ . }}
  status: "True"
  lastTransitionTime: {{ $now | Quote }}
{{ end }}
{{ range .spec.readinessGates }}
- type: {{ .conditionType | Quote }}
  status: "True"
  lastTransitionTime: {{ $now | Quote }}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: {{ .image | Quote }}
  ready: true
  started: true
  restartCount: 0
  state:
    running:
      startedAt: {{ $now | Quote }}
{{ end }}
initContainerStatuses:
{{ range .spec.initContainers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: {{ .image | Quote }}
  ready: true
  restartCount: 0
  {{ if eq .restartPolicy "Always" }}
  started: true
  state:
    running:
      startedAt: {{ $now | Quote }}
  {{ else }}
  started: false
  state:
    terminated:
      exitCode: 0
      reason: Completed
      startedAt: {{ $now | Quote }}
      finishedAt: {{ $now | Quote }}
  {{ end }}
{{ end }}
"""

_POD_COMPLETE = """
{{ $now := Now }}
phase: Succeeded
conditions:
{{ range ( list "ContainersReady" "Ready" ) }}
- type: {{ . }}
  status: "False"
  reason: PodCompleted
  lastTransitionTime: {{ $now | Quote }}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: {{ .image | Quote }}
  ready: false
  started: false
  restartCount: 0
  state:
    terminated:
      exitCode: 0
      reason: Completed
      startedAt: {{ $now | Quote }}
      finishedAt: {{ $now | Quote }}
{{ end }}
"""


def stages(*, leave_fleets: bool = False) -> list[Manifest]:
    """The Stages: a node is ready, a pod is ready at once, a Job's pod completes, a deleted pod is gone.

    kwok looks at a pod when the pod changes: once its Stages are others, a pod that waits must be touched.

    Args:
        leave_fleets: whether the fleets' pods are somebody else's to play.
    """
    others = [_absent(f'{_LABEL}"{label}"]') for label in FLEET_LABELS] if leave_fleets else []
    alone = [_absent(f'.metadata.annotations["{SIMULATE_ANNOTATION}"]')]
    job = {"key": ".metadata.ownerReferences.[].kind", "operator": "In", "values": ["Job"]}
    running = {"key": ".status.phase", "operator": "In", "values": ["Running"]}
    not_ready = {
        "key": '.status.conditions.[] | select( .type == "Ready" ) | .status',
        "operator": "NotIn",
        "values": ["True"],
    }
    return [
        _stage("node-ready", "Node", [not_ready], {"statusTemplate": _NODE_READY}),
        _stage(
            "pod-ready",
            "Pod",
            [_absent(_DELETED), _absent(".status.podIP"), *alone, *others],
            {"statusTemplate": _POD_READY},
        ),
        _stage(
            "pod-complete",
            "Pod",
            [_absent(_DELETED), running, job, *alone, *others],
            {"statusTemplate": _POD_COMPLETE},
        ),
        _stage(
            "pod-delete",
            "Pod",
            [{"key": _DELETED, "operator": "Exists"}, *others],
            {"finalizers": {"empty": True}, "delete": True},
        ),
    ]


def narrowed(found: Iterable[Mapping[str, Any]]) -> list[Manifest]:
    """The Stages, leaving those pods alone by their labels that the Stages which are there leave alone."""
    left = {stage["metadata"]["name"]: _expressions(stage) for stage in found}
    wanted = stages()
    for stage in wanted:
        said = _expressions(stage)
        said += [
            each
            for each in left.get(stage["metadata"]["name"], [])
            if each["operator"] == "DoesNotExist" and each["key"].startswith(_LABEL)
        ]
    return wanted


def _expressions(stage: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (stage["spec"].get("selector") or {}).get("matchExpressions") or []
    return found


def usage() -> list[Manifest]:
    """How much pods use, by their annotations, and how it is told to metrics-server."""
    return [
        {
            "apiVersion": _API,
            "kind": "ClusterResourceUsage",
            "metadata": {"name": "from-annotations"},
            "spec": {
                "usages": [
                    {
                        "usage": {
                            "cpu": {"expression": _used("cpu", "1m")},
                            "memory": {"expression": _used("memory", "1Mi")},
                        }
                    }
                ]
            },
        },
        {
            "apiVersion": _API,
            "kind": "Metric",
            "metadata": {"name": "resource"},
            "spec": {"path": METRICS_PATH, "metrics": _metrics()},
        },
    ]


def _used(resource: str, otherwise: str) -> str:
    annotation = f'"kwok.x-k8s.io/usage-{resource}"'
    found = f"pod.metadata.annotations[{annotation}]"
    return f'{annotation} in pod.metadata.annotations ? Quantity({found}) : Quantity("{otherwise}")'


def _metrics() -> list[dict[str, Any]]:
    """The names are those of a kubelet's /metrics/resource."""
    pod = [
        {"name": "namespace", "value": "pod.metadata.namespace"},
        {"name": "pod", "value": "pod.metadata.name"},
    ]
    container = [{"name": "container", "value": "container.name"}, *pod]
    figures = (
        ("cpu_usage_seconds_total", "counter", "CumulativeUsage", "cpu"),
        ("memory_working_set_bytes", "gauge", "Usage", "memory"),
    )
    levels: tuple[tuple[str, list[dict[str, Any]], str], ...] = (
        ("container", container, 'pod.{function}("{resource}", container.name)'),
        ("pod", pod, 'pod.{function}("{resource}")'),
        ("node", [], 'node.{function}("{resource}")'),
    )
    found: list[dict[str, Any]] = [
        {"name": "scrape_error", "dimension": "node", "help": "", "kind": "gauge", "value": "0"},
        {
            "name": "container_start_time_seconds",
            "dimension": "container",
            "help": "",
            "kind": "gauge",
            "labels": container,
            "value": "pod.SinceSecond()",
        },
    ]
    for level, labels, expression in levels:
        for ending, kind, function, resource in figures:
            metric: dict[str, Any] = {
                "name": f"{level}_{ending}",
                "dimension": level,
                "help": "",
                "kind": kind,
                "value": expression.format(function=function, resource=resource),
            }
            found.append({**metric, "labels": labels} if labels else metric)
    return found


def _absent(key: str) -> dict[str, Any]:
    return {"key": key, "operator": "DoesNotExist"}


def _stage(name: str, kind: str, expressions: list[dict[str, Any]], next: dict[str, Any]) -> Manifest:
    return {
        "apiVersion": _API,
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": kind},
            "selector": {"matchExpressions": expressions},
            "next": next,
        },
    }

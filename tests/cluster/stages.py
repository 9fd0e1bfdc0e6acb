"""What kwok is told of some pods besides what it does with all: by Stages, which it takes while it runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cluster.api import Api, Namespace

_VERSION = "kwok.x-k8s.io/v1alpha1"
#: Far above that of the Stages by which every pod gets ready: kwok draws by weight where several fit.
_WEIGHT = 1_000_000_000
_NOT_READY = """
conditions:
- {type: Initialized, status: "True"}
- {type: Ready, status: "False", reason: ContainersNotReady}
- {type: ContainersReady, status: "False", reason: ContainersNotReady}
containerStatuses:
{{ range .spec.containers }}
- image: {{ .image | Quote }}
  name: {{ .name | Quote }}
  ready: false
  restartCount: 0
  state:
    waiting:
      reason: ImagePullBackOff
      message: {{ printf "Back-off pulling image %s" .image | Quote }}
{{ end }}
phase: Pending
"""
_READY = """
{{ $now := Now }}
conditions:
- {type: Initialized, status: "True", lastTransitionTime: {{ $now | Quote }}}
- {type: Ready, status: "True", lastTransitionTime: {{ $now | Quote }}}
- {type: ContainersReady, status: "True", lastTransitionTime: {{ $now | Quote }}}
containerStatuses:
{{ range .spec.containers }}
- image: {{ .image | Quote }}
  name: {{ .name | Quote }}
  ready: true
  restartCount: 0
  state: {running: {startedAt: {{ $now | Quote }}}}
{{ end }}
hostIP: {{ NodeIPWith .spec.nodeName | Quote }}
podIP: {{ PodIPWith .spec.nodeName false .metadata.uid .metadata.name .metadata.namespace | Quote }}
phase: Running
startTime: {{ $now | Quote }}
"""


@contextmanager
def _stage(api: Api, key: str, value: str, status: str, *, seconds: float = 0) -> Iterator[None]:
    name = f"test-{hashlib.sha256(f'{key}{value}'.encode()).hexdigest()[:10]}"
    delay = {"delay": {"durationMilliseconds": round(seconds * 1000)}} if seconds else {}
    stage = {
        "apiVersion": _VERSION,
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
            "selector": {
                "matchExpressions": [
                    {"key": key, "operator": "In", "values": [value]},
                    {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"},
                    {"key": ".status.podIP", "operator": "DoesNotExist"},
                ]
            },
            "weight": _WEIGHT,
            **delay,
            "next": {"statusTemplate": status},
        },
    }
    api.apply(stage)
    try:
        yield
    finally:
        api.call("DELETE", api.path(_VERSION, "Stage", None, name))


@contextmanager
def never_ready(api: Api, image: str) -> Iterator[None]:
    """While the block runs, pods of that image are as those are whose image cannot be pulled."""
    with _stage(api, ".spec.containers.[].image", image, _NOT_READY):
        yield


@contextmanager
def slow_to_start(namespace: Namespace, *, seconds: float) -> Iterator[None]:
    """While the block runs, pods of that namespace get ready so long after they have a node."""
    with _stage(namespace.api, ".metadata.namespace", namespace.name, _READY, seconds=seconds):
        yield

"""Pods: when one is ready, and why one is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from agent_infra.local.standins.kubernetes.awaiting.verdicts import (
    Failed,
    Ready,
    Rule,
    Scene,
    Verdict,
    Waiting,
    condition,
    distinct,
    is_true,
    name_of,
    section,
    told,
)
from agent_infra.local.standins.server import Properties

#: A container that is only being made is no problem.
_UNDER_WAY: Final = frozenset({"ContainerCreating", "PodInitializing"})
#: More pods than these fail for the same reason.
_SHOWN: Final = 3


def judge(scene: Scene) -> Verdict:
    """Scheduled, initialized and ready; or ended well."""
    pod = scene.object
    phase = section(pod, "status").get("phase")
    if phase == "Succeeded":
        return Ready()
    if phase == "Failed" and section(pod, "spec").get("restartPolicy") == "Never":
        return Failed("it has failed and is never restarted", problems(pod))
    steps = (
        ("PodScheduled", "to be given a node"),
        ("Initialized", "for its init containers"),
        ("Ready", "for its containers to be ready"),
    )
    for step, (type, what) in enumerate(steps, 1):
        if not is_true(pod, type):
            return Waiting(f"[{step}/3] waiting {what}", problems(pod))
    return Ready()


def problems(pod: Properties) -> tuple[str, ...]:
    """Why a pod is not ready: what the scheduler, the kubelet and the containers say."""
    return distinct([f"pod {name_of(pod)}: {said}" for said in _said(pod) if said])


def problems_of(pods: Sequence[Properties]) -> tuple[str, ...]:
    """Of those that are not ready, the first few."""
    unready = [pod for pod in pods if not is_true(pod, "Ready") and problems(pod)]
    unready.sort(key=name_of)
    said = [problem for pod in unready[:_SHOWN] for problem in problems(pod)]
    if (more := len(unready) - _SHOWN) > 0:
        said.append(f"{more} more pods are not ready")
    return tuple(said)


def _said(pod: Properties) -> Iterator[str]:
    status = section(pod, "status")
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        yield told(scheduled)
    if status.get("phase") == "Failed":
        yield ": ".join(str(status[key]) for key in ("reason", "message") if status.get(key))
    for key in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(key) or ():
            yield from _container(container)


def _container(status: Properties) -> Iterator[str]:
    if status.get("ready") or section(status, "state", "terminated").get("exitCode") == 0:
        return
    who = f"container {status.get('name')}"
    waiting = section(status, "state", "waiting")
    if waiting and waiting.get("reason") not in _UNDER_WAY:
        yield f"{who}: {told(waiting)}"
    ended = section(status, "state", "terminated") or section(status, "lastState", "terminated")
    if ended:
        yield f"{who} ended with exit code {ended.get('exitCode')}" + (
            f" ({told(ended)})" if told(ended) else ""
        )
    elif not waiting and section(status, "state", "running"):
        yield f"{who} runs and is not ready: its readiness probe does not succeed"


RULE: Final = Rule(judge)

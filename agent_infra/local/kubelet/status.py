"""What a kubelet says of a pod: its status, out of how its containers are. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone

from agent_infra.local.fleets.manifests import Object

#: Exit codes that a shell gives those that a signal ended.
_BY_SIGNAL = 128


@dataclass
class Container:
    """How one container is."""

    spec: Object
    state: Object
    last: Object = field(default_factory=dict)
    restarts: int = 0
    ready: bool = False
    started: bool = False
    id: str = ""

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def done(self) -> bool:
        """Whether it has ended well, as an init container does."""
        ended = self.state.get("terminated")
        return bool(ended and ended["exitCode"] == 0)


def now() -> str:
    """The time as Kubernetes writes it."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: UP017 (the type checker's Python)


def waiting(reason: str, message: str = "") -> Object:
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def terminated(code: int, *, started: str, reason: str = "", id: str = "") -> Object:
    """A process that ended; one that a signal ended has a negative code."""
    status = _BY_SIGNAL - code if code < 0 else code
    said = reason or ("Completed" if status == 0 else "Error")
    found = {"exitCode": status, "reason": said, "startedAt": started, "finishedAt": now()}
    return {"terminated": {**found, **({"containerID": id} if id else {})}}


def pod_status(
    pod: Object,
    containers: Sequence[Container],
    inits: Sequence[Container],
    *,
    phase: str,
    address: str,
    started: str,
) -> Object:
    """The status that a pod has, to be laid over the one that the API server has."""
    finished = phase in {"Succeeded", "Failed"}
    initialized = finished or all(each.done or each.started for each in inits)
    ready = not finished and initialized and all(each.ready for each in containers)
    why = "PodCompleted" if phase == "Succeeded" else "PodFailed" if phase == "Failed" else ""
    unready = ", ".join(each.name for each in containers if not each.ready)
    lacking = "" if ready else (why or "ContainersNotReady", f"containers with unready status: [{unready}]")
    incomplete = "" if initialized else ("ContainersNotInitialized", "init containers have not ended")
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates") or ()]
    return {
        "phase": phase,
        "conditions": [
            _condition(pod, "PodReadyToStartContainers", is_so=not finished),
            _condition(pod, "Initialized", is_so=initialized, why=incomplete),
            # Nothing here asks a load balancer.
            *(_condition(pod, gate, is_so=True) for gate in gates),
            _condition(pod, "ContainersReady", is_so=ready, why=lacking),
            _condition(pod, "Ready", is_so=ready, why=lacking),
        ],
        "containerStatuses": [_container(each) for each in containers],
        **({"initContainerStatuses": [_container(each) for each in inits]} if inits else {}),
        "hostIP": "127.0.0.1",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": started,
    }


def _condition(pod: Object, type: str, *, is_so: bool, why: tuple[str, str] | str = "") -> Object:
    """With the time at which it became so."""
    status = "True" if is_so else "False"
    before = next((c for c in conditions(pod) if c["type"] == type), None)
    since = before["lastTransitionTime"] if before and before["status"] == status else None
    reason, message = why if isinstance(why, tuple) else (None, None)
    return {
        "type": type,
        "status": status,
        "lastTransitionTime": since or now(),
        # None takes away what was said before.
        "reason": reason,
        "message": message,
    }


def conditions(pod: Object) -> Sequence[Mapping[str, str]]:
    found: Sequence[Mapping[str, str]] = (pod.get("status") or {}).get("conditions") or ()
    return found


def is_ready(pod: Object) -> bool:
    """Whether the pod's own status says that it takes traffic."""
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions(pod))
    return ready and "deletionTimestamp" not in pod["metadata"]


def _container(known: Container) -> Object:
    image = str(known.spec.get("image", ""))
    return {
        "name": known.name,
        "image": image,
        "imageID": image,
        "containerID": known.id,
        "ready": known.ready,
        "started": known.started,
        "restartCount": known.restarts,
        "state": known.state,
        "lastState": known.last,
    }

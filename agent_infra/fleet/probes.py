"""How Kubernetes asks a pod whether it has started, lives and takes requests."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from agent_infra.component import Args
from agent_infra.contract import TaskContract
from agent_infra.fleet.exposure_args import UrlPath

_START_PERIOD = 2
#: A pod that is killed loses no task, but repeats one: it is not done for a moment's silence.
_SHORTEST_SILENCE = 20


class Probes(Args):
    """How often, and for how long, a pod is asked. All times are in seconds."""

    live_path: UrlPath = "/healthz"
    """Answers while the process is well; a busy worker answers too."""
    ready_path: UrlPath = "/readyz"
    """Answers while the pod takes requests."""
    start_seconds: int = Field(default=120, ge=10, le=3600)
    """How long the process may take to start; within the contract's `start`, which is the whole way of a new
    pod to being ready."""
    live_period: int = Field(default=10, ge=1, le=300)
    live_timeout: int = Field(default=5, ge=1, le=300)
    live_failures: int = Field(default=3, ge=2, le=100)
    ready_period: int = Field(default=5, ge=1, le=300)
    ready_timeout: int = Field(default=3, ge=1, le=300)
    ready_failures: int = Field(default=2, ge=1, le=100)

    @model_validator(mode="after")
    def _sane(self) -> Self:
        for kind, timeout, period in (
            ("live", self.live_timeout, self.live_period),
            ("ready", self.ready_timeout, self.ready_period),
        ):
            if timeout > period:
                raise ValueError(
                    f"{kind}_timeout {timeout} is above {kind}_period {period}: an answer would be waited "
                    "for when the next is due; lower the timeout or raise the period"
                )
        silence = self.live_period * self.live_failures
        if silence < _SHORTEST_SILENCE:
            raise ValueError(
                f"live_period {self.live_period} times live_failures {self.live_failures} is {silence}: a "
                f"pod would be killed in the midst of its task after {silence} seconds of silence; make it "
                f"{_SHORTEST_SILENCE} or more"
            )
        return self


def check_start(said: Probes, contract: TaskContract) -> None:
    """
    Raises:
        ValueError: a rollout would have failed before its pods may have started.
    """
    if said.start_seconds > contract.start:
        raise ValueError(
            f"probes.start_seconds {said.start_seconds} is above the contract's start {contract.start}, in "
            f"which a new pod is ready; lower it, or say a contract.start of {said.start_seconds} or more"
        )


def probes(said: Probes) -> dict[str, Any]:
    """The container's three probes."""
    live = {"httpGet": {"path": said.live_path, "port": "http"}}
    ready = {"httpGet": {"path": said.ready_path, "port": "http"}}
    return {
        "startupProbe": {
            **live,
            "periodSeconds": _START_PERIOD,
            "failureThreshold": -(-said.start_seconds // _START_PERIOD),
        },
        "livenessProbe": {
            **live,
            "periodSeconds": said.live_period,
            "timeoutSeconds": said.live_timeout,
            "failureThreshold": said.live_failures,
        },
        "readinessProbe": {
            **ready,
            "periodSeconds": said.ready_period,
            "timeoutSeconds": said.ready_timeout,
            "failureThreshold": said.ready_failures,
        },
    }

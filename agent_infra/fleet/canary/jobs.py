"""A Job that is like a Deployment's pods; a pure function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from agent_infra.fleet.fleet_contract import CONTAINER

#: Only what does the work, and nothing that keeps it going or sends it traffic.
_LEFT_OUT: Final = ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "ports")
_JOB_KEPT_SECONDS: Final = 3600


def job_like(
    deployment: Mapping[str, Any],
    name: str,
    *,
    command: Sequence[str],
    variables: Mapping[str, str],
    seconds: float,
) -> dict[str, Any]:
    """A Job whose one pod is like a Deployment's, but runs a command and gets no traffic."""
    template = deployment["spec"]["template"]
    spec = template["spec"]
    # Beside it nothing: what never ends would keep the Job from ending.
    first = next((each for each in spec["containers"] if each["name"] == CONTAINER), spec["containers"][0])
    kept = {key: value for key, value in first.items() if key not in _LEFT_OUT}
    said = [{"name": name, "value": value} for name, value in variables.items()]
    env = [entry for entry in kept.get("env", ()) if entry["name"] not in variables]
    container = {**kept, "command": list(command), "args": [], "env": [*env, *said]}
    # With a kind's label it would be behind the Service; without it no network policy of the fleet's is its.
    labels = {"app.kubernetes.io/managed-by": "agent-infra", "agent-infra/evaluation": name}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": int(seconds),
            "ttlSecondsAfterFinished": _JOB_KEPT_SECONDS,
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    **{key: value for key, value in spec.items() if key != "topologySpreadConstraints"},
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": 10,
                    "containers": [container],
                },
            },
        },
    }

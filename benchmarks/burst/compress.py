"""A production's time in less: whatever the objects say in seconds is divided by the same number."""

from __future__ import annotations

import asyncio
import copy
import time
from typing import Any

#: Each divides the autoscaler's periods and windows (15, 60 and 300 s) into whole seconds.
FACTORS = (1, 3, 5)
#: Where an object leaves them out: https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/
_BEHAVIOR: dict[str, Any] = {
    "scaleUp": {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [
            {"type": "Percent", "value": 100, "periodSeconds": 15},
            {"type": "Pods", "value": 4, "periodSeconds": 15},
        ],
    },
    "scaleDown": {
        "stabilizationWindowSeconds": 300,
        "selectPolicy": "Max",
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
    },
}
_KEDA = {"pollingInterval": 30, "cooldownPeriod": 300}
_GRACE_SECONDS = 30


class Clock:
    """Seconds of production since it was started; the machine's own are fewer by `factor`."""

    def __init__(self, factor: int) -> None:
        self.factor = factor
        self._began = time.monotonic()

    def start(self) -> None:
        """It is 0 now."""
        self._began = time.monotonic()

    def now(self) -> float:
        return (time.monotonic() - self._began) * self.factor

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.factor)

    def real(self, seconds: float) -> float:
        """How long that takes here."""
        return seconds / self.factor


def compressed(manifest: dict[str, Any], factor: int) -> dict[str, Any]:
    """An object with its times, said or Kubernetes' and KEDA's defaults, divided by the factor."""
    result = copy.deepcopy(manifest)
    spec = result.get("spec", {})
    if manifest["kind"] == "HorizontalPodAutoscaler":
        spec["behavior"] = _behavior(spec.get("behavior"), factor)
    elif manifest["kind"] == "ScaledObject":
        for name, seconds in _KEDA.items():
            spec[name] = _divided(spec.get(name, seconds), factor)
        hpa = spec.setdefault("advanced", {}).setdefault("horizontalPodAutoscalerConfig", {})
        hpa["behavior"] = _behavior(hpa.get("behavior"), factor)
    elif manifest["kind"] == "Deployment":
        pod = spec["template"]["spec"]
        grace = pod.get("terminationGracePeriodSeconds", _GRACE_SECONDS)
        pod["terminationGracePeriodSeconds"] = _divided(grace, factor)
    return result


def _behavior(said: dict[str, Any] | None, factor: int) -> dict[str, Any]:
    result = copy.deepcopy({**_BEHAVIOR, **(said or {})})
    for direction in result.values():
        direction["stabilizationWindowSeconds"] = _divided(
            direction.get("stabilizationWindowSeconds", 0), factor
        )
        for policy in direction["policies"]:
            policy["periodSeconds"] = _divided(policy["periodSeconds"], factor)
    return result


def _divided(seconds: float, factor: int) -> int:
    return round(seconds / factor)

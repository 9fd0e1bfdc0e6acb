"""How fast an autoscaler changes the number of pods."""

from __future__ import annotations

from typing import Any

from agent_infra.fleet.scaling_args import Speed


def behavior(speed: Speed, *, down_window: int) -> dict[str, Any]:
    """The `behavior` of autoscaling/v2: up at once by the larger of two steps, down slowly by one."""
    return {
        "scaleUp": {
            "stabilizationWindowSeconds": 0,
            "selectPolicy": "Max",
            "policies": [
                {"type": "Percent", "value": speed.up_percent, "periodSeconds": speed.up_seconds},
                {"type": "Pods", "value": speed.up_pods, "periodSeconds": speed.up_seconds},
            ],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": down_window,
            "selectPolicy": "Max",
            "policies": [
                {"type": "Percent", "value": speed.down_percent, "periodSeconds": speed.down_seconds}
            ],
        },
    }

"""What a benchmark found, as JSON with the machine it was found on."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

DIRECTORY = Path(__file__).with_name("results")


def write(name: str, found: dict[str, Any]) -> None:
    """Keeps it under `results/`, over what was there."""
    DIRECTORY.mkdir(exist_ok=True)
    path = DIRECTORY / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **found}, indent=1) + "\n")
    print(f"written to {path}")


def machine() -> dict[str, Any]:
    """How busy it was counts as much as what it is."""
    models = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
    ]
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpus": os.cpu_count(),
        "cpu": models[0].partition(":")[2].strip() if models else platform.machine(),
        "python": platform.python_version(),
        "load_average": [round(load, 1) for load in os.getloadavg()],
    }


def percentile(ordered: Sequence[float], share: float) -> float:
    """Of values in their order."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def spread(values: Sequence[float]) -> dict[str, float]:
    """The median of the rounds, and how far they lie apart."""
    return {
        "median": round(statistics.median(values), 3),
        "least": round(min(values), 3),
        "most": round(max(values), 3),
    }


def shown(values: dict[str, float]) -> str:
    """For the terminal."""
    return f"{values['median']:.2f} ({values['least']:.2f}-{values['most']:.2f})"

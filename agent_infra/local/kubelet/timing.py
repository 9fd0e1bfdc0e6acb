"""How long the kubelet waits; tests and benchmarks shorten it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Seconds. The defaults of back-off are those of Kubernetes' own kubelet."""

    first_back_off: float = 10.0
    longest_back_off: float = 300.0
    forget_back_off: float = 600.0
    """A container that ran for so long begins anew with the first back-off."""
    retry: float = 5.0
    """After a container that could not be started, for want of a Secret for example."""
    usage: float = 10.0
    """How often the API server is told what the pods use; 0: never."""

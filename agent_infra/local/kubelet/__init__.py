"""Runs fleets' pods on a simulated cluster's nodes as a kubelet does, each as a process or as what else a
runtime makes of it."""

from agent_infra.local.kubelet.kubelet import Kubelet
from agent_infra.local.kubelet.runtime import CannotRun, Running, Runtime, Usage
from agent_infra.local.kubelet.timing import Timing

__all__ = ["CannotRun", "Kubelet", "Running", "Runtime", "Timing", "Usage"]

"""The stand-in of the kubernetes plugin: objects go to an API server or, without one, to YAML files."""

from agent_infra.local.standins.kubernetes.standin import KubernetesStandin

__all__ = ["KubernetesStandin"]

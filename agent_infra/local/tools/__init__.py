"""Programs that this machine needs: found, downloaded or built, and kept per user."""

from agent_infra.local.tools.cluster import ClusterTools, ensure_cluster, find_cluster
from agent_infra.local.tools.places import Places
from agent_infra.local.tools.process import Interrupted
from agent_infra.local.tools.status import ToolStatus
from agent_infra.local.tools.toolset import ENGINE, LANGUAGE_HOST, Toolset, ensure, find

__all__ = [
    "ENGINE",
    "LANGUAGE_HOST",
    "ClusterTools",
    "Interrupted",
    "Places",
    "ToolStatus",
    "Toolset",
    "ensure",
    "ensure_cluster",
    "find",
    "find_cluster",
]

"""The Pulumi engine and its Python language host: found, downloaded or built, and kept per user."""

from agent_infra.local.tools.places import Places
from agent_infra.local.tools.process import Interrupted
from agent_infra.local.tools.toolset import ENGINE, LANGUAGE_HOST, Toolset, ToolStatus, ensure, find

__all__ = [
    "ENGINE",
    "LANGUAGE_HOST",
    "Interrupted",
    "Places",
    "ToolStatus",
    "Toolset",
    "ensure",
    "find",
]

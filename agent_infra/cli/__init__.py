"""The `agent-infra` command: a thin layer over `agent_infra.automation`."""

from agent_infra.cli.main import main

__all__ = ["main"]

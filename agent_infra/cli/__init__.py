"""The `agent-infra` command: a thin layer over `agent_infra.automation`."""

from __future__ import annotations

import sys

STOPPED = 130
"""The exit code of a command that Ctrl-C ended."""
STOPPED_MESSAGE = "agent-infra: stopped. What was done is kept; run the same command to go on."


def main() -> None:
    """The entry point; Ctrl-C is no traceback, not even while the command is being loaded."""
    try:
        from agent_infra.cli.main import app

        app()
    except KeyboardInterrupt:
        sys.stderr.write(f"{STOPPED_MESSAGE}\n")
        sys.exit(STOPPED)

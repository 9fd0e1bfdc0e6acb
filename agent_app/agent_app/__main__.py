"""The `agent-app` command."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from agent_app import __version__, startup
from agent_app.settings import Settings, SettingsError

_DESCRIPTION = "The agent service. Its settings are environment variables, AGENT_APP_*."
_ROLES = {
    "serve": "answer over HTTP on AGENT_APP_PORT (default 8000)",
    "work": "run the tasks in the queue; /healthz, /readyz and /metrics on AGENT_APP_PORT",
    "migrate": "bring the database's schema to the newest revision, then end",
    "evaluate": "ask an agent the cases of AGENT_APP_EVALUATION_CASES; the last line is the score, 0 to 1",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one role. Exit status: 0 ended as asked, 1 could not go on, 2 the settings are wrong,
    3 the score of an evaluation is too low.
    """
    parser = argparse.ArgumentParser("agent-app", description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"agent-app {__version__}")
    roles = parser.add_subparsers(dest="role", required=True, metavar="|".join(_ROLES))
    for role, help in _ROLES.items():
        roles.add_parser(role, help=help, description=help)
    role = parser.parse_args(arguments).role
    try:
        return _run(role, startup.load(role))
    except SettingsError as error:
        sys.stderr.write(f"agent-app: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130


def _run(role: str, settings: Settings) -> int:
    # Until its loop runs. In a container it is process 1, on which an unhandled SIGTERM has no effect at all.
    signal.signal(signal.SIGTERM, _end)
    from agent_app.secrets import SecretError
    from agent_app.state.migrate import MigrationFailed, run
    from agent_app.telemetry import logs

    logs.configure(settings, role)
    try:
        if role == "migrate":
            run(settings)
        elif role == "evaluate":
            from agent_app import evaluation

            cases = evaluation.read()
            score = asyncio.run(evaluation.evaluate(settings, cases))
            sys.stdout.write(f"{score:g}\n")
            return 0 if score >= cases.min_score else 3
        else:
            import uvloop

            from agent_app import server

            # The loop waits no longer for a thread that computes, such as the one that exports spans: of 80
            # chats a second the slowest hundredth took 95 ms in place of 105 (the default is 5 ms).
            sys.setswitchinterval(0.0005)
            uvloop.run(server.serve(settings) if role == "serve" else server.work(settings))
    except (SecretError, MigrationFailed) as error:
        sys.stderr.write(f"agent-app: {error}\n")
        return 1
    except asyncio.CancelledError:
        return 0  # told to end while it started
    return 0


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())

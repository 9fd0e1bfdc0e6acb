"""The commands and their options."""

from __future__ import annotations

import json
import shlex
import sys
from contextlib import nullcontext, suppress
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from agent_infra.cli import cluster, display, queue
from agent_infra.cli.interruption import interruptible
from agent_infra.cli.options import (
    Json,
    Kubernetes,
    ProjectDir,
    Rehearse,
    Simulate,
    Stack,
    open_environment,
    told,
)

app = typer.Typer(
    name="agent-infra",
    help="AI agents from a laptop to production on AWS and Kubernetes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(queue.app, name="queue")
app.add_typer(cluster.app, name="cluster")


#: Said by who has just brought a fleet up.
_FIRST = "Hello, what can you do?"


class Action(StrEnum):
    """The runs of the engine."""

    UP = "up"
    PREVIEW = "preview"
    REFRESH = "refresh"
    DESTROY = "destroy"


@app.command()
def up(
    stack: Stack = "local",
    rehearse: Rehearse = False,
    kubernetes: Simulate = None,
    as_json: Json = False,
    project: ProjectDir = None,
) -> None:
    """Create or change an environment until it is as its settings say, and wait until it answers."""
    _run(
        Action.UP,
        stack,
        rehearse=rehearse,
        kubernetes=kubernetes,
        as_json=as_json,
        project=project,
    )


@app.command()
def preview(
    stack: Stack = "local",
    rehearse: Rehearse = False,
    kubernetes: Simulate = None,
    as_json: Json = False,
    project: ProjectDir = None,
) -> None:
    """Show what `up` would do, and do nothing."""
    _run(
        Action.PREVIEW,
        stack,
        rehearse=rehearse,
        kubernetes=kubernetes,
        as_json=as_json,
        project=project,
    )


@app.command()
def refresh(
    stack: Stack = "local",
    rehearse: Rehearse = False,
    kubernetes: Simulate = None,
    as_json: Json = False,
    project: ProjectDir = None,
) -> None:
    """Take what is really there into the state."""
    _run(
        Action.REFRESH,
        stack,
        rehearse=rehearse,
        kubernetes=kubernetes,
        as_json=as_json,
        project=project,
    )


@app.command()
def destroy(
    stack: Stack = "local",
    rehearse: Rehearse = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
    project: ProjectDir = None,
) -> None:
    """Delete everything an environment has. An environment in the cloud is only deleted after a yes."""
    if not (yes or rehearse or stack == "local" or stack.startswith("local-")):
        typer.confirm(f"Delete everything of {stack!r} in the cloud?", abort=True)
    _run(Action.DESTROY, stack, rehearse=rehearse, as_json=as_json, project=project)


@app.command()
def rollback(
    fleet: Annotated[str, typer.Argument(help="Whose pods go back to their revision before.")],
    stack: Stack = "local",
    rehearse: Rehearse = False,
    context: Annotated[
        str | None, typer.Option("--context", help="The kubeconfig's context; else its current one.")
    ] = None,
    seconds: Annotated[
        float, typer.Option("--wait", min=0, max=3600, help="How many seconds to wait for the pods.")
    ] = 600,
    as_json: Json = False,
    project: ProjectDir = None,
) -> None:
    """Put a fleet's previous revision back at once, without a build and without `up`."""
    from agent_infra.cli.rollback import show

    with told(as_json=as_json):
        environment = open_environment(stack, rehearse=rehearse, project=project)
        with display.choose(as_json=as_json) as shown:
            done = environment.roll_back(fleet, context=context, seconds=seconds, listener=shown.on_event)
        show(done, fleet=fleet, stack=stack, as_json=as_json)


@app.command()
def status(
    stack: Stack = "local",
    rehearse: Rehearse = False,
    everything: Annotated[
        bool, typer.Option("--all", help="All that is not simulated, not only what the stack uses.")
    ] = False,
    as_json: Json = False,
    project: ProjectDir = None,
) -> None:
    """Show what runs, where it answers, and what is accepted but not simulated on this machine."""
    from agent_infra.cli.status import show

    with told(as_json=as_json):
        environment = open_environment(stack, rehearse=rehearse, project=project)
        show(environment, everything=everything, as_json=as_json)


@app.command()
def logs(
    name: Annotated[str | None, typer.Argument(help="A fleet or a service; none lists them.")] = None,
    stack: Stack = "local",
    rehearse: Rehearse = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines.")] = 50,
    project: ProjectDir = None,
) -> None:
    """Show what a fleet's replicas or a service wrote."""
    from agent_infra.cli.logs import show

    with told(as_json=False), suppress(KeyboardInterrupt) if follow else nullcontext():
        show(open_environment(stack, rehearse=rehearse, project=project), name, follow=follow, lines=lines)


@app.command()
def chat(
    message: Annotated[str | None, typer.Argument(help="What to say; none starts a conversation.")] = None,
    stack: Stack = "local",
    rehearse: Rehearse = False,
    fleet: Annotated[
        str | None, typer.Option("--fleet", help="Which fleet, where there are several.")
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", help="The fleet's address, where it cannot be known.")
    ] = None,
    session: Annotated[
        str | None, typer.Option("--session", help="Go on with an earlier conversation.")
    ] = None,
    api_key_env: Annotated[
        str | None,
        typer.Option(
            "--api-key-env",
            help="The environment variable with the API key; else it is read from the secret.",
        ),
    ] = None,
    as_json: Json = False,
    project: ProjectDir = None,
) -> None:
    """Talk to a fleet's agent."""
    from agent_infra.automation.api_keys import api_key
    from agent_infra.cli.chat import ApiKey, address, talk

    with told(as_json=as_json):
        opened = partial(open_environment, stack, rehearse=rehearse, project=project)
        key = ApiKey(api_key_env, lambda: api_key(opened(), fleet))
        at = url or address(opened(), fleet)
        talk(at, message, key=key, session=session, as_json=as_json)


@app.command()
def env(
    stack: Stack = "local",
    rehearse: Rehearse = False,
    kubernetes: Simulate = None,
    project: ProjectDir = None,
) -> None:
    """Print what makes plain `pulumi` work on an environment: eval "$(agent-infra env)"."""
    from agent_infra.local.workspace import PASSPHRASE

    with told(as_json=False), display.choose(as_json=False) as shown:
        environment = open_environment(stack, rehearse=rehearse, kubernetes=kubernetes, project=project)
        for name, value in environment.variables(listener=shown.on_event).items():
            # A passphrase is not printed; the file that has it is among the others.
            line = f"unset {name}" if name == PASSPHRASE else f"export {name}={shlex.quote(value)}"
            sys.stdout.write(f"{line}\n")


@app.command()
def tools(
    ensure: Annotated[bool, typer.Option("--ensure", help="Get the missing ones first.")] = False,
    cluster: Annotated[
        bool, typer.Option("--cluster", help="With --ensure: those of the simulated cluster too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the tools that are found and where from, or how a missing one would be got."""
    from agent_infra.automation.session import ensure_cluster_tools, ensure_tools
    from agent_infra.cli.status import show_tools

    with told(as_json=as_json):
        if cluster and not ensure:
            raise typer.BadParameter("it goes with --ensure: add that to get them", param_hint="--cluster")
        if ensure:
            with display.choose(as_json=as_json) as shown:
                ensure_tools(shown.on_event)
                if cluster:
                    ensure_cluster_tools(shown.on_event)
        show_tools(as_json=as_json)


def _run(
    action: Action,
    stack: str,
    *,
    rehearse: bool,
    as_json: bool,
    project: Path | None,
    kubernetes: Kubernetes | None = None,
) -> None:
    with told(as_json=as_json):
        environment = open_environment(stack, rehearse=rehearse, kubernetes=kubernetes, project=project)
        with interruptible(action.value) as interruption, display.choose(as_json=as_json) as shown:
            result = getattr(environment, action.value)(listener=interruption.quieten(shown.on_event))
        shown.result(result)
        if not as_json:
            keyed = result.outputs.get("api_keys_secret_arns") or {}
            for name, address in result.endpoints.items():
                where = (
                    f" --stack {stack}{' --rehearse' * rehearse} --fleet {name}" if name in keyed else None
                )
                sys.stdout.write(_invitation(name, address, chat=where))


def _invitation(name: str, address: str, *, chat: str | None) -> str:
    """What to type first; a fleet with API keys is asked by who can read them."""
    if chat is not None:
        return f"\n{name} answers at {address}, with an API key\n  agent-infra chat{chat} '{_FIRST}'\n"
    body = json.dumps({"message": _FIRST})
    return (
        f"\n{name} answers at {address}\n"
        f"  curl -s {address}/v1/chat -H 'content-type: application/json' -d '{body}'\n"
    )

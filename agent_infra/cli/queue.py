"""`agent-infra queue`: how full the fleets' queues are, and what to do with dead letters."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent_infra.cli.options import Json, ProjectDir, Rehearse, Stack, open_environment, told

if TYPE_CHECKING:
    from agent_infra.automation.queues import Queues

app = typer.Typer(help="Look at the fleets' queues and move dead letters back.", no_args_is_help=True)

Fleet = Annotated[str, typer.Argument(help="Whose queue.")]


@app.command()
def status(
    fleet: Annotated[str | None, typer.Argument(help="Whose queue; none shows all.")] = None,
    stack: Stack = "local",
    rehearse: Rehearse = False,
    as_json: Json = False,
    project: ProjectDir = None,
) -> None:
    """Show how many tasks wait, are worked on, are delayed and are dead letters."""
    with told(as_json=as_json):
        found = _queues(stack, rehearse=rehearse, project=project).status(fleet)
    if as_json:
        _write([item.as_json() for item in found])
        return
    rows = [
        (
            item.fleet,
            str(item.waiting),
            str(item.in_flight),
            str(item.delayed),
            str(item.dead_letters),
            _age(item.oldest_seconds),
        )
        for item in found
    ]
    _show("Queues", ("fleet", "waiting", "in flight", "delayed", "dead letters", "oldest"), rows)


@app.command()
def peek(
    fleet: Fleet,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 10,
    stack: Stack = "local",
    rehearse: Rehearse = False,
    as_json: Json = False,
    project: ProjectDir = None,
) -> None:
    """Show a fleet's dead letters without their content; they stay where they are."""
    with told(as_json=as_json):
        found = _queues(stack, rehearse=rehearse, project=project).peek(fleet, limit=limit)
    if as_json:
        _write([item.as_json() for item in found])
        return
    rows = [
        (
            item.id,
            f"{item.sent_at:%Y-%m-%d %H:%M:%S}" if item.sent_at else "",
            str(item.received),
            str(item.bytes),
            item.task_id or "",
        )
        for item in found
    ]
    _show("Dead letters", ("message", "sent (UTC)", "received", "bytes", "task"), rows)


@app.command()
def redrive(
    fleet: Fleet,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="How many at most; all, where it is not said.")
    ] = None,
    rate: Annotated[
        int | None, typer.Option("--rate", min=1, max=500, help="How many a second at most.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many there are.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    stack: Stack = "local",
    rehearse: Rehearse = False,
    as_json: Json = False,
    project: ProjectDir = None,
) -> None:
    """Move a fleet's dead letters back into its queue; in the cloud only after a yes."""
    with told(as_json=as_json):
        queues = _queues(stack, rehearse=rehearse, project=project)
        (before,) = queues.status(fleet)
        there = before.dead_letters
        moving = min(limit or there, there)
        if moving and queues.managed and not (dry_run or yes):
            if as_json:
                _refuse_to_ask()
            typer.confirm(f"Move {moving} dead letters of {fleet!r} in {stack!r} back?", abort=True)
        done = queues.redrive(
            fleet,
            limit=limit,
            rate=rate,
            dry_run=dry_run,
            on_progress=_progress(moving, quiet=as_json),
        )
    if as_json:
        _write([done.as_json()])
    elif dry_run:
        would = min(limit or done.found, done.found)
        sys.stdout.write(f"{would} of {done.found} dead letters of {fleet} would be moved back.\n")
    elif not done.found:
        sys.stdout.write(f"There are no dead letters of {fleet}.\n")
    else:
        sys.stdout.write(f"{done.moved} of {done.found} dead letters of {fleet} were moved back.\n")


def _queues(stack: str, *, rehearse: bool, project: Path | None) -> Queues:
    from agent_infra.automation.queues import Queues

    return Queues.open(open_environment(stack, rehearse=rehearse, project=project))


def _refuse_to_ask() -> None:
    from agent_infra.automation import AutomationError

    raise AutomationError("With --json nobody is asked: say --yes to move dead letters in the cloud.")


def _progress(expected: int, *, quiet: bool) -> Callable[[int], None]:
    def told_so_far(moved: int) -> None:
        if not quiet:
            sys.stderr.write(f"{moved} of {expected} moved\n")

    return told_so_far


def _write(objects: list[dict[str, Any]]) -> None:
    for item in objects:
        sys.stdout.write(json.dumps(item, default=str) + "\n")


def _show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console

    from agent_infra.cli.display import table

    if not rows:
        sys.stdout.write(f"{title}: none.\n")
        return
    table(Console(highlight=False), title, columns, rows)


def _age(seconds: float | None) -> str:
    """Such as 1 h 5 min; CloudWatch may not know."""
    if seconds is None:
        return "not known"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"

"""`agent-infra rollback`: what went back, and what is to be done next."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import typer

from agent_infra.automation.rollbacks import RolledBack


def show(done: Sequence[RolledBack], *, fleet: str, stack: str, as_json: bool) -> None:
    """Writes it; ends with 1 where pods are not ready yet."""
    if as_json:
        sys.stdout.write("".join(json.dumps(each.as_json()) + "\n" for each in done))
    else:
        for each in done:
            sys.stdout.write(
                f"{each.deployment}: revision {each.from_revision} -> {each.to_revision}\n"
                f"  from {each.from_image}\n  to   {each.to_image}\n"
            )
            if not each.done:
                sys.stdout.write(f"  its pods are not all ready yet; watch them: {each.watch}\n")
        sys.stdout.write(
            f"\nThe program still says the newer revision of {fleet}, and the next `up` would bring it back. "
            "Set its image back, or revert the change, then:\n"
            f"  agent-infra refresh --stack {stack} && agent-infra up --stack {stack}\n"
        )
    if not all(each.done for each in done):
        raise typer.Exit(1)

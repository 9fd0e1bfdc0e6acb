"""What can go wrong when environments are managed; every message says what, where and the way out."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pulumi.automation.errors import CommandError

#: More of them are counted: one cause, such as a service that is down, may have hundreds.
_TOLD = 10


class AutomationError(Exception):
    """A call could not be carried out."""


class EnvironmentLocked(AutomationError):
    """Another run holds the environment."""


class ProtectedEnvironment(AutomationError):
    """An environment that holds protected resources was to be deleted; nothing was."""

    def __init__(self, environment: str, project: str, protected: Sequence[str]) -> None:
        self.protected = tuple(protected)
        named = ", ".join(self.protected[:_TOLD])
        more = f" and {len(self.protected) - _TOLD} more" if len(self.protected) > _TOLD else ""
        super().__init__(
            f"{environment!r} is protected, and nothing was deleted. It protects {named}{more}. To delete it "
            f"all the same: say `{project}:protect: false` in Pulumi.{environment}.yaml (or "
            "`deletion_protection: False` in your own program), run `up`, which lifts the protection, then "
            "`destroy`."
        )


class UpdateCancelled(AutomationError):
    """The user stopped the run; what had been done is in the state, and the next run goes on from there."""


class UpdateFailed(AutomationError):
    """The engine ended with errors, one text each in `problems`; its message tells the first ten."""

    def __init__(self, action: str, problems: Sequence[str]) -> None:
        self.action = action
        self.problems = tuple(problems)
        told = [f"- {problem}" for problem in self.problems[:_TOLD]]
        if len(self.problems) > _TOLD:
            told.append(f"and {len(self.problems) - _TOLD} more")
        super().__init__("\n".join([f"{action} failed:", *told]))


_PREFIX = re.compile(r"^(stderr|stdout|code|error):\s*", re.IGNORECASE)


def from_command(error: CommandError, *, action: str, problems: Sequence[str]) -> AutomationError:
    """The engine's failed command as one of the errors above.

    `problems` are the diagnostics that the run reported itself; without any, the lines that the
    command wrote to its standard error are told.
    """
    text = str(error)
    if "the stack is currently locked by" in text:
        holder = next((line.strip() for line in text.splitlines() if "created by" in line), "another run")
        return EnvironmentLocked(
            f"{action}: the stack's state is locked: {holder}. Wait for that run to end; "
            "if it is gone, `pulumi cancel` releases the lock."
        )
    if re.search(r"update cancell?ed|signal: (interrupt|killed)|^\s*code: -(2|9|15)$", text, re.MULTILINE):
        return cancelled(action)
    if "no space left on device" in text or "disk quota exceeded" in text:
        return AutomationError(f"{action}: the disk is full. Free some space, then run it again.")
    return UpdateFailed(action, problems or _error_lines(text))


def cancelled(action: str) -> UpdateCancelled:
    """What a user who stopped a run is told."""
    return UpdateCancelled(
        f"{action} was stopped. What had been done is kept; run it again to go on from there."
    )


def _error_lines(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [_PREFIX.sub("", line) for line in lines if line.startswith(("error:", "stderr: error:"))]
    return errors or lines[-5:]

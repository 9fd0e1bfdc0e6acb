"""The engine's own state of a local environment (its `file://` backend), and how it is mended.

A killed run leaves a lock behind, a full disk may leave half a checkpoint. Both are seen before
the engine starts, and nothing is thrown away: what cannot be read is set aside under another name.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from agent_infra.local.environment import LocalEnvironment, LocalError, write_private


@dataclass(frozen=True)
class State:
    """The state of one stack in a local environment's directory."""

    environment: LocalEnvironment
    project: str
    stack: str

    @property
    def checkpoint(self) -> Path:
        return self._under("stacks") / f"{self.stack}.json"

    @property
    def exists(self) -> bool:
        return self.checkpoint.exists()

    def _under(self, kind: str) -> Path:
        return self.environment.state_dir / ".pulumi" / kind / self.project

    def _latest(self) -> dict[str, Any]:
        content = json.loads(self.checkpoint.read_text())
        latest: dict[str, Any] = content["checkpoint"].get("latest") or {}
        return latest

    def resources(self) -> list[dict[str, Any]]:
        """What the engine knows, the stack and the providers left out."""
        if not self.exists:
            return []
        skipped = ("pulumi:pulumi:", "pulumi:providers:")
        return [
            resource
            for resource in self._latest().get("resources") or []
            if not resource["type"].startswith(skipped)
        ]

    def outputs(self) -> dict[str, Any]:
        """What the stack exported; nothing where it was never deployed. A secret stays encrypted."""
        if not self.exists:
            return {}
        for resource in self._latest().get("resources") or []:
            if resource["type"] == "pulumi:pulumi:Stack":
                outputs: dict[str, Any] = resource.get("outputs") or {}
                return outputs
        return {}

    def interrupted(self) -> bool:
        """Whether a run ended while something was being created or deleted."""
        return self.exists and bool(self._latest().get("pending_operations"))

    def forget_interruption(self) -> None:
        """Drops what a run left half done: the engine would remember it at every run to come."""
        content = json.loads(self.checkpoint.read_text())
        content["checkpoint"]["latest"].pop("pending_operations")
        write_private(self.checkpoint, json.dumps(content, indent=4))

    def mend(self) -> list[str]:
        """Releases dead runs' locks and sets a broken checkpoint aside for its newest good copy.

        Returns: what was done, in sentences.

        Raises:
            LocalError: a living run holds the state.
        """
        return [*self._release_locks(), *self._restore_checkpoint()]

    def _release_locks(self) -> list[str]:
        done = []
        for lock in (self.environment.state_dir / ".pulumi" / "locks").rglob("*.json"):
            try:
                pid = int(json.loads(lock.read_text())["pid"])
            except (OSError, ValueError, KeyError, TypeError):
                pid = 0
            if pid and psutil.pid_exists(pid) and "pulumi" in _name(pid):
                raise LocalError(
                    f"The state of {self.environment.name!r} is locked by process {pid} (`pulumi`). "
                    "Wait for it to end, or stop it, then try again."
                )
            lock.unlink(missing_ok=True)
            done.append(f"Released the lock of a run that is gone (process {pid}).")
        return done

    def _restore_checkpoint(self) -> list[str]:
        if not self.exists or _good(self.checkpoint):
            return []
        aside = _free_name(self.checkpoint, "corrupt")
        copies = [
            *self._under("stacks").glob(f"{self.stack}.json.bak"),
            *(self._under("history") / self.stack).glob("*.checkpoint.json"),
            *(self._under("backups") / self.stack).glob("*.json"),
        ]
        copies = [path for path in copies if _good(path)]
        self.checkpoint.replace(aside)
        self._set_broken_attributes_aside()
        if not copies:
            return [f"The state could not be read and has no good copy: it was kept as {aside}."]
        newest = max(copies, key=lambda path: path.stat().st_mtime)
        shutil.copyfile(newest, self.checkpoint)
        return [f"The state could not be read: it was kept as {aside}, and {newest.name} took its place."]

    def _set_broken_attributes_aside(self) -> None:
        for file in self._under("stacks").glob(f"{self.stack}.json.attrs"):
            try:
                json.loads(file.read_text())
            except ValueError:
                file.unlink()

    # The local cloud's memory -------------------------------------------------------------

    @property
    def _deployed_file(self) -> Path:
        return self.environment.root / "deployed.json"

    def forgotten_by(self, generation: str | None) -> bool:
        """Whether the cloud that runs now is another than the one the resources were made in."""
        if not self.resources():
            return False
        try:
            return bool(json.loads(self._deployed_file.read_text())["generation"] != generation)
        except (OSError, ValueError, KeyError):
            return True

    def remember(self, generation: str | None) -> None:
        """Notes which cloud the state is now true of."""
        write_private(self._deployed_file, json.dumps({"generation": generation}))


def _name(pid: int) -> str:
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return ""


def _good(path: Path) -> bool:
    try:
        return "checkpoint" in json.loads(path.read_text())
    except (OSError, ValueError):
        return False


def _free_name(path: Path, mark: str) -> Path:
    number = 1
    while (candidate := path.with_name(f"{path.name}.{mark}-{number}")).exists():
        number += 1
    return candidate

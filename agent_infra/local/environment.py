"""Where one environment that runs on this machine keeps what is its own.

Every local environment (`local`, or another environment's rehearsal) has one directory,
`<project>/.agent-infra/<name>/`, and nothing is kept outside it. Deleting it forgets the
environment; two environments share nothing.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: The one variable by which the provider stand-ins and the fleets find their environment.
ENVIRONMENT_DIR = "AGENT_INFRA_ENVIRONMENT_DIR"


class LocalError(Exception):
    """Something on this machine stands in the way; the message says what, where and the way out."""


@dataclass(frozen=True)
class LocalEnvironment:
    """The directory of one local environment and the names of what is in it."""

    root: Path

    @classmethod
    def from_variables(cls) -> LocalEnvironment:
        """The environment this process was started for.

        Raises:
            LocalError: the process was not started by `agent-infra` or under `agent-infra env`.
        """
        value = os.environ.get(ENVIRONMENT_DIR)
        if not value:
            raise LocalError(
                f'{ENVIRONMENT_DIR} is not set: run `eval "$(agent-infra env)"` in the project first.'
            )
        return cls(Path(value))

    @property
    def name(self) -> str:
        """Such as `local` or `prod.rehearsal`."""
        return self.root.name

    @property
    def lock_file(self) -> Path:
        return self.root / "lock"

    @property
    def services_file(self) -> Path:
        """What runs and where: see `agent_infra.local.services`."""
        return self.root / "services.json"

    @property
    def services_dir(self) -> Path:
        """The data of moto, Redis and Postgres, a directory each."""
        return self.root / "services"

    @property
    def logs_dir(self) -> Path:
        return self.root / "logs"

    @property
    def state_dir(self) -> Path:
        """Pulumi's own state (the `file://` backend)."""
        return self.root / "state"

    @property
    def passphrase_file(self) -> Path:
        return self.root / "passphrase"

    @property
    def project_dir(self) -> Path:
        """The generated Pulumi project that the environment is deployed from."""
        return self.root / "project"

    @property
    def manifests_dir(self) -> Path:
        """The Kubernetes objects, one YAML file each, where no API server is used."""
        return self.root / "manifests"

    @property
    def records_file(self) -> Path:
        """The resources that are recorded but not simulated."""
        return self.root / "records.json"

    @property
    def fleets_file(self) -> Path:
        """What the fleet supervisor runs: see `agent_infra.local.fleets`."""
        return self.root / "fleets.json"

    @property
    def scales_file(self) -> Path:
        """How many replicas of a Deployment run where somebody but its manifest said so: a canary's."""
        return self.root / "scales.json"

    @property
    def mode_file(self) -> Path:
        """What stands for its cluster: see `agent_infra.local.mode`."""
        return self.root / "mode.json"

    @property
    def cluster_dir(self) -> Path:
        """The control plane of a simulated cluster: see `agent_infra.local.cluster`."""
        return self.root / "cluster"

    @property
    def pods_dir(self) -> Path:
        """What pods of the simulated cluster mount, a directory each: see `agent_infra.local.kubelet`."""
        return self.root / "pods"

    @property
    def bin_dir(self) -> Path:
        """The provider stand-ins' executables, first on the engine's PATH."""
        return self.root / "bin"

    def service(self, name: str) -> dict[str, Any]:
        """The entry of a running service: `pid`, `host`, `port`, `url` and what is its own.

        Raises:
            LocalError: it was never started here.
        """
        try:
            entry: dict[str, Any] = json.loads(self.services_file.read_text())["services"][name]
        except (FileNotFoundError, KeyError, json.JSONDecodeError):
            raise LocalError(
                f"{name} is not running for environment {self.name!r}: run `agent-infra up` first."
            ) from None
        return entry


@contextmanager
def plainly(place: Path) -> Iterator[None]:
    """Says what the operating system refuses at a place in a sentence with the way out.

    Raises:
        LocalError: the disk is full, or something may not be read or written.
    """
    try:
        yield
    except (ConnectionError, TimeoutError):
        raise
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise LocalError(f"The disk that has {place} is full: free some space, then try again.") from None
        raise LocalError(
            f"{error.filename or place}: {error.strerror or error}. "
            "Mend that (its owner, its permissions), then try again."
        ) from None


def write_private(path: Path, text: str) -> None:
    """Replaces a file in one step, readable by its owner alone; a crash leaves the old or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

"""The Pulumi project that environments belong to: where it is and what its settings files say."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from agent_infra.automation.errors import AutomationError


@dataclass(frozen=True)
class Project:
    """A directory with a Pulumi.yaml and a Pulumi.<environment>.yaml for each environment."""

    root: Path
    name: str

    @classmethod
    def find(cls, start: Path | None = None) -> Project:
        """The project that a directory (default: the current one) is in.

        Raises:
            AutomationError: neither it nor a directory above has a Pulumi.yaml, or it cannot be read.
        """
        here = (start or Path.cwd()).resolve()
        for directory in (here, *here.parents):
            file = directory / "Pulumi.yaml"
            if file.is_file():
                name = _read_yaml(file).get("name")
                if not isinstance(name, str):
                    raise AutomationError(f"{file}: `name` is missing: say `name: my-project` there.")
                return cls(directory, name)
        raise AutomationError(
            f"No Pulumi.yaml in {here} or above it: change into your project, or name it with --project DIR."
        )

    def description(self) -> dict[str, Any]:
        """The whole of its Pulumi.yaml."""
        return _read_yaml(self.root / "Pulumi.yaml")

    def environments(self) -> list[str]:
        """The names that have a settings file, in alphabetical order."""
        return sorted(path.name[len("Pulumi.") : -len(".yaml")] for path in self.root.glob("Pulumi.*.yaml"))

    def settings_file(self, environment: str) -> Path:
        """Where an environment's settings are.

        Raises:
            AutomationError: it has none.
        """
        file = self.root / f"Pulumi.{environment}.yaml"
        if not file.is_file():
            known = self.environments()
            close = difflib.get_close_matches(environment, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise AutomationError(
                f"There is no environment {environment!r}: {file} does not exist.{hint} "
                f"This project has {', '.join(known) or 'none'}."
            )
        return file

    def settings(self, environment: str) -> dict[str, Any]:
        """The whole of an environment's settings file."""
        return _read_yaml(self.settings_file(environment))


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text())
    except yaml.YAMLError as error:
        raise AutomationError(f"{file} is not YAML: {error}") from None
    except OSError as error:
        raise AutomationError(f"{file} cannot be read: {error.strerror}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise AutomationError(f"{file} must hold keys and values, not a {type(content).__name__}.")
    return content

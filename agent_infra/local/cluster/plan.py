"""What a cluster is made of: its programs, places, ports and options."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from pydantic import ValidationError

from agent_infra.local.cluster.options import ClusterOptions, Places
from agent_infra.local.environment import LocalEnvironment, LocalError, write_private
from agent_infra.local.tools import ClusterTools

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Plan:
    """All that the parts' command lines are made from; nothing in it is a secret."""

    environment: LocalEnvironment
    places: Places
    programs: ClusterTools
    options: ClusterOptions
    ports: Mapping[str, int]

    def address(self, port: str) -> str:
        return f"{HOST}:{self.ports[port]}"

    def url(self, port: str, path: str = "", *, scheme: str = "https") -> str:
        return f"{scheme}://{HOST}:{self.ports[port]}{path}"

    @property
    def server(self) -> str:
        """The API server's address."""
        return self.url("kube-apiserver")


def write(environment: LocalEnvironment, options: ClusterOptions, programs: ClusterTools) -> None:
    """Writes down what was asked for, for the supervisor."""
    found = {field.name: getattr(programs, field.name) for field in fields(programs)}
    content = {
        "options": options.model_dump(),
        "programs": {name: str(path) for name, path in found.items() if path is not None},
    }
    write_private(Places(environment.cluster_dir).plan, json.dumps(content, indent=1))


def read(environment: LocalEnvironment) -> tuple[ClusterOptions, ClusterTools]:
    """What was asked for last.

    Raises:
        LocalError: nothing, or the file is damaged.
    """
    file = Places(environment.cluster_dir).plan
    try:
        content = json.loads(file.read_text())
        paths = {str(name): Path(path) for name, path in content["programs"].items()}
        return ClusterOptions(**content["options"]), ClusterTools(**paths)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
        raise LocalError(
            f"{file} does not say what the cluster is made of ({type(error).__name__}): "
            "run `agent-infra cluster start`, which writes it anew."
        ) from None

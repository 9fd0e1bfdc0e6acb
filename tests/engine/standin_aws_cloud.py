"""A local cloud of a test's own: moto, Redis and Postgres, ended at the end."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent_infra.local import services
from agent_infra.local.environment import LocalEnvironment, write_private


@contextmanager
def local_cloud(directory: Path) -> Iterator[LocalEnvironment]:
    """The three services, in an environment directory of their own."""
    environment = LocalEnvironment(directory / "local")
    try:
        services.start(environment)
        yield environment
    finally:
        services.stop(environment)


def entries(environment: LocalEnvironment) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(environment.services_file.read_text())["services"]
    return found


def begin_another_generation(environment: LocalEnvironment) -> None:
    """What moto was told before is taken for forgotten."""
    content = json.loads(environment.services_file.read_text())
    write_private(environment.services_file, json.dumps({**content, "generation": str(uuid.uuid4())}))

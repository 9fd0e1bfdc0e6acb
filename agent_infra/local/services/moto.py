"""moto's server: AWS as this machine has it. Its memory is all it has; a new process knows nothing."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from agent_infra.local.environment import LocalEnvironment

NAME = "moto"
START_SECONDS = 60.0


def settings(environment: LocalEnvironment, earlier: Mapping[str, Any], port: int) -> dict[str, Any]:
    """Its entry in services.json."""
    return {"url": f"http://127.0.0.1:{port}"}


def command(environment: LocalEnvironment, entry: Mapping[str, Any]) -> list[str]:
    return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(entry["port"])]


def variables(entry: Mapping[str, Any]) -> dict[str, str]:
    return {
        # AWS's own managed policies, which roles are given by their ARN.
        "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
        # What a user has set for the real AWS must not reach it.
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def answers(environment: LocalEnvironment, entry: Mapping[str, Any]) -> bool:
    """Whether it serves requests."""
    try:
        with urllib.request.urlopen(f"{entry['url']}/moto-api/seed", timeout=3):
            return True
    except urllib.error.HTTPError:
        return True  # it answered, if only that there is no such page
    except OSError:
        return False


def prepare(environment: LocalEnvironment, entry: Mapping[str, Any]) -> None:
    """Nothing is kept on disk."""

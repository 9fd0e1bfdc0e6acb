"""moto's server: AWS as this machine has it. Its memory is all it has; a new process knows nothing."""

from __future__ import annotations

import json
import os
import signal
import sys
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

import psutil

from agent_infra.local.environment import LocalEnvironment

NAME = "moto"
START_SECONDS = 60.0
TEXTS = ("url",)
KEEPS_DATA = False
STOP_SIGNAL = signal.SIGTERM

#: A proxy that the user has set is not for this machine's own addresses.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def directory(environment: LocalEnvironment) -> Path:
    """Nothing is kept in it: it is where the process stands, to be known by."""
    return environment.services_dir / NAME


def settings(environment: LocalEnvironment, earlier: Mapping[str, Any], port: int) -> dict[str, Any]:
    """Its entry in services.json."""
    return {"url": f"http://127.0.0.1:{port}"}


def prepare(environment: LocalEnvironment, entry: Mapping[str, Any], earlier: Mapping[str, Any]) -> None:
    directory(environment).mkdir(parents=True, exist_ok=True, mode=0o700)


def command(environment: LocalEnvironment, entry: Mapping[str, Any]) -> list[str]:
    return [sys.executable, "-P", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(entry["port"])]


def variables(entry: Mapping[str, Any]) -> dict[str, str | None]:
    # What the user has set for the real AWS, or for another moto (its account, say), must not reach it.
    theirs = dict.fromkeys(name for name in os.environ if name.startswith(("AWS_", "MOTO_")))
    return {
        **theirs,
        # AWS's own managed policies, which roles are given by their ARN; 30 MB and a second, at the
        # first call to IAM.
        "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
        # Buckets are found in the path alone, whatever name the server is called by.
        "S3_IGNORE_SUBDOMAIN_BUCKETNAME": "true",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def answers(environment: LocalEnvironment, entry: Mapping[str, Any]) -> bool:
    """Whether it serves requests, and is moto."""
    try:
        with _DIRECT.open(f"{entry['url']}/moto-api/config", timeout=3) as response:
            return isinstance(json.load(response), dict)
    except (OSError, ValueError, HTTPException):
        return False


def is_server(process: psutil.Process) -> bool:
    return "moto.server" in process.cmdline()

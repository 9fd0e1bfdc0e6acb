"""Whom a fleet's pods are to Kubernetes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent_infra.fleet.names import Names
from agent_infra.fleet.objects import Manifest


def service_account(names: Names, annotations: Mapping[str, Any]) -> Manifest:
    """The ServiceAccount of both kinds of pods; none gets a token by itself."""
    more = {"annotations": dict(annotations)} if annotations else {}
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {**names.metadata(names.fleet), **more},
        "automountServiceAccountToken": False,
    }

"""Kubernetes secrets that a fleet is given the values of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from agent_infra.fleet.names import Names
from agent_infra.fleet.objects import Manifest


def kubernetes_secret(names: Names, secret: str, content: Mapping[str, pulumi.Output[Any]]) -> Manifest:
    """The Secret; its values are secret in Pulumi's state too, however they came."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": names.metadata(secret),
        "stringData": {key: pulumi.Output.secret(value) for key, value in content.items()},
    }

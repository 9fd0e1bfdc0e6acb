"""What the tests of the components share."""

from __future__ import annotations

import json
from typing import Any

from tests.unit.recording import Recorded, record

#: Where a data service may be, and who connects to it.
PLACED = {"vpc_id": "vpc-1", "subnet_ids": ["subnet-1", "subnet-2"], "clients": {"cluster": "sg-cluster"}}

#: A KMS key of one's own.
KEY = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def made(component: Any, args: dict[str, Any]) -> Recorded:
    """What a component called `it` registers."""
    return record(lambda: component("it", args) and None)


def as_text(value: Any) -> str:
    """A setting as the engine hands it over: objects are JSON, null is nothing."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)

"""IAM documents as pure functions; what is inside them may be an `Output`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from agent_infra.component import MaybeOutput
from agent_infra.outputs import computed

Statement = Mapping[str, Any]


def document(*statements: Statement) -> MaybeOutput[str]:
    """A policy document as IAM takes it."""
    return computed(statements, lambda known: written(*known))


def written(*statements: Statement) -> str:
    """The document of statements that are known."""
    return json.dumps({"Version": "2012-10-17", "Statement": [dict(item) for item in statements]})


def assumed_by(service: str, *, tag_session: bool = False) -> str:
    """The trust policy of a role for one AWS service."""
    actions: str | list[str] = ["sts:AssumeRole", "sts:TagSession"] if tag_session else "sts:AssumeRole"
    return written({"Effect": "Allow", "Principal": {"Service": service}, "Action": actions})


def allow(actions: Sequence[str], resources: Any) -> dict[str, Any]:
    """A statement that allows actions on resources."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": resources}


def deny_plain_http(actions: str, resources: Any) -> dict[str, Any]:
    """A resource policy's statement that refuses whoever comes without TLS."""
    return {
        "Sid": "DenyPlainHttp",
        "Effect": "Deny",
        "Principal": "*",
        "Action": actions,
        "Resource": resources,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }

"""`Secrets`: named secrets in AWS Secrets Manager."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws
from pydantic import Field

from agent_infra.component import Args, Component


class SecretsArgs(Args):
    """The arguments of `Secrets`."""

    values: Mapping[str, pulumi.Output[Any] | None]
    """Each secret's name and its content, a mapping such as {"OPENAI_API_KEY": ...} as an `Output`;
    with None it starts as `{}`, is filled by hand, and what is in it is never touched."""
    recovery_days: int = Field(default=30, ge=0, le=30)
    """How long a deleted secret can be brought back: 7 to 30 days, or 0 for not at all."""
    tags: Mapping[str, str] = {}


class Secrets(Component):
    """Secrets Manager secrets, each a JSON object.

    Raises:
        ArgsError: an argument is wrong.
    """

    arns: dict[str, pulumi.Output[str]]
    """Each secret's ARN by its name."""

    def __init__(
        self,
        name: str,
        args: SecretsArgs | Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        args = SecretsArgs.parse(args, owner=f"Secrets {name!r}")
        super().__init__("Secrets", name, opts, tags=args.tags)
        self.arns = {}
        for key, value in args.values.items():
            child = f"{name}-{key}"
            secret = aws.secretsmanager.Secret(
                child,
                description=f"{key}, as JSON",
                recovery_window_in_days=args.recovery_days,
                tags=self._tags(child),
                opts=self._opts(),
            )
            content = (
                pulumi.Output.secret("{}") if value is None else pulumi.Output.secret(value).apply(json.dumps)
            )
            aws.secretsmanager.SecretVersion(
                child,
                secret_id=secret.id,
                secret_string=content,
                opts=self._opts(ignore_changes=["secretString"] if value is None else None),
            )
            self.arns[key] = secret.arn
        self.register_outputs({"arns": self.arns})

"""`Registry`: where a fleet's images are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws
from pydantic import Field

from agent_infra.component import Args, Component

_UNTAGGED_DAYS = 14


class RegistryOptions(Args):
    """What an environment may say about its image repositories."""

    keep_images: int = Field(default=30, ge=2, le=1000)
    """How many images are kept; the newest stay."""


class RegistryArgs(RegistryOptions):
    """The arguments of `Registry`."""

    deletion_protection: bool = True
    """Whether a repository that still holds images cannot be deleted."""
    tags: Mapping[str, str] = {}


def lifecycle_policy(keep_images: int) -> str:
    """ECR's rules: images without a tag go after two weeks, then the oldest beyond a number."""
    untagged = {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": _UNTAGGED_DAYS,
    }
    oldest = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": keep_images}
    rules = [
        {"rulePriority": priority, "selection": selection, "action": {"type": "expire"}}
        for priority, selection in enumerate((untagged, oldest), start=1)
    ]
    return json.dumps({"rules": rules})


class Registry(Component):
    """An ECR repository: tags are never moved, images are scanned when pushed, old ones expire.

    Raises:
        ArgsError: an argument is wrong.
    """

    repository_url: pulumi.Output[str]
    arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: RegistryArgs | Mapping[str, Any] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        args = RegistryArgs.parse(args or {}, owner=f"Registry {name!r}")
        super().__init__("Registry", name, opts, tags=args.tags)
        repository = aws.ecr.Repository(
            name,
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[{"encryption_type": "AES256"}],
            force_delete=not args.deletion_protection,
            tags=self._tags(name),
            opts=self._opts(),
        )
        aws.ecr.LifecyclePolicy(
            name, repository=repository.name, policy=lifecycle_policy(args.keep_images), opts=self._opts()
        )
        self.repository_url = repository.repository_url
        self.arn = repository.arn
        self.register_outputs({"repositoryUrl": self.repository_url, "arn": self.arn})

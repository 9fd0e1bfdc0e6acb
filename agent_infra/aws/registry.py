"""`Registry`: where a fleet's images are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

import pulumi
import pulumi_aws as aws
from pydantic import Field, field_validator, model_validator

from agent_infra.aws import policies
from agent_infra.aws.arns import KmsKeyArn
from agent_infra.component import Args, ArgsError, Component, MaybeOutput, Problem, shaped

_PULL_ACTIONS = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
#: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
_SHORTEST_NAME, _LONGEST_NAME = 2, 256
#: What Pulumi adds to a logical name: a dash and seven random characters.
_SUFFIX_CHARACTERS = 8
_NAME_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_NAME_PART}(?:/{_NAME_PART})*")

#: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
_MOST_MOVING_TAGS = 5
MovingTag = Annotated[
    str,
    shaped(r"(?!\*+$)[0-9a-zA-Z._*-]{1,128}", "a tag or a pattern with *, but not all tags, such as cache"),
]
AccountId = Annotated[
    str, shaped(r"\d{12}", 'an AWS account\'s twelve digits in quotes, such as "111122223333"')
]


def name_problem(name: str) -> str | None:
    """What is wrong with the name of an ECR repository, in a sentence; None where nothing is."""
    if not _SHORTEST_NAME <= len(name) <= _LONGEST_NAME:
        return f"it has {len(name)} characters; ECR takes {_SHORTEST_NAME} to {_LONGEST_NAME}"
    if not _NAME.fullmatch(name):
        return (
            "lower-case letters and digits are allowed, with single dots, dashes, underscores or slashes "
            "between them; say one such as team/agents"
        )
    return None


class RegistryOptions(Args):
    """What an environment may say about its image repositories."""

    keep_images: int = Field(default=30, ge=2, le=1000)
    """How many images are kept; the newest stay. A GB a month costs about 0.10 USD."""
    untagged_days: int = Field(default=14, ge=1, le=3650)
    """How long an image that lost or never had a tag is kept."""
    pull_accounts: Sequence[AccountId] = ()
    """Other AWS accounts that may pull, such as one that runs prod; their own IAM still has to allow it."""

    @field_validator("pull_accounts")
    @classmethod
    def _once_each(cls, accounts: Sequence[str]) -> Sequence[str]:
        if len(set(accounts)) != len(accounts):
            raise ValueError("an account is named twice; name each once")
        return accounts


class RegistryArgs(RegistryOptions):
    """The arguments of `Registry`."""

    repository_name: str | None = None
    """Its name in AWS, such as `team/agents`; Pulumi makes one where it is not said. Changing it replaces the
    repository."""
    kms_key_arn: MaybeOutput[KmsKeyArn] | None = None
    """A KMS key of one's own for the images; without it ECR's own encryption, which is free. Fixed when the
    repository is made: a later change is ignored, because ECR could only follow it by losing the images."""
    moving_tags: Sequence[MovingTag] = ()
    """Tags that may be moved, `*` for any characters, such as a builder's cache; all others never are."""
    deletion_protection: bool = True
    """Whether a repository that still holds images cannot be deleted."""
    tags: Mapping[str, str] = {}

    @field_validator("moving_tags")
    @classmethod
    def _few_tags_move(cls, tags: Sequence[str]) -> Sequence[str]:
        if len(tags) > _MOST_MOVING_TAGS:
            raise ValueError(f"{len(tags)} patterns; ECR takes {_MOST_MOVING_TAGS}")
        return tags

    @model_validator(mode="after")
    def _name_is_possible(self) -> Self:
        if self.repository_name is not None and (problem := name_problem(self.repository_name)):
            raise ValueError(f"repository_name: {self.repository_name!r} is wrong: {problem}")
        return self


def lifecycle_policy(keep_images: int, untagged_days: int = 14) -> str:
    """ECR's rules: images without a tag go after some days, then the oldest beyond a number."""
    untagged = {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": untagged_days,
    }
    oldest = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": keep_images}
    rules = [
        {"rulePriority": priority, "selection": selection, "action": {"type": "expire"}}
        for priority, selection in enumerate((untagged, oldest), start=1)
    ]
    return json.dumps({"rules": rules})


def pull_statement(accounts: Sequence[str], *, partition: MaybeOutput[str]) -> dict[str, Any]:
    """The repository policy's statement that lets other accounts pull, and nothing else."""
    roots = [pulumi.Output.concat("arn:", partition, f":iam::{account}:root") for account in accounts]
    return {
        "Sid": "PullFromOtherAccounts",
        "Effect": "Allow",
        "Principal": {"AWS": roots},
        "Action": list(_PULL_ACTIONS),
    }


class Registry(Component):
    """An ECR repository: tags are never moved, images are scanned when pushed, old ones expire.

    Scanning on push is ECR's basic one, which is free. Enhanced scanning (Amazon Inspector, continuous, paid
    by the image) is a setting of the whole account and region; where it is on it takes the place of this one.

    Raises:
        ArgsError: an argument or the name is wrong.
    """

    repository_url: pulumi.Output[str]
    repository_name: pulumi.Output[str]
    arn: pulumi.Output[str]
    kms_key_arn: pulumi.Output[str] | None

    def __init__(
        self,
        name: str,
        args: RegistryArgs | Mapping[str, Any] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        owner = f"Registry {name!r}"
        args = RegistryArgs.parse(args or {}, owner=owner)
        if args.repository_name is None:
            _check_logical(name, owner=owner)
        super().__init__("Registry", name, opts, tags=args.tags)
        encryption: Any = {"encryption_type": "AES256"}
        if args.kms_key_arn is not None:
            encryption = {"encryption_type": "KMS", "kms_key": args.kms_key_arn}
        repository = aws.ecr.Repository(
            name,
            name=args.repository_name,
            image_tag_mutability="IMMUTABLE_WITH_EXCLUSION" if args.moving_tags else "IMMUTABLE",
            image_tag_mutability_exclusion_filters=[
                {"filter": tag, "filter_type": "WILDCARD"} for tag in args.moving_tags
            ]
            or None,
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[encryption],
            force_delete=not args.deletion_protection,
            tags=self._tags(name),
            # A repository cannot be encrypted anew: another key would replace it and lose its images.
            opts=self._opts(ignore_changes=["encryptionConfigurations"], protect=args.deletion_protection),
        )
        aws.ecr.LifecyclePolicy(
            name,
            repository=repository.name,
            policy=lifecycle_policy(args.keep_images, args.untagged_days),
            opts=self._opts(),
        )
        if args.pull_accounts:
            found = aws.get_partition_output(opts=pulumi.InvokeOutputOptions(parent=self))
            aws.ecr.RepositoryPolicy(
                name,
                repository=repository.name,
                policy=policies.document(pull_statement(args.pull_accounts, partition=found.partition)),
                opts=self._opts(),
            )
        self.repository_url = repository.repository_url
        self.repository_name = repository.name
        self.arn = repository.arn
        self.kms_key_arn = None if args.kms_key_arn is None else pulumi.Output.from_input(args.kms_key_arn)
        self.register_outputs(
            {
                "repositoryUrl": self.repository_url,
                "repositoryName": self.repository_name,
                "arn": self.arn,
                "kmsKeyArn": self.kms_key_arn,
            }
        )


def _check_logical(name: str, *, owner: str) -> None:
    """Pulumi makes the repository's name out of the component's; it has to be one that ECR takes."""
    problem = name_problem(name.lower())
    if problem is None and len(name) + _SUFFIX_CHARACTERS > _LONGEST_NAME:
        problem = f"with Pulumi's suffix it has more than {_LONGEST_NAME} characters"
    if problem:
        said = f"{name!r} is wrong: {problem}, or set `repository_name`"
        raise ArgsError(owner, [Problem("name", said)])

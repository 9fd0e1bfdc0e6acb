"""ECR: repositories and their policies."""

from __future__ import annotations

from typing import Any

from agent_infra.local.standins.aws.table import AutoName, Call, Input, Row, Setter, Tags
from agent_infra.local.standins.aws.values import JSON, POLICY


def _first(value: Any) -> Any:
    return value[0] if value else None


def _as_list(value: Any) -> Any:
    return [value]


_NAMED = {"repositoryName": "{id}"}
REPOSITORY = Row(
    type="aws:ecr/repository:Repository",
    service="ecr",
    inputs={
        "encryptionConfigurations": Input(
            "encryptionConfiguration", computed=True, replaces=True, to=_first, back=_as_list
        ),
        "forceDelete": Input(),
        "imageScanningConfiguration": Input("imageScanningConfiguration", reset={"scanOnPush": False}),
        "imageTagMutability": Input("imageTagMutability", default="MUTABLE"),
        "imageTagMutabilityExclusionFilters": Input("imageTagMutabilityExclusionFilters"),
        "name": Input("repositoryName", replaces=True),
    },
    outputs={"arn": "repositoryArn", "registryId": "registryId", "repositoryUrl": "repositoryUri"},
    create=Call("create_repository"),
    read=Call("describe_repositories", {"repositoryNames": ["{id}"]}, "repositories"),
    setters=(
        Setter(
            "put_image_scanning_configuration",
            {"imageScanningConfiguration": "imageScanningConfiguration"},
            _NAMED,
        ),
        Setter(
            "put_image_tag_mutability",
            {
                "imageTagMutability": "imageTagMutability",
                "imageTagMutabilityExclusionFilters": "imageTagMutabilityExclusionFilters",
            },
            _NAMED,
            whole=True,
        ),
    ),
    delete=Call("delete_repository", {**_NAMED, "force": "{forceDelete}"}),
    tags=Tags(
        Call("tag_resource", {"resourceArn": "{arn}"}),
        Call("untag_resource", {"resourceArn": "{arn}"}),
        Call("list_tags_for_resource", {"resourceArn": "{arn}"}, "tags"),
        parameter="tags",
        keys_parameter="tagKeys",
    ),
    autoname=AutoName(limit=256, lower=True),
)


def _policy_row(type: str, operations: tuple[str, str, str], parameter: str, form: str) -> Row:
    """A resource that is one policy of a repository."""
    put, get, delete = operations
    return Row(
        type=type,
        service="ecr",
        inputs={
            "repository": Input("repositoryName", required=True, replaces=True),
            "policy": Input(parameter, required=True, form=form),
        },
        outputs={"registryId": "registryId"},
        create=Call(put),
        id="{repository}",
        id_parts=("repository",),
        id_separator="\n",
        read=Call(get, _NAMED),
        setters=(Setter(put, {"policy": parameter}, _NAMED),),
        delete=Call(delete, _NAMED),
    )


LIFECYCLE_POLICY = _policy_row(
    "aws:ecr/lifecyclePolicy:LifecyclePolicy",
    ("put_lifecycle_policy", "get_lifecycle_policy", "delete_lifecycle_policy"),
    "lifecyclePolicyText",
    JSON,
)
REPOSITORY_POLICY = _policy_row(
    "aws:ecr/repositoryPolicy:RepositoryPolicy",
    ("set_repository_policy", "get_repository_policy", "delete_repository_policy"),
    "policyText",
    POLICY,
)

ROWS = (REPOSITORY, LIFECYCLE_POLICY, REPOSITORY_POLICY)

"""Cases of the stand-in's ecr rows."""

from __future__ import annotations

import json

from tests.engine.standin_cases.case import NEW_TAGS, TAGS, Case, World, allow


def _ecr_policy(days: int) -> str:
    selection = {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": days,
    }
    rule = {"rulePriority": 1, "description": "old", "selection": selection, "action": {"type": "expire"}}
    return json.dumps({"rules": [rule]})


def _repository(world: World) -> str:
    return str(world.make("aws:ecr/repository:Repository", forceDelete=True)["id"])


def _pull_policy(account: str) -> str:
    return allow("ecr:BatchGetImage", Principal={"AWS": account})


CASES: dict[str, Case] = {
    "aws:ecr/repository:Repository": Case(
        lambda w: {
            "imageScanningConfiguration": {"scanOnPush": True},
            "forceDelete": True,
            "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
            "imageTagMutabilityExclusionFilters": [{"filter": "cache", "filterType": "WILDCARD"}],
            **TAGS,
        },
        {
            "imageTagMutability": "MUTABLE",
            "imageTagMutabilityExclusionFilters": None,
            "imageScanningConfiguration": {"scanOnPush": False},
            **NEW_TAGS,
        },
        {"forceDelete"},
    ),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": Case(
        lambda w: {"repository": _repository(w), "policy": _ecr_policy(7)}, {"policy": _ecr_policy(14)}
    ),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": Case(
        lambda w: {"repository": _repository(w), "policy": _pull_policy("111111111111")},
        {"policy": _pull_policy("222222222222")},
    ),
}

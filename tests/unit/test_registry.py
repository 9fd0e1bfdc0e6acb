"""`Registry`: tags that never move, old images that go, and who else may pull."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_infra import ArgsError, Registry
from agent_infra.aws.registry import lifecycle_policy, name_problem
from tests.unit.components import made
from tests.unit.recording import Recorded, record

KEY = "arn:aws:kms:eu-central-1:123456789012:key/images"


def registry(**args: Any) -> Recorded:
    return made(Registry, args)


def repository(**args: Any) -> dict[str, Any]:
    return registry(**args).one("aws:ecr/repository:Repository").inputs


def test_a_registry_never_moves_a_tag_and_forgets_old_images() -> None:
    recorded = registry(keep_images=5)
    inputs = recorded.one("aws:ecr/repository:Repository").inputs
    assert inputs["imageTagMutability"] == "IMMUTABLE"
    assert inputs["imageScanningConfiguration"] == {"scanOnPush": True}
    assert inputs["forceDelete"] is False
    policy = json.loads(recorded.one("aws:ecr/lifecyclePolicy:LifecyclePolicy").inputs["policy"])
    assert [rule["selection"]["countNumber"] for rule in policy["rules"]] == [14, 5]


def test_only_the_tags_that_are_said_may_move() -> None:
    inputs = repository(moving_tags=["cache", "main-*"])
    assert inputs["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    assert inputs["imageTagMutabilityExclusionFilters"] == [
        {"filter": "cache", "filterType": "WILDCARD"},
        {"filter": "main-*", "filterType": "WILDCARD"},
    ]


def test_how_long_untagged_images_stay_is_a_setting() -> None:
    untagged, _ = json.loads(lifecycle_policy(30, 3))["rules"]
    assert untagged["selection"] == {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": 3,
    }


def test_images_are_encrypted_by_ecr_or_with_a_key_of_ones_own() -> None:
    assert repository()["encryptionConfigurations"] == [{"encryptionType": "AES256"}]
    own = repository(kms_key_arn=KEY)["encryptionConfigurations"]
    assert own == [{"encryptionType": "KMS", "kmsKey": KEY}]


def test_another_key_never_replaces_a_repository_with_its_images() -> None:
    made_with_key = registry(kms_key_arn=KEY).one("aws:ecr/repository:Repository")
    assert made_with_key.ignore_changes == ["encryptionConfigurations"]


def test_nobody_else_pulls_unless_it_is_said() -> None:
    assert not registry().of("aws:ecr/repositoryPolicy:RepositoryPolicy")


def test_other_accounts_may_pull_and_no_more() -> None:
    recorded = registry(pull_accounts=["111122223333", "444455556666"])
    policy = json.loads(recorded.one("aws:ecr/repositoryPolicy:RepositoryPolicy").inputs["policy"])
    (statement,) = policy["Statement"]
    assert statement["Effect"] == "Allow"
    assert statement["Principal"] == {
        "AWS": ["arn:aws:iam::111122223333:root", "arn:aws:iam::444455556666:root"]
    }
    assert sorted(statement["Action"]) == [
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:GetDownloadUrlForLayer",
    ]


def test_a_name_of_ones_own_is_taken_as_it_is() -> None:
    assert repository(repository_name="team/agents")["name"] == "team/agents"
    assert "name" not in repository()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (
            {"pull_accounts": ["12345"]},
            "pull_accounts.0: '12345' is wrong: say an AWS account's twelve digits",
        ),
        ({"pull_accounts": ["111122223333"] * 2}, "named twice; name each once"),
        ({"repository_name": "Team/Agents"}, "'Team/Agents' is wrong: lower-case letters"),
        ({"repository_name": "a"}, "it has 1 characters; ECR takes 2 to 256"),
        ({"keep_images": 1}, "keep_images: 1 is wrong"),
        ({"untagged_days": 0}, "untagged_days: 0 is wrong"),
        ({"moving_tags": ["*"]}, "moving_tags.0: '*' is wrong: say a tag or a pattern with *, but not all"),
        ({"moving_tags": list("abcdef")}, "6 patterns; ECR takes 5"),
    ],
)
def test_what_ecr_would_refuse_is_refused_with_the_way_out(args: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgsError, match=re.escape(said)):
        registry(**args)


@pytest.mark.parametrize("name", ["images!", "x" * 250, "agents--"])
def test_a_logical_name_that_ecr_would_not_take_is_refused_with_the_way_out(name: str) -> None:
    with pytest.raises(ArgsError, match=r"Registry '.*': name: .* or set `repository_name`"):
        record(lambda: Registry(name) and None)


def test_capitals_in_a_logical_name_are_fine() -> None:
    assert record(lambda: Registry("Images") and None).one("aws:ecr/repository:Repository")


@settings(max_examples=50)
@given(
    st.lists(st.from_regex(r"[a-z0-9]{1,9}", fullmatch=True), min_size=2, max_size=6), st.sampled_from("._-/")
)
def test_words_with_single_separators_are_a_name(words: list[str], separator: str) -> None:
    assert name_problem(separator.join(words)) is None


@settings(max_examples=50)
@given(st.text(alphabet="aZ9._-/ ", min_size=1, max_size=12))
def test_a_name_is_either_all_of_ecrs_grammar_or_refused(name: str) -> None:
    if name_problem(name) is None:
        assert name == name.lower()
        assert name[0].isalnum() and name[-1].isalnum()
        assert " " not in name and ".." not in name and "//" not in name

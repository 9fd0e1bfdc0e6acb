"""One environment with many fleets, from settings alone."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pulumi
import pytest

from agent_infra import AgentPlatform, AgentPlatformArgs, ArgsError, Settings
from tests.unit.recording import Recorded, record
from tests.unit.test_cluster import cluster_of

ROOT = Path(__file__).parents[2]
IMAGE = f"agents@sha256:{64 * '0'}"
#: The longest that a fleet's name may be.
LONGEST = 40


WHOLE = {"secrets": {"own": {}}, "synced_secrets": ["own"], "worker": {}}


def settings(count: int, **each: Any) -> Settings:
    """So many fleets of different agent types."""
    return Settings.model_validate(
        {
            "environment": "prod",
            "region": "eu-central-1",
            "cluster": {"keda": {}},
            "cache": {},
            "database": {"instance_class": "db.r8g.4xlarge", "pool_size": 0},
            "storage": {},
            "secrets": {"llm": {}},
            "llm": {"secret": "llm", "model": "openai:gpt-5-mini", "monthly_budget_usd": 100},
            "fleet_defaults": {"image": IMAGE, "replicas": {"min": 1, "max": 2}, **each},
            "fleets": {
                name_of(number): {
                    "agents": {f"agent-{number}": {"agent": f"own_agents.agent_{number}:agent"}},
                    "llm": {"monthly_budget_usd": number + 1},
                }
                for number in range(count)
            },
        }
    )


def name_of(number: int) -> str:
    return f"{'f' * (LONGEST - 4)}-{number:03}"


def registered(count: int, **each: Any) -> Recorded:
    said = settings(count, **each)

    def program() -> Any:
        args = AgentPlatformArgs(settings=said, project_dir=str(ROOT))
        return pulumi.Output.from_input(AgentPlatform("agents", args).outputs)

    return record(program, stack="prod")


@pytest.fixture(scope="module")
def ten() -> Recorded:
    return registered(10, **WHOLE)


@pytest.mark.parametrize(("count", "each"), [(10, WHOLE), (100, {"auth": {"api_keys_secret": "llm"}})])
def test_each_fleet_costs_the_same_objects_however_many_there_are(
    count: int, each: dict[str, Any], ten: Recorded
) -> None:
    one, two = types(registered(1, **each)), types(registered(2, **each))
    many = types(ten if count == 10 else registered(count, **each))
    a_fleets = {type: two[type] - one[type] for type in two if two[type] != one[type]}
    assert a_fleets["kubernetes:apps/v1:Deployment"] == (2 if "worker" in each else 1)
    assert a_fleets["aws:iam/role:Role"] == 1
    more = {type: many[type] - one[type] for type in many if many[type] != one[type]}
    assert more == {type: (count - 1) * objects for type, objects in a_fleets.items()}


def types(recorded: Recorded) -> Counter[str]:
    return Counter(item.type for item in recorded.resources)


def test_no_two_of_many_fleets_objects_share_type_and_name(ten: Recorded) -> None:
    names = Counter((item.type, item.name) for item in ten.resources)
    assert [name for name, times in names.items() if times > 1] == []
    called = Counter(
        (item.type, item.inputs["metadata"].get("namespace"), item.inputs["metadata"]["name"])
        for item in ten.resources
        if item.type.startswith("kubernetes:") and "metadata" in item.inputs
    )
    assert [name for name, times in called.items() if times > 1] == []


#: What Pulumi puts behind a name that it makes up: https://www.pulumi.com/docs/iac/concepts/resources/names/.
SUFFIX = len("-1234567")
#: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html,
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html,
#: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html.
LONGEST_NAMES = {
    "aws:iam/role:Role": 64,
    "aws:iam/policy:Policy": 128,
    "aws:sqs/queue:Queue": 80,
    "aws:secretsmanager/secret:Secret": 512,
}


def test_the_names_of_the_longest_fleet_are_short_enough_for_aws_and_kubernetes(
    ten: Recorded,
) -> None:
    for item in ten.resources:
        if item.type in LONGEST_NAMES:
            name = item.inputs.get("name") or item.name + SUFFIX * "x"
            assert len(name) <= LONGEST_NAMES[item.type], (item.type, name)
        elif item.type.startswith("kubernetes:") and "metadata" in item.inputs:
            assert len(item.inputs["metadata"]["name"]) <= 63, item.name


def test_each_fleet_has_its_own_agents_budget_and_secret(ten: Recorded) -> None:
    data = ten.settings(name_of(7))
    assert '"agent-7"' in data["AGENT_APP_AGENTS"]
    assert data["AGENT_APP_MONTHLY_BUDGET_USD"] == "8"
    assert data["AGENT_APP_MODEL"] == "openai:gpt-5-mini"
    assert data["AGENT_APP_LLM_SECRET_ARN"] == ten.result["secret_arns"]["llm"]


def test_a_role_that_names_many_queues_or_secrets_has_several_policies_of_a_size_that_iam_takes() -> None:
    arns = [f"arn:aws:sqs:ap-southeast-1:123456789012:agents-{name_of(n)}-tasks-1234567" for n in range(500)]
    recorded = cluster_of(keda={}, keda_queue_arns=arns)
    inline = [
        item.inputs["policy"] for item in recorded.of("aws:iam/rolePolicy:RolePolicy") if "keda" in item.name
    ]
    managed = [item.inputs["policy"] for item in recorded.of("aws:iam/policy:Policy")]
    attached = [
        item
        for item in recorded.of("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
        if "keda" in item.name
    ]
    assert (len(inline), len(managed), len(attached)) == (1, 9, 9), "a role has ten managed ones at most"
    assert max(map(len, managed)) <= 6144
    assert len(inline[0]) <= 10_240
    named = [arn for policy in [*inline, *managed] for arn in json.loads(policy)["Statement"][0]["Resource"]]
    assert sorted(named) == sorted(arns)
    with pytest.raises(ArgsError, match="600 are more than the 550 queues that one role's policies can name"):
        cluster_of(keda={}, keda_queue_arns=[f"{arn}{more}" for arn in arns[:300] for more in "ab"])

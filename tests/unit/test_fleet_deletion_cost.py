"""Idle workers go first: what lets a worker tell how busy it is, and no more than that."""

from __future__ import annotations

from typing import Any

import pytest

from agent_infra import AgentFleet, AgentPlatform, ArgsError, DeletionCostAccess
from agent_infra.local.standins.kubernetes import rules, schema
from agent_infra.local.standins.kubernetes.kinds import parse
from agent_infra.settings import Settings
from tests.unit.components import as_text
from tests.unit.recording import Recorded, record

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
ROLE = "kubernetes:rbac.authorization.k8s.io/v1:Role"
ROLE_BINDING = f"{ROLE}Binding"
POLICY = "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy"
POLICY_BINDING = f"{POLICY}Binding"
IMAGE = f"registry.example/agents@sha256:{'1' * 64}"
QUEUE = {"url": "https://sqs/q", "arn": "arn:queue"}


def fleet(**args: Any) -> Recorded:
    given = {"image": IMAGE, "queue": QUEUE, "namespace": "agents", **args}
    return record(lambda: AgentFleet("support", given) and None)


def pod_spec(recorded: Recorded, name: str) -> dict[str, Any]:
    spec: dict[str, Any] = recorded.one(DEPLOYMENT, name).inputs["spec"]["template"]["spec"]
    return spec


def told(recorded: Recorded, name: str) -> bool:
    (container,) = pod_spec(recorded, name)["containers"]
    return any(entry["name"] == "AGENT_APP_POD_DIRECTORY" for entry in container.get("env", []))


def test_a_worker_gets_a_short_lived_token_of_its_own_and_its_migration_none() -> None:
    recorded = fleet(database={"url": "postgresql://db:5432/agents"})
    spec = pod_spec(recorded, "support-worker")
    (container,), (migrate,) = spec["containers"], spec["initContainers"]
    entry = {"name": "AGENT_APP_POD_DIRECTORY", "value": "/var/run/agent-infra/pod"}
    assert entry in container["env"]
    assert entry not in migrate["env"]
    mount = {"name": "pod", "mountPath": "/var/run/agent-infra/pod", "readOnly": True}
    assert mount in container["volumeMounts"]
    assert [each["name"] for each in migrate["volumeMounts"]] == ["tmp"]
    assert spec["automountServiceAccountToken"] is False
    (volume,) = (each for each in spec["volumes"] if each["name"] == "pod")
    sources = {name: source for each in volume["projected"]["sources"] for name, source in each.items()}
    assert sources["serviceAccountToken"] == {"path": "token", "expirationSeconds": 3600}
    assert {item["path"] for item in sources["downwardAPI"]["items"]} == {"name", "namespace"}
    assert sources["configMap"]["name"] == "kube-root-ca.crt"
    assert not told(recorded, "support")
    assert [each["name"] for each in pod_spec(recorded, "support")["volumes"]] == ["tmp"]


@pytest.mark.parametrize(
    "args",
    [
        {"deletion_cost": False},
        {"worker": {"replicas": {"min": 3, "max": 3}}},
        {"worker": {"replicas": {"min": 1, "max": 1}}},
        {"queue": None},
    ],
)
def test_where_no_autoscaler_chooses_or_it_is_off_there_is_no_token_and_no_role(args: dict[str, Any]) -> None:
    recorded = fleet(**args)
    for made in recorded.of(DEPLOYMENT):
        assert not told(recorded, made.name)
    assert not [made for kind in (ROLE, ROLE_BINDING, POLICY, POLICY_BINDING) for made in recorded.of(kind)]


def test_the_role_is_to_patch_pods_and_is_given_last() -> None:
    recorded = fleet()
    role, given = recorded.one(ROLE).inputs, recorded.one(ROLE_BINDING).inputs
    assert role["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["patch"]}]
    assert given["subjects"] == [{"kind": "ServiceAccount", "name": "support", "namespace": "agents"}]
    assert given["roleRef"]["name"] == role["metadata"]["name"] == "support-deletion-cost"
    order = [made.type for made in recorded.resources]
    assert order.index(POLICY) < order.index(POLICY_BINDING) < order.index(ROLE_BINDING)


def test_the_policy_is_for_this_fleets_workers_in_their_namespace_and_denies() -> None:
    recorded = fleet()
    policy, binding = recorded.one(POLICY).inputs, recorded.one(POLICY_BINDING).inputs
    spec = policy["spec"]
    assert binding["spec"] == {"policyName": policy["metadata"]["name"], "validationActions": ["Deny"]}
    assert "namespace" not in policy["metadata"]
    assert spec["failurePolicy"] == "Fail"
    (condition,) = spec["matchConditions"]
    assert condition["expression"] == "request.userInfo.username in ['system:serviceaccount:agents:support']"
    assert spec["matchConstraints"]["namespaceSelector"] == {
        "matchLabels": {"kubernetes.io/metadata.name": "agents"}
    }
    (rule,) = spec["matchConstraints"]["resourceRules"]
    assert (rule["operations"], rule["resources"]) == (["UPDATE"], ["pods"])
    assert len(spec["validations"]) == 4


def test_a_local_cluster_takes_all_of_it() -> None:
    recorded = fleet()
    for kind in (ROLE, ROLE_BINDING, POLICY, POLICY_BINDING, DEPLOYMENT):
        for made in recorded.of(kind):
            assert schema.failures(parse(kind), made.inputs) == []
            assert list(rules.failures(parse(kind), made.inputs)) == []


def settings(**fleets: Any) -> Settings:
    config = {
        "agent-infra:network": "{}",
        "agent-infra:cluster": "{}",
        "agent-infra:database": "{}",
        "agent-infra:fleets": as_text({name: {"image": IMAGE, **spec} for name, spec in fleets.items()}),
        "aws:region": "eu-central-1",
    }
    return Settings.load(config, "dev")


def test_a_platforms_fleets_share_one_for_their_namespace() -> None:
    three = settings(
        billing={"worker": {}},
        support={"worker": {}},
        quiet={"worker": {}, "deletion_cost": False},
        alone={},
    )
    recorded = record(lambda: AgentPlatform("agents", {"settings": three}) and None)
    accounts = [subject["name"] for subject in recorded.one(ROLE_BINDING).inputs["subjects"]]
    assert accounts == ["billing", "support"]
    (condition,) = recorded.one(POLICY).inputs["spec"]["matchConditions"]
    for name in accounts:
        assert f"'system:serviceaccount:agents:{name}'" in condition["expression"]
        assert told(recorded, f"{name}-worker")
    assert not told(recorded, "quiet-worker")


def test_a_platform_without_such_workers_makes_none() -> None:
    recorded = record(lambda: AgentPlatform("agents", {"settings": settings(alone={})}) and None)
    assert not recorded.of(ROLE)


@pytest.mark.parametrize("accounts", [[], ["a'] || true || 'b"], ["Support"]])
def test_accounts_that_are_no_names_are_refused(accounts: list[str]) -> None:
    with pytest.raises(ArgsError):
        DeletionCostAccess("it", {"namespace": "agents", "service_accounts": accounts})


def test_only_a_worker_that_tells_its_load_may_connect_to_the_api_server() -> None:
    recorded = fleet(network_policy={"kubernetes_cidrs": ["10.0.0.1/32"]})

    def reaches(name: str) -> bool:
        (made,) = (
            made for made in recorded.of("kubernetes:networking.k8s.io/v1:NetworkPolicy") if made.name == name
        )
        blocks = [
            peer.get("ipBlock") for rule in made.inputs["spec"]["egress"] for peer in rule.get("to", [])
        ]
        return {"cidr": "10.0.0.1/32"} in blocks

    assert reaches("support-worker")
    assert not reaches("support")

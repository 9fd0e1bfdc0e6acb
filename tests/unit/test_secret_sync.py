"""`SecretSync`, and how what it keeps reaches a fleet's pods."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pulumi
import pytest

from agent_infra import AgentFleet, ArgsError, SecretSync
from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.standins.kubernetes import KubernetesStandin
from agent_infra.local.standins.server import Refused
from tests.unit.components import made
from tests.unit.recording import ACCOUNT, REGION, Recorded, record

RELEASE = "kubernetes:helm.sh/v3:Release"
STORE = "kubernetes:external-secrets.io/v1:SecretStore"
EXTERNAL = "kubernetes:external-secrets.io/v1:ExternalSecret"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
ROLE = "aws:iam/role:Role"
#: How long `up` waits for the new pods, which every fleet says.
PULUMIS = {"pulumi.com/timeoutSeconds", "pulumi.com/patchForce"}
RELOAD = "secret.reloader.stakater.com/reload"
ARN = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:llm-AbCdEf"
OTHER_ARN = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:crm-AbCdEf"
KEY_ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd"
OPERATOR = f"arn:aws:iam::{ACCOUNT}:role/external-secrets"
ARGS: dict[str, Any] = {
    "secrets": {"llm-keys": {"arn": ARN}},
    "cluster_name": "agents",
    "namespace": "support",
}


def sync(**more: Any) -> Recorded:
    return made(SecretSync, {**ARGS, **more})


def spec(recorded: Recorded, type: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = recorded.one(type, name).inputs["spec"]
    return found


def values(recorded: Recorded, name: str) -> dict[str, Any]:
    found: dict[str, Any] = recorded.one(RELEASE, name).inputs["values"]
    return found


def test_a_kubernetes_secret_follows_the_whole_of_its_source() -> None:
    assert spec(sync(), EXTERNAL, "it-llm-keys") == {
        "refreshInterval": "300s",
        "secretStoreRef": {"name": "it", "kind": "SecretStore"},
        "target": {"name": "llm-keys", "creationPolicy": "Owner", "deletionPolicy": "Retain"},
        "dataFrom": [{"extract": {"key": ARN}}],
    }


def test_a_kubernetes_secret_may_have_some_keys_under_other_names() -> None:
    source = {"arn": ARN, "keys": {"openai": "OPENAI_API_KEY"}}
    recorded = sync(secrets={"llm-keys": source}, refresh_seconds=60)
    external = spec(recorded, EXTERNAL, "it-llm-keys")
    assert external["data"] == [
        {"secretKey": "openai", "remoteRef": {"key": ARN, "property": "OPENAI_API_KEY"}}
    ]
    assert "dataFrom" not in external
    assert external["refreshInterval"] == "60s"


def test_what_the_program_writes_is_fetched_at_once_and_up_waits_for_the_first_content() -> None:
    recorded = sync(secrets={"llm-keys": {"arn": ARN, "version": "v1"}})
    metadata = recorded.one(EXTERNAL).inputs["metadata"]
    assert metadata["annotations"] == {
        "pulumi.com/waitFor": "condition=Ready",
        "agent-infra/version": "v1",
    }
    assert metadata["namespace"] == "support"


def test_the_operator_reads_the_named_secrets_and_nothing_else() -> None:
    recorded = sync(kms_key_arns=[KEY_ARN])
    statements = json.loads(recorded.one("aws:iam/rolePolicy:RolePolicy").inputs["policy"])["Statement"]
    assert [(item["Action"], item["Resource"]) for item in statements] == [
        (["secretsmanager:GetSecretValue"], [ARN]),
        (["kms:Decrypt"], [KEY_ARN]),
    ]
    identity = recorded.one("aws:eks/podIdentityAssociation:PodIdentityAssociation").inputs
    assert (identity["clusterName"], identity["namespace"]) == ("agents", "support")
    account = values(recorded, "it-external-secrets")["serviceAccount"]
    assert account == {"create": True, "name": identity["serviceAccount"]}
    (trust,) = json.loads(recorded.one(ROLE).inputs["assumeRolePolicy"])["Statement"]
    assert trust["Condition"]["StringEquals"] == {
        "aws:SourceAccount": ACCOUNT,
        "aws:RequestTag/eks-cluster-name": "agents",
        "aws:RequestTag/kubernetes-namespace": "support",
        "aws:RequestTag/kubernetes-service-account": identity["serviceAccount"],
    }
    store = spec(recorded, STORE, "it")
    assert store == {"provider": {"aws": {"service": "SecretsManager", "region": REGION}}}


def test_without_pod_identity_the_operators_service_account_says_its_role() -> None:
    issuer = "oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLE"
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}"
    recorded = sync(cluster_name=None, oidc_provider_arn=provider)
    assert not recorded.of("aws:eks/podIdentityAssociation:PodIdentityAssociation")
    (trust,) = json.loads(recorded.one(ROLE).inputs["assumeRolePolicy"])["Statement"]
    assert trust["Principal"] == {"Federated": provider}
    assert trust["Condition"]["StringEquals"] == {
        f"{issuer}:sub": "system:serviceaccount:support:it-external-secrets",
        f"{issuer}:aud": "sts.amazonaws.com",
    }
    account = values(recorded, "it-external-secrets")["serviceAccount"]
    assert account["annotations"].keys() == {"eks.amazonaws.com/role-arn"}


def test_the_charts_take_more_values() -> None:
    recorded = sync(
        chart_values={"replicaCount": 2, "resources": {"limits": {"memory": "1Gi"}}},
        reloader_chart_values={"reloader": {"logFormat": "json"}},
    )
    operator = values(recorded, "it-external-secrets")
    assert operator["replicaCount"] == 2
    assert operator["resources"]["limits"] == {"memory": "1Gi"}
    assert operator["resources"]["requests"] == {"cpu": "25m", "memory": "64Mi"}
    assert values(recorded, "it-reloader")["reloader"]["logFormat"] == "json"


def test_operator_and_reloader_are_pinned_and_have_rights_in_their_namespace_alone() -> None:
    recorded = sync()
    for release in recorded.of(RELEASE):
        assert release.inputs["namespace"] == "support"
        assert release.inputs["version"].count(".") == 2
        assert release.inputs["atomic"] is True
    operator = values(recorded, "it-external-secrets")
    assert (operator["scopedRBAC"], operator["scopedNamespace"]) == (True, "support")
    assert operator["processClusterStore"] is False
    assert operator["rbac"]["serviceAccountTokenCreate"] is False
    reloader = values(recorded, "it-reloader")["reloader"]
    assert reloader["watchGlobally"] is False


def test_the_kinds_outlive_a_deleted_operator() -> None:
    operator = values(sync(), "it-external-secrets")
    assert operator["crds"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert values(sync(install_definitions=False), "it-external-secrets")["installCRDs"] is False


def test_an_operator_that_is_there_takes_the_role_that_reads() -> None:
    recorded = sync(install=False, cluster_name=None, controller_role_arn=OPERATOR)
    assert [release.name for release in recorded.of(RELEASE)] == ["it-reloader"]
    (trust,) = json.loads(recorded.one(ROLE).inputs["assumeRolePolicy"])["Statement"]
    assert trust["Principal"] == {"AWS": OPERATOR}
    assert spec(recorded, STORE, "it")["provider"]["aws"]["role"].startswith("arn:aws:iam:")


def test_an_operator_that_reads_by_its_own_role_is_told_what_it_needs() -> None:
    def program() -> Any:
        sync = SecretSync("it", {"secrets": {"llm-keys": {"arn": ARN}}, "install": False, "restart": False})
        return {"role": sync.role_arn, "statements": sync.statements}

    recorded = record(program)
    assert recorded.result["role"] is None
    assert recorded.result["statements"][0]["Resource"] == [ARN]
    assert not recorded.of(ROLE)
    assert not recorded.of(RELEASE)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"secrets": {}}, "it names 0 secrets; say 1 to 80"),
        ({"secrets": {"LLM": {"arn": ARN}}}, "say a Kubernetes secret's name"),
        ({"secrets": {"llm": {"arn": f"{ARN}*"}}}, "without a star"),
        ({"secrets": {"llm": {"arn": ARN, "keys": {}}}}, "name some keys, or leave `keys` out"),
        ({"secrets": {"llm": {"arn": ARN, "keys": {"a b": "c"}}}}, "say up to 253 letters"),
        ({"cluster_name": None}, "say `cluster_name` (Pod Identity) or `oidc_provider_arn` (IRSA)"),
        ({"controller_role_arn": OPERATOR}, "say `install: false`, or leave it out"),
        ({"refresh_seconds": 5}, "refresh_seconds: 5 is wrong"),
        ({"chart_version": ">=2"}, "and no range: an update is a decision"),
        ({"refresh_interval": "5m"}, "refresh_interval: is not known"),
    ],
)
def test_wrong_arguments_are_told_with_the_way_out(args: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgsError) as raised:
        sync(**args)
    assert said in str(raised.value)


def test_a_name_that_helm_refuses_is_told_before_anything_is_made() -> None:
    with pytest.raises(ArgsError, match="cannot name Helm releases; say up to 36"):
        record(lambda: SecretSync("n" * 37, ARGS) and None)


@pytest.fixture
def standin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KubernetesStandin:
    monkeypatch.delenv("AGENT_INFRA_KUBECONFIG", raising=False)
    made = KubernetesStandin(LocalEnvironment(tmp_path / "env"))
    made.configure({"kubeconfig": "the simulated cluster's", "version": "4.34.2"})
    return made


def test_the_local_cluster_takes_all_that_is_made(standin: KubernetesStandin) -> None:
    source = {"arn": ARN, "keys": {"openai": "OPENAI_API_KEY"}}
    recorded = sync(secrets={"llm-keys": {"arn": ARN}, "some": source})
    for type in (RELEASE, STORE, EXTERNAL):
        for item in recorded.of(type):
            standin.check(type, item.name, {}, whole_numbers(item.inputs))


def whole_numbers(inputs: dict[str, Any]) -> Any:
    """The inputs as a provider gets them: what is on the wire knows no whole numbers."""
    return json.loads(json.dumps(inputs), parse_float=lambda text: int(float(text)))


@pytest.mark.parametrize(
    ("type", "change", "path", "said"),
    [
        (EXTERNAL, {"refreshIntervall": "1h"}, "spec.refreshIntervall", "did you mean 'refreshInterval'?"),
        (EXTERNAL, {"refreshInterval": "5 minutes"}, "spec.refreshInterval", "'5 minutes'"),
        (EXTERNAL, {"target": {"creationPolicy": "Mine"}}, "spec.target.creationPolicy", "Owner, Orphan"),
        (EXTERNAL, {"dataFrom": [{"extract": {}}]}, "spec.dataFrom[0].extract.key", "is missing"),
        (STORE, {"provider": {"vault": {}}}, "spec.provider.vault", "that External Secrets has here"),
    ],
)
def test_the_local_cluster_refuses_what_no_operator_knows(
    standin: KubernetesStandin, type: str, change: dict[str, Any], path: str, said: str
) -> None:
    (found, *_) = sync().of(type)
    inputs = {**found.inputs, "spec": {**found.inputs["spec"], **change}}
    with pytest.raises(Refused) as refused:
        standin.check(type, found.name, {}, inputs)
    assert said in dict(refused.value.failures)[path]


def test_the_local_cluster_refuses_another_version_of_a_kind(standin: KubernetesStandin) -> None:
    (found,) = sync().of(STORE)
    inputs = {**found.inputs, "apiVersion": "external-secrets.io/v1beta1"}
    with pytest.raises(Refused) as refused:
        standin.check(STORE.replace("/v1:", "/v1beta1:"), "it", {}, inputs)
    assert "external-secrets.io/v1" in dict(refused.value.failures)["apiVersion"]


class Fleet:
    """A fleet's pods as they are registered."""

    def __init__(self, **args: Any) -> None:
        def program() -> None:
            secrets = args.pop("kubernetes_secrets", {})
            outputs = {
                name: {key: pulumi.Output.secret(value) for key, value in content.items()}
                for name, content in secrets.items()
            }
            AgentFleet(
                "support", {"image": f"agents@sha256:{'1' * 64}", "kubernetes_secrets": outputs, **args}
            )

        deployment = record(program).one(DEPLOYMENT)
        self.secrets = deployment.secrets
        self.annotations = deployment.inputs["metadata"].get("annotations", {})
        template = deployment.inputs["spec"]["template"]
        self.pod_annotations: dict[str, str] = template["metadata"]["annotations"]
        self.sources = template["spec"]["containers"][0].get("envFrom", [])


def test_a_synced_secrets_keys_are_the_pods_environment_and_no_setting_gives_way() -> None:
    fleet = Fleet(synced_secrets=[{"name": "llm-keys"}, {"name": "crm", "optional": True}])
    assert fleet.sources == [
        {"secretRef": {"name": "llm-keys"}},
        {"secretRef": {"name": "crm", "optional": True}},
    ]


def test_pods_are_replaced_when_a_synced_secret_changes_behind_pulumis_back() -> None:
    fleet = Fleet(synced_secrets=[{"name": "llm-keys"}, {"name": "database", "environment": False}])
    assert fleet.annotations.keys() == {*PULUMIS, RELOAD}
    assert fleet.annotations[RELOAD] == "llm-keys,database"
    assert fleet.sources == [
        {"secretRef": {"name": "llm-keys"}},
    ]


def test_pods_are_replaced_when_the_program_writes_a_secret_that_they_read_themselves() -> None:
    first = Fleet(secret_versions={"llm": "v1"}).pod_annotations
    again = Fleet(secret_versions={"llm": "v1"}).pod_annotations
    later = Fleet(secret_versions={"llm": "v2"}).pod_annotations
    assert first == again
    assert first["agent-infra/secrets-hash"] != later["agent-infra/secrets-hash"]


def test_pods_are_replaced_when_a_kubernetes_secret_of_the_fleet_changes_and_nothing_is_told() -> None:
    first = Fleet(kubernetes_secrets={"keys": {"llm": "sk-1"}})
    later = Fleet(kubernetes_secrets={"keys": {"llm": "sk-2"}})
    assert (
        first.pod_annotations["agent-infra/secrets-hash"] != later.pod_annotations["agent-infra/secrets-hash"]
    )
    assert "sk-1" not in json.dumps(first.pod_annotations)
    assert "spec" not in first.secrets, "the hash is no secret, and people need to see what changes"


def test_a_fleet_without_secrets_is_as_it_was() -> None:
    fleet = Fleet()
    assert fleet.annotations.keys() == PULUMIS
    assert fleet.pod_annotations == {}
    assert fleet.sources == []

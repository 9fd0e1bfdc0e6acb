"""What a fleet's role may do and what it may not, on the documents that the program registers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pulumi
import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws
from moto.core import set_initial_no_auth_action_count

from agent_infra import AgentFleet, ArgsError, FleetRole
from agent_infra.fleet import access
from tests.engine.policy_simulator import allows, statements, trusts
from tests.unit.recording import ACCOUNT, REGION, Recorded, record

# The AWS SDK warns of its own deprecated classes when a module is imported, whether they are used or not.
pytestmark = pytest.mark.filterwarnings("ignore:[a-z0-9]+[./].* has been deprecated in favor of")

IMAGE = f"registry.example/agents@sha256:{'1' * 64}"
POLICY, ROLE = "aws:iam/rolePolicy:RolePolicy", "aws:iam/role:Role"
ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation"


def arn(service: str, rest: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}"


def key(name: str) -> str:
    return arn("kms", f"key/{name}")


QUEUE, OTHER_QUEUE = arn("sqs", "support-tasks"), arn("sqs", "billing-tasks")
DEAD_LETTERS = f"{QUEUE}-dead-letters"
CACHE, DATABASE, LLM, API_KEYS, OTHER_SECRET = (
    arn("secretsmanager", f"secret:{name}-AbCdEf")
    for name in ("cache", "database", "llm", "api-keys", "billing-llm")
)
BUCKET = "arn:aws:s3:::artifacts"
CLUSTER = arn("eks", "cluster/agents")
OIDC = f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.{REGION}.amazonaws.com/id/E1"
CONNECTED: dict[str, Any] = {
    "cache": {"url": "rediss://cache:6379/0", "secret_arn": CACHE, "secret_kms_key_arn": key("data")},
    "database": {"url": "postgresql://db/agents", "secret_arn": DATABASE, "secret_kms_key_arn": key("data")},
    "queue": {
        "url": "https://sqs/q",
        "arn": QUEUE,
        "kms_key_arn": key("queue"),
        "dead_letter_url": "https://sqs/q-dead-letters",
        "dead_letter_arn": DEAD_LETTERS,
    },
    "bucket": {"name": "artifacts", "arn": BUCKET, "kms_key_arn": key("bucket")},
    "llm_secret_arn": LLM,
    "llm_secret_kms_key_arn": key("llm"),
    "api_keys_secret_arn": API_KEYS,
    "api_keys_secret_kms_key_arn": key("api-keys"),
}
UNCONNECTED: dict[str, Any] = dict.fromkeys(CONNECTED)


def fleet(**args: Any) -> Recorded:
    wanted = {"image": IMAGE, "namespace": "agents", "cluster_name": "agents", **CONNECTED, **args}
    return record(lambda: AgentFleet("support", wanted) and None)


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    return fleet()


@pytest.fixture(scope="module")
def policy(recorded: Recorded) -> str:
    return str(recorded.one(POLICY).inputs["policy"])


@pytest.fixture(scope="module")
def trust(recorded: Recorded) -> str:
    return str(recorded.one(ROLE).inputs["assumeRolePolicy"])


@pytest.mark.parametrize(
    ("action", "resource", "context"),
    [
        *[
            (f"sqs:{action}", QUEUE, {})
            for action in (
                "SendMessage",
                "ReceiveMessage",
                "DeleteMessage",
                "ChangeMessageVisibility",
                "GetQueueAttributes",
            )
        ],
        ("sqs:SendMessage", DEAD_LETTERS, {}),
        *[("secretsmanager:GetSecretValue", secret, {}) for secret in (CACHE, DATABASE, LLM, API_KEYS)],
        *[
            (f"s3:{action}", f"{BUCKET}/support/reports/1.pdf", {})
            for action in ("GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload")
        ],
        ("s3:ListBucket", BUCKET, {"s3__prefix": "support/"}),
        ("s3:ListBucket", BUCKET, {"s3__prefix": "support/reports/"}),
        ("kms:Decrypt", key("queue"), {"kms__ViaService": f"sqs.{REGION}.amazonaws.com"}),
        ("kms:GenerateDataKey", key("queue"), {"kms__ViaService": f"sqs.{REGION}.amazonaws.com"}),
        ("kms:Decrypt", key("data"), {"kms__ViaService": f"secretsmanager.{REGION}.amazonaws.com"}),
        ("kms:Decrypt", key("llm"), {"kms__ViaService": f"secretsmanager.{REGION}.amazonaws.com"}),
        ("kms:Decrypt", key("api-keys"), {"kms__ViaService": f"secretsmanager.{REGION}.amazonaws.com"}),
        ("kms:GenerateDataKey", key("bucket"), {"kms__ViaService": f"s3.{REGION}.amazonaws.com"}),
    ],
)
def test_a_fleet_may_do_what_its_work_needs(
    policy: str, action: str, resource: str, context: dict[str, str]
) -> None:
    assert allows(policy, action, resource, **context)


@pytest.mark.parametrize(
    ("action", "resource", "context"),
    [
        ("sqs:ReceiveMessage", OTHER_QUEUE, {}),
        ("sqs:SendMessage", OTHER_QUEUE, {}),
        ("sqs:SendMessage", f"{OTHER_QUEUE}-dead-letters", {}),
        ("sqs:ReceiveMessage", DEAD_LETTERS, {}),
        ("sqs:DeleteMessage", DEAD_LETTERS, {}),
        ("sqs:PurgeQueue", DEAD_LETTERS, {}),
        ("secretsmanager:PutSecretValue", API_KEYS, {}),
        ("sqs:DeleteQueue", QUEUE, {}),
        ("sqs:PurgeQueue", QUEUE, {}),
        ("sqs:SetQueueAttributes", QUEUE, {}),
        ("sqs:AddPermission", QUEUE, {}),
        ("sqs:StartMessageMoveTask", QUEUE, {}),
        ("sqs:CreateQueue", "*", {}),
        ("sqs:ListQueues", "*", {}),
        ("secretsmanager:GetSecretValue", OTHER_SECRET, {}),
        ("secretsmanager:GetSecretValue", f"{LLM}-more", {}),
        ("secretsmanager:PutSecretValue", LLM, {}),
        ("secretsmanager:DeleteSecret", LLM, {}),
        ("secretsmanager:ListSecrets", "*", {}),
        ("s3:GetObject", f"{BUCKET}/billing/1.pdf", {}),
        ("s3:GetObject", f"{BUCKET}/support", {}),
        ("s3:GetObject", f"{BUCKET}/support2/1.pdf", {}),
        ("s3:PutObject", "arn:aws:s3:::another/support/1.pdf", {}),
        ("s3:ListBucket", BUCKET, {}),
        ("s3:ListBucket", BUCKET, {"s3__prefix": "billing/"}),
        ("s3:ListBucket", BUCKET, {"s3__prefix": ""}),
        ("s3:DeleteBucket", BUCKET, {}),
        ("s3:PutBucketPolicy", BUCKET, {}),
        ("s3:GetObjectVersion", f"{BUCKET}/support/1.pdf", {}),
        ("s3:DeleteObjectVersion", f"{BUCKET}/support/1.pdf", {}),
        ("s3:PutObjectAcl", f"{BUCKET}/support/1.pdf", {}),
        ("kms:Decrypt", key("queue"), {}),
        ("kms:Decrypt", key("queue"), {"kms__ViaService": f"s3.{REGION}.amazonaws.com"}),
        ("kms:Decrypt", key("queue"), {"kms__ViaService": "sqs.us-east-1.amazonaws.com"}),
        ("kms:Decrypt", key("other"), {"kms__ViaService": f"sqs.{REGION}.amazonaws.com"}),
        ("kms:GenerateDataKey", key("llm"), {"kms__ViaService": f"secretsmanager.{REGION}.amazonaws.com"}),
        ("kms:ScheduleKeyDeletion", key("queue"), {"kms__ViaService": f"sqs.{REGION}.amazonaws.com"}),
        ("kms:PutKeyPolicy", key("queue"), {"kms__ViaService": f"sqs.{REGION}.amazonaws.com"}),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/admin", {}),
        ("iam:CreateUser", "*", {}),
        ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/admin", {}),
        ("eks:DescribeCluster", CLUSTER, {}),
        ("ec2:DescribeInstances", "*", {}),
        ("rds:DeleteDBInstance", arn("rds", "db:agents"), {}),
    ],
)
def test_a_fleet_may_do_nothing_else(
    policy: str, action: str, resource: str, context: dict[str, str]
) -> None:
    assert not allows(policy, action, resource, **context)


def test_what_is_not_connected_is_not_allowed() -> None:
    recorded = fleet(**{**UNCONNECTED, "queue": {"url": "https://sqs/q", "arn": QUEUE}})
    document = str(recorded.one(POLICY).inputs["policy"])
    assert {action.split(":")[0] for item in statements(document) for action in item["Action"]} == {"sqs"}
    assert not fleet(**UNCONNECTED).of(POLICY)


def test_the_whole_bucket_is_by_choice() -> None:
    bucket = {"name": "artifacts", "arn": BUCKET, "prefix": ""}
    document = str(fleet(bucket=bucket).one(POLICY).inputs["policy"])
    assert allows(document, "s3:GetObject", f"{BUCKET}/billing/1.pdf")
    assert allows(document, "s3:ListBucket", BUCKET)


def test_a_prefix_is_what_was_said_and_the_pods_are_told() -> None:
    recorded = fleet(bucket={"name": "artifacts", "arn": BUCKET, "prefix": "team/a/"})
    document = str(recorded.one(POLICY).inputs["policy"])
    assert allows(document, "s3:PutObject", f"{BUCKET}/team/a/1.pdf")
    assert not allows(document, "s3:PutObject", f"{BUCKET}/support/1.pdf")
    data = recorded.settings()
    assert data["AGENT_APP_ARTIFACT_PREFIX"] == "team/a/"


EKS = {"Service": "pods.eks.amazonaws.com"}
TAGS = {
    "aws:SourceAccount": ACCOUNT,
    "aws:RequestTag/eks-cluster-arn": CLUSTER,
    "aws:RequestTag/kubernetes-namespace": "agents",
    "aws:RequestTag/kubernetes-service-account": "support",
}


@pytest.mark.parametrize("action", ["sts:AssumeRole", "sts:TagSession"])
def test_eks_may_give_the_role_to_the_fleets_service_account(trust: str, action: str) -> None:
    assert trusts(trust, EKS, action, TAGS)


@pytest.mark.parametrize(
    "other",
    [
        {"aws:SourceAccount": "210987654321"},
        {"aws:RequestTag/eks-cluster-arn": f"{CLUSTER}-2"},
        {"aws:RequestTag/kubernetes-namespace": "default"},
        {"aws:RequestTag/kubernetes-service-account": "billing"},
    ],
)
def test_eks_may_give_the_role_to_nobody_else(trust: str, other: dict[str, str]) -> None:
    assert not trusts(trust, EKS, "sts:AssumeRole", {**TAGS, **other})
    missing = {name: value for name, value in TAGS.items() if name not in other}
    assert not trusts(trust, EKS, "sts:AssumeRole", missing)


def test_no_other_principal_may_take_the_role(trust: str) -> None:
    for principal in ({"Service": "ec2.amazonaws.com"}, {"AWS": "*"}, {"Federated": OIDC}):
        assert not trusts(trust, principal, "sts:AssumeRole", TAGS)


ISSUER = f"oidc.eks.{REGION}.amazonaws.com/id/E1"
TOKEN = {f"{ISSUER}:sub": "system:serviceaccount:agents:support", f"{ISSUER}:aud": "sts.amazonaws.com"}


def test_irsa_is_by_choice_and_for_one_service_account() -> None:
    recorded = fleet(oidc_provider_arn=OIDC)
    document = str(recorded.one(ROLE).inputs["assumeRolePolicy"])
    exchange = "sts:AssumeRoleWithWebIdentity"
    assert trusts(document, {"Federated": OIDC}, exchange, TOKEN)
    assert not trusts(document, EKS, "sts:AssumeRole", TAGS)
    for name, value in (
        ("sub", "system:serviceaccount:agents:billing"),
        ("sub", "system:serviceaccount:default:support"),
        ("aud", "vault"),
    ):
        assert not trusts(document, {"Federated": OIDC}, exchange, {**TOKEN, f"{ISSUER}:{name}": value})
    assert not trusts(document, {"Federated": f"{OIDC}2"}, exchange, TOKEN)
    assert not recorded.of(ASSOCIATION)
    annotations = recorded.one("kubernetes:core/v1:ServiceAccount").inputs["metadata"]["annotations"]
    assert annotations == {"eks.amazonaws.com/role-arn": f"arn:aws:iam:{REGION}:{ACCOUNT}:support-role"}


def test_with_pod_identity_the_service_account_is_not_annotated(recorded: Recorded) -> None:
    metadata = recorded.one("kubernetes:core/v1:ServiceAccount").inputs["metadata"]
    assert "annotations" not in metadata
    assert recorded.one(ASSOCIATION).inputs["serviceAccount"] == "support"


def test_the_role_carries_the_fleets_tags_and_no_policy_of_aws() -> None:
    recorded = fleet(tags={"team": "support"})
    role = recorded.one(ROLE).inputs
    assert role["tags"]["team"] == "support"
    assert "managedPolicyArns" not in role
    assert not recorded.of("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    assert not [item for item in recorded.resources if item.type.startswith("aws:iam/user")]


def test_the_role_of_another_workload_is_the_same_as_a_fleets(policy: str, trust: str) -> None:
    wanted = {"namespace": "agents", "cluster_name": "agents", **CONNECTED}
    recorded = record(lambda: FleetRole("support", wanted).annotations)
    assert json.loads(recorded.one(POLICY).inputs["policy"]) == json.loads(policy)
    assert json.loads(recorded.one(ROLE).inputs["assumeRolePolicy"]) == json.loads(trust)
    assert recorded.one(ASSOCIATION).inputs["roleArn"]
    assert recorded.result == {}


def test_a_provider_that_is_made_in_the_same_program_is_as_good() -> None:
    def program() -> None:
        later = {"namespace": "agents", "oidc_provider_arn": pulumi.Output.from_input(OIDC)}
        FleetRole("support", later)

    document = str(record(program).one(ROLE).inputs["assumeRolePolicy"])
    assert trusts(document, {"Federated": OIDC}, "sts:AssumeRoleWithWebIdentity", TOKEN)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({}, "nobody could take the role: say `cluster_name`"),
        ({"cluster_name": "c", "queue": {"url": "u", "arn": arn("sqs", "*")}}, "queue.arn: "),
        (
            {"cluster_name": "c", "llm_secret_arn": arn("secretsmanager", "secret:llm-??????")},
            "without * or ?",
        ),
        ({"cluster_name": "c", "llm_secret_kms_key_arn": "alias/mine"}, "not an alias"),
        (
            {"cluster_name": "c", "api_keys_secret_arn": arn("secretsmanager", "secret:*")},
            "api_keys_secret_arn: ",
        ),
        (
            {
                "cluster_name": "c",
                "queue": {
                    "url": "u",
                    "arn": QUEUE,
                    "dead_letter_url": "u",
                    "dead_letter_arn": arn("sqs", "*"),
                },
            },
            "queue.dead_letter_arn: ",
        ),
        ({"cluster_name": "c", "bucket": {"name": "b", "arn": BUCKET, "prefix": "*"}}, "without a star"),
        ({"cluster_name": "c", "bucket": {"name": "b", "arn": BUCKET, "prefix": "/a"}}, "end in a slash"),
        ({"oidc_provider_arn": "https://oidc.eks"}, "an IAM OIDC provider's ARN"),
        ({"cluster_name": "c", "fleet_name": "A*"}, "up to 40 lower-case letters"),
    ],
)
def test_a_role_that_would_hold_more_than_its_own_is_refused(args: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgsError) as raised:
        record(lambda: FleetRole("support", args) and None)
    assert said in str(raised.value)
    assert str(raised.value).startswith("FleetRole 'support': ")


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,20}[a-z0-9]", fullmatch=True)


@given(
    name=NAMES,
    wanted=st.sets(
        st.sampled_from([name for name in sorted(CONNECTED) if not name.endswith("_kms_key_arn")])
    ),
    keys=st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_no_statement_has_a_star_where_a_name_is_known(name: str, wanted: set[str], keys: bool) -> None:
    chosen: dict[str, Any] = {}
    for connection in wanted:
        value = CONNECTED[connection]
        if isinstance(value, dict) and not keys:
            value = {field: item for field, item in value.items() if "kms" not in field}
        chosen[connection] = value
    for secret in ("llm_secret", "api_keys_secret"):
        if f"{secret}_arn" in wanted and keys:
            chosen[f"{secret}_kms_key_arn"] = CONNECTED[f"{secret}_kms_key_arn"]
    recorded = record(lambda: FleetRole(name, {"cluster_name": "agents", **chosen}) and None)
    documents = [recorded.one(ROLE).inputs["assumeRolePolicy"]]
    documents += [item.inputs["policy"] for item in recorded.of(POLICY)]
    assert len(documents) == (2 if wanted else 1)
    for document in documents:
        for statement in statements(document):
            assert statement["Effect"] == "Allow"
            assert "NotAction" not in statement
            assert "NotResource" not in statement
            assert "*" not in json.dumps([statement["Action"], statement.get("Principal")])
            resources = statement.get("Resource", [])
            for resource in [resources] if isinstance(resources, str) else resources:
                # What an object will be called nobody knows: a star stands after the fleet's own prefix.
                assert "*" not in resource.removesuffix(f"/{name}/*")
            if any(action.startswith("kms:") for action in statement["Action"]):
                assert statement["Condition"]["StringEquals"]["kms:ViaService"]


@given(
    st.sampled_from(["aws", "aws-cn", "aws-us-gov"]),
    st.from_regex(r"[a-z]{2}-[a-z]{4,9}-[1-9]", fullmatch=True),
)
@settings(max_examples=20)
def test_a_key_is_used_by_the_service_in_its_own_region(partition: str, region: str) -> None:
    host = access.via_service("sqs", f"arn:{partition}:kms:{region}:{ACCOUNT}:key/1")
    assert host.startswith(f"sqs.{region}.amazonaws.com")
    assert host.endswith(".cn") == (partition == "aws-cn")


@pytest.fixture
def credentials(policy: str, trust: str) -> Iterator[dict[str, str]]:
    """The role in moto's IAM, which checks both documents' grammar, and a session of it."""
    with mock_aws():
        iam = boto3.client("iam", region_name=REGION)
        role = iam.create_role(RoleName="support-role", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        iam.put_role_policy(RoleName="support-role", PolicyName="support-role", PolicyDocument=policy)
        sts = boto3.client("sts", region_name=REGION)
        session = sts.assume_role(RoleArn=role, RoleSessionName="pod")["Credentials"]
        yield {
            "aws_access_key_id": session["AccessKeyId"],
            "aws_secret_access_key": session["SecretAccessKey"],
            "aws_session_token": session["SessionToken"],
        }


def test_with_the_roles_credentials_only_the_fleets_own_queue_answers(credentials: dict[str, str]) -> None:
    admin = boto3.client("sqs", region_name=REGION)
    own, other, dead = (
        admin.create_queue(QueueName=name.rsplit(":", 1)[-1])["QueueUrl"]
        for name in (QUEUE, OTHER_QUEUE, DEAD_LETTERS)
    )

    @set_initial_no_auth_action_count(0)
    def as_the_fleet() -> None:
        sqs = boto3.client("sqs", region_name=REGION, **credentials)  # type: ignore[call-overload] # by name
        sqs.send_message(QueueUrl=own, MessageBody="{}")
        (message,) = sqs.receive_message(QueueUrl=own)["Messages"]
        sqs.delete_message(QueueUrl=own, ReceiptHandle=message["ReceiptHandle"])
        sqs.send_message(QueueUrl=dead, MessageBody="{}")
        for refused in (
            lambda: sqs.receive_message(QueueUrl=dead),
            lambda: sqs.send_message(QueueUrl=other, MessageBody="{}"),
            lambda: sqs.receive_message(QueueUrl=other),
            lambda: sqs.purge_queue(QueueUrl=own),
            lambda: sqs.delete_queue(QueueUrl=own),
        ):
            with pytest.raises(ClientError, match="AccessDenied"):
                refused()

    as_the_fleet()

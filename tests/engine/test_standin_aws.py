"""The aws stand-in against real services: every type's whole life, and what happens behind its back."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import boto3
import psycopg
import pytest
import redis

from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.standins.aws import AwsStandin
from agent_infra.local.standins.aws.rows import ROWS
from agent_infra.local.standins.server import UNKNOWN, Partial, Properties, StandinError, has_unknown
from tests.engine.standin_aws_cloud import begin_another_generation, entries, local_cloud
from tests.engine.standin_cases import CASES, World, allow, trust

REGION = "eu-west-1"
QUEUE, ROLE = "aws:sqs/queue:Queue", "aws:iam/role:Role"
CLUSTER, CACHE = "aws:rds/cluster:Cluster", "aws:elasticache/replicationGroup:ReplicationGroup"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEnvironment]:
    with local_cloud(tmp_path_factory.mktemp("cloud")) as made:
        yield made


@pytest.fixture
def standin(environment: LocalEnvironment) -> AwsStandin:
    made = AwsStandin(environment)
    made.configure({"region": REGION, "defaultTags": json.dumps({"tags": {"managed-by": "agent-infra"}})})
    return made


@pytest.fixture
def world(standin: AwsStandin) -> Iterator[World]:
    made = World(standin)
    yield made
    made.end()


def client(environment: LocalEnvironment, service: str) -> Any:
    make: Any = boto3.client
    return make(
        service, endpoint_url=entries(environment)["moto"]["url"], region_name=REGION,
        aws_access_key_id="local", aws_secret_access_key="local",
    )  # fmt: skip


def settled(standin: AwsStandin, type: str, id: str, inputs: Properties, state: Properties) -> Properties:
    """Reads it and asserts that a refresh would show nothing."""
    found = standin.read(type, id, inputs, state)
    assert found is not None
    assert found.inputs == inputs
    assert standin.diff(type, id, inputs, found.state, inputs).changed == []
    assert {key: found.state.get(key) for key in state} == state
    return found.state


def test_every_type_has_a_case() -> None:
    assert CASES.keys() == ROWS.keys()


@pytest.mark.parametrize("type", sorted(CASES))
def test_a_resource_lives_its_whole_life(type: str, standin: AwsStandin, world: World) -> None:
    case = CASES[type]
    program = case.make(world)
    given = copy.deepcopy(program)
    inputs = standin.check(type, "thing", {}, program)
    assert standin.check(type, "thing", inputs, program) == inputs, "a second check keeps the name"

    preview_id, plan = standin.create(type, "thing", inputs, preview=True)
    assert preview_id == ""
    id, state = standin.create(type, "thing", inputs, preview=False)
    assert id
    assert not has_unknown(state)
    assert {key for key, value in plan.items() if value is not UNKNOWN} <= state.keys()
    assert state.keys() - plan.keys() <= ROWS[type].known
    assert program == given, "inputs are not changed in place"
    state = settled(standin, type, id, inputs, state)
    if "tags" in program:
        assert state["tagsAll"] == {**program["tags"], "managed-by": "agent-infra"}

    imported = standin.read(type, case.import_id(id, inputs), {}, {})
    assert imported is not None
    assert imported.id == id
    for key, value in inputs.items():
        if key not in case.unknown_to_import:
            assert key in imported.inputs or not value, key
    difference = standin.diff(type, id, imported.inputs, imported.state, inputs)
    assert set(difference.changed) <= case.unknown_to_import, "an import matches the program"

    if case.change:
        changed = standin.check(type, "thing", inputs, {**program, **case.change})
        difference = standin.diff(type, id, inputs, state, changed)
        assert {path.split(".")[0] for path in difference.changed} == case.change.keys()
        assert difference.replaces == []
        planned = standin.update(type, id, inputs, state, changed, preview=True)
        new_state = standin.update(type, id, inputs, state, changed, preview=False)
        assert planned.keys() - new_state.keys() == set()
        state = settled(standin, type, id, changed, new_state)
        inputs = changed

    standin.delete(type, id, inputs, state)
    if not case.stays:
        assert standin.read(type, id, inputs, state) is None
    standin.delete(type, id, inputs, state)


def test_a_change_behind_its_back_is_found_and_put_right(
    environment: LocalEnvironment, standin: AwsStandin, world: World
) -> None:
    queue = world.make(QUEUE, visibilityTimeoutSeconds=300, tags={"team": "agents"})
    type, id, inputs, state = world.made[-1]
    sqs = client(environment, "sqs")
    sqs.set_queue_attributes(
        QueueUrl=queue["url"], Attributes={"VisibilityTimeout": "5", "DelaySeconds": "9"}
    )
    sqs.tag_queue(QueueUrl=queue["url"], Tags={"team": "others", "new": "one"})

    found = standin.read(type, id, inputs, state)
    assert found is not None
    assert found.inputs["visibilityTimeoutSeconds"] == 5
    assert found.inputs["tags"] == {"team": "others", "new": "one"}
    difference = standin.diff(type, id, found.inputs, found.state, inputs)
    assert {path.split(".")[0] for path in difference.changed} == {
        "visibilityTimeoutSeconds", "delaySeconds", "tags",
    }  # fmt: skip
    fixed = standin.update(type, id, found.inputs, found.state, inputs, preview=False)
    settled(standin, type, id, inputs, fixed)


def test_a_property_nobody_set_is_found_when_it_is_changed(
    environment: LocalEnvironment, standin: AwsStandin, world: World
) -> None:
    world.make(ROLE, assumeRolePolicy=trust())
    type, id, inputs, state = world.made[-1]
    client(environment, "iam").update_role(RoleName=id, Description="by hand")
    found = standin.read(type, id, inputs, state)
    assert found is not None
    assert found.inputs == {**inputs, "description": "by hand"}
    assert standin.diff(type, id, found.inputs, found.state, inputs).changed == ["description"]


def test_what_is_deleted_behind_its_back_is_gone_and_an_update_says_so(
    environment: LocalEnvironment, standin: AwsStandin
) -> None:
    inputs = standin.check(QUEUE, "jobs", {}, {})
    id, state = standin.create(QUEUE, "jobs", inputs, preview=False)
    client(environment, "sqs").delete_queue(QueueUrl=id)
    assert standin.read(QUEUE, id, inputs, state) is None
    with pytest.raises(StandinError, match="is gone"):
        standin.update(QUEUE, id, inputs, state, {**inputs, "delaySeconds": 5}, preview=False)
    standin.delete(QUEUE, id, inputs, state)


def test_a_policy_in_other_words_is_no_change(standin: AwsStandin, world: World) -> None:
    world.make(ROLE, assumeRolePolicy=trust())
    role = world.made[-1][1]
    world.make("aws:iam/rolePolicy:RolePolicy", role=role, policy=allow(["s3:GetObject"]))
    type, id, inputs, state = world.made[-1]
    news = {**inputs, "policy": json.dumps(json.loads(allow("s3:GetObject")), indent=4)}
    assert standin.diff(type, id, inputs, state, news).changed == []


def test_two_provider_calls_at_a_region_of_their_own(standin: AwsStandin, world: World) -> None:
    made = world.make(QUEUE, region="us-west-2")
    assert ":us-west-2:" in made["arn"]
    type, id, inputs, state = world.made[-1]
    assert standin.diff(type, id, inputs, state, {**inputs, "region": "eu-west-1"}).replaces == ["region"]


def test_recorded_resources_go_with_motos_memory(
    environment: LocalEnvironment, standin: AwsStandin, world: World
) -> None:
    type = "aws:elasticache/userGroup:UserGroup"
    world.make(type, userGroupId="shortlived", engine="valkey")
    _, id, inputs, state = world.made.pop()
    assert environment.records_file.stat().st_mode & 0o777 == 0o600
    begin_another_generation(environment)
    assert standin.read(type, id, inputs, state) is None
    standin.delete(type, id, inputs, state)


def _connect(environment: LocalEnvironment, user: str, password: str, database: str) -> Any:
    place = entries(environment)["postgres"]
    return psycopg.connect(
        host=place["host"], port=place["port"], user=user, password=password, dbname=database, autocommit=True
    )


def test_a_database_cluster_is_a_real_database(
    environment: LocalEnvironment, standin: AwsStandin, world: World
) -> None:
    program = CASES[CLUSTER].make(world)
    inputs = standin.check(CLUSTER, "db", {}, program)
    id, state = standin.create(CLUSTER, "db", inputs, preview=False)
    place = entries(environment)["postgres"]
    assert (state["endpoint"], state["readerEndpoint"], state["port"]) == (
        place["host"], place["host"], place["port"],
    )  # fmt: skip
    (secret,) = state["masterUserSecrets"]
    manager = client(environment, "secretsmanager")
    login = json.loads(manager.get_secret_value(SecretId=secret["secretArn"])["SecretString"])
    assert login["username"] == "agent"
    with _connect(environment, **_login(login), database="agents") as connection:
        connection.execute("create table kept (n int)")

    # moto forgets; the data does not, and the new cluster's secret opens it
    client(environment, "rds").delete_db_cluster(DBClusterIdentifier=id, SkipFinalSnapshot=True)
    assert standin.read(CLUSTER, id, inputs, state) is None
    again = standin.check(CLUSTER, "db", {}, program)
    id, state = standin.create(CLUSTER, "db", again, preview=False)
    arn = state["masterUserSecrets"][0]["secretArn"]
    login = json.loads(manager.get_secret_value(SecretId=arn)["SecretString"])
    with _connect(environment, **_login(login), database="agents") as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (0,)

    # another cluster may not take the same database
    with pytest.raises(Partial, match="give each its own"):
        standin.create(CLUSTER, "other", standin.check(CLUSTER, "other", {}, program), preview=False)

    protected = {**again, "deletionProtection": True}
    state = standin.update(CLUSTER, id, again, state, protected, preview=False)
    with pytest.raises(StandinError, match="deletionProtection is true"):
        standin.delete(CLUSTER, id, protected, state)
    careful = {**again, "skipFinalSnapshot": False}
    state = standin.update(CLUSTER, id, protected, state, careful, preview=False)
    with pytest.raises(StandinError, match="finalSnapshotIdentifier"):
        standin.delete(CLUSTER, id, careful, state)
    state = standin.update(CLUSTER, id, careful, state, again, preview=False)
    standin.delete(CLUSTER, id, again, state)
    with _connect(environment, place["user"], place["password"], "postgres") as connection:
        assert connection.execute("select 1 from pg_database where datname = 'agents'").fetchone() is None
        assert connection.execute("select 1 from pg_roles where rolname = 'agent'").fetchone() is None


def _login(secret: dict[str, str]) -> dict[str, str]:
    return {"user": secret["username"], "password": secret["password"]}


def test_the_superusers_name_is_refused_as_a_master_username(standin: AwsStandin) -> None:
    program = {
        "engine": "aurora-postgresql", "masterUsername": "postgres", "masterPassword": "a-long-password",
        "skipFinalSnapshot": True,
    }  # fmt: skip
    inputs = standin.check(CLUSTER, "db", {}, program)
    with pytest.raises(Partial, match="choose another one") as refused:
        standin.create(CLUSTER, "db", inputs, preview=False)
    standin.delete(CLUSTER, refused.value.id, inputs, refused.value.state)


def opens_redis(environment: LocalEnvironment, password: str) -> bool:
    """Whether the real Redis lets in who says the password alone."""
    place = entries(environment)["redis"]
    connection = redis.Redis(host=place["host"], port=place["port"], password=password)
    try:
        return bool(connection.ping())
    except redis.AuthenticationError:
        return False
    finally:
        connection.close()


def test_a_password_goes_from_the_cache_to_its_user_without_a_gap(
    environment: LocalEnvironment, standin: AwsStandin, world: World
) -> None:
    program = CASES[CACHE].make(world)
    inputs = standin.check(CACHE, "cache", {}, program)
    id, state = standin.create(CACHE, "cache", inputs, preview=False)
    password = program["authToken"]
    user = world.make(
        "aws:elasticache/user:User",
        userId="sessions-user",
        userName="default",
        engine="valkey",
        accessString="on ~* +@all",
        passwords=[password],
    )
    assert opens_redis(environment, password)
    with_user = {key: value for key, value in inputs.items() if key != "authToken"}
    with_user.update({"userGroupIds": [user["id"]], "authTokenUpdateStrategy": "DELETE"})
    assert standin.diff(CACHE, id, inputs, state, with_user).replaces == []
    state = standin.update(CACHE, id, inputs, state, with_user, preview=False)
    assert opens_redis(environment, password)
    standin.delete(CACHE, id, with_user, state)
    assert opens_redis(environment, password)
    world.end()
    world.made.clear()
    assert not opens_redis(environment, password)


def test_a_cache_token_opens_the_real_redis(
    environment: LocalEnvironment, standin: AwsStandin, world: World
) -> None:
    inputs = standin.check(CACHE, "cache", {}, CASES[CACHE].make(world))
    id, state = standin.create(CACHE, "cache", inputs, preview=False)
    place = entries(environment)["redis"]
    assert (state["primaryEndpointAddress"], state["port"]) == ("127.0.0.1", place["port"])
    assert inputs["port"] == 6379

    def opens(token: str) -> bool:
        return opens_redis(environment, token)

    assert opens("a-very-long-token")
    assert not opens("something else")
    rotated = {**inputs, "authToken": "another-long-token"}
    state = standin.update(CACHE, id, inputs, state, rotated, preview=False)
    assert (opens("another-long-token"), opens("a-very-long-token")) == (True, False)
    standin.delete(CACHE, id, rotated, state)
    assert (opens("another-long-token"), opens(place["admin_password"])) == (False, True)


def test_the_functions_answer(standin: AwsStandin, world: World) -> None:
    assert standin.invoke("aws:index/getRegion:getRegion", {})["region"] == REGION
    assert standin.invoke("aws:index/getCallerIdentity:getCallerIdentity", {})["accountId"] == "123456789012"
    vpc = world.vpc()
    found = standin.invoke("aws:ec2/getVpc:getVpc", {"id": vpc})
    assert (found["cidrBlock"], found["enableDnsSupport"]) == ("10.9.0.0/16", True)
    assert [item["cidrBlock"] for item in found["cidrBlockAssociations"]] == ["10.9.0.0/16"]
    subnet = standin.invoke("aws:ec2/getSubnet:getSubnet", {"id": world.subnets(vpc)[1]})
    assert (subnet["vpcId"], subnet["availabilityZone"]) == (vpc, "eu-west-1b")
    with pytest.raises(StandinError, match="looks up by `id` alone, and tags was said"):
        standin.invoke("aws:ec2/getVpc:getVpc", {"tags": {"team": "agents"}})
    assert standin.invoke("aws:index/getPartition:getPartition", {})["partition"] == "aws"
    zones = standin.invoke("aws:index/getAvailabilityZones:getAvailabilityZones", {"state": "available"})
    assert zones["names"][:2] == ["eu-west-1a", "eu-west-1b"]
    password = standin.invoke(
        "aws:secretsmanager/getRandomPassword:getRandomPassword",
        {"passwordLength": 40, "excludePunctuation": True},
    )["randomPassword"]
    assert len(password) == 40
    assert password.isalnum()
    registry = standin.invoke("aws:ecr/getAuthorizationToken:getAuthorizationToken", {})
    assert registry["userName"] == "AWS"
    token = standin.invoke("aws:eks/getClusterAuth:getClusterAuth", {"name": "c"})["token"]
    assert token.startswith("k8s-aws-v1.")
    with pytest.raises(StandinError, match="the local cloud has no aws:ec2/getAmi:getAmi"):
        standin.invoke("aws:ec2/getAmi:getAmi", {})

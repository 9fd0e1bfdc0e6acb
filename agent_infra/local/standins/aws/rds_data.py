"""RDS: the real database behind a cluster or an instance, and its master credentials."""

from __future__ import annotations

import json
import secrets
from typing import Any

from agent_infra.local.standins.aws import data
from agent_infra.local.standins.aws.cloud import CallError, Cloud, Gone
from agent_infra.local.standins.aws.values import at
from agent_infra.local.standins.server import Properties, StandinError

CLUSTER, INSTANCE = "rds cluster", "rds instance"


def is_postgres(properties: Properties) -> bool:
    """Only Postgres has a real database locally; another engine's endpoint is made up."""
    return "postgres" in str(properties.get("engine"))


def database_of(properties: Properties) -> str:
    return properties.get("databaseName") or properties.get("dbName") or data.DEFAULT_DATABASE


def user_of(properties: Properties) -> str | None:
    return properties.get("masterUsername") or properties.get("username")


def password_of(properties: Properties) -> str | None:
    for name in ("masterPassword", "masterPasswordWo", "password", "passwordWo"):
        if properties.get(name):
            return str(properties[name])
    return None


def live_object(cloud: Cloud, type: str, id: str) -> Any:
    """The cluster or instance as moto has it, or None."""
    try:
        if type == CLUSTER:
            found = cloud.call("rds", "describe_db_clusters", DBClusterIdentifier=id)["DBClusters"]
        else:
            found = cloud.call("rds", "describe_db_instances", DBInstanceIdentifier=id)["DBInstances"]
    except Gone:
        return None
    return found[0] if found else None


def make(cloud: Cloud, type: str, name: str, id: str, inputs: Properties) -> None:
    """The database and its login role, and the secret that RDS manages where one is asked for."""
    if not is_postgres(inputs):
        return
    user = user_of(inputs)
    password = password_of(inputs)
    if inputs.get("manageMasterUserPassword"):
        password = _managed_password(cloud, type, id, str(user))
    if not user or not password:
        return
    data.make_database(
        cloud,
        data.Owner(type, id, name),
        database=database_of(inputs),
        user=user,
        password=password,
        exists=lambda owner: live_object(cloud, owner.type, owner.id) is not None,
    )


def _managed_password(cloud: Cloud, type: str, id: str, user: str) -> str:
    """moto's managed secret says the same of every database; here it says what is true of this one."""
    arn = at(live_object(cloud, type, id), "MasterUserSecret.SecretArn")
    if not arn:
        raise StandinError(f"{type} {id}: it has no managed master secret.")
    password = secrets.token_urlsafe(24)
    try:
        cloud.call(
            "secretsmanager", "put_secret_value",
            SecretId=arn, SecretString=json.dumps({"username": user, "password": password}),
        )  # fmt: skip
    except CallError as error:
        raise StandinError(
            f"{type} {id}: its managed master secret could not be set: {error.code}."
        ) from None
    return password


def update(cloud: Cloud, type: str, id: str, olds: Properties, news: Properties, changed: set[str]) -> None:
    """Another master password, given or managed."""
    user = user_of(news) or user_of(olds)
    if not is_postgres(news) or not user:
        return
    password = password_of(news)
    if changed & {"manageMasterUserPassword"} and news.get("manageMasterUserPassword"):
        data.set_password(cloud, user, _managed_password(cloud, type, id, user))
    elif password and (password != password_of(olds) or "manageMasterUserPassword" in changed):
        data.set_password(cloud, user, password)


def drop(cloud: Cloud, id: str, known: Properties) -> None:
    user = user_of(known)
    if is_postgres(known) and user:
        data.drop_database(cloud, id, database=database_of(known), user=user)


def secret_outputs(live: Any) -> list[Properties]:
    secret = live.get("MasterUserSecret")
    if not secret:
        return []
    return [
        {
            "secretArn": secret["SecretArn"],
            "secretStatus": "active",
            "kmsKeyId": secret.get("KmsKeyId", ""),
        }
    ]


def refuse_protected(known: Properties, type: str, id: str) -> None:
    """What AWS and the official provider say before a database is deleted."""
    if known.get("deletionProtection"):
        raise StandinError(
            f"{type} {id} cannot be deleted: deletionProtection is true. "
            "Set it to false and deploy that first."
        )
    if not known.get("skipFinalSnapshot") and not known.get("finalSnapshotIdentifier"):
        raise StandinError(
            f"{type} {id} cannot be deleted: skipFinalSnapshot is false, so finalSnapshotIdentifier is "
            "required. Set one of the two and deploy that first."
        )


def one_password(inputs: Properties, *, plain: tuple[str, ...]) -> list[tuple[str, str]]:
    """RDS manages the master password or the program gives it, not both."""
    given = [name for name in plain if inputs.get(name)]
    if inputs.get("manageMasterUserPassword") and given:
        return [(given[0], "it cannot be given with manageMasterUserPassword: set one of the two.")]
    return []


def group_ids(groups: list[Any]) -> list[str]:
    return [group["VpcSecurityGroupId"] for group in groups]

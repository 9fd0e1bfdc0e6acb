"""Secrets Manager: secrets, their versions, policies and rotations."""

from __future__ import annotations

import base64
from typing import Any

from agent_infra.local.standins.aws.cloud import Cloud
from agent_infra.local.standins.aws.table import (
    MOTO_DROPS,
    NO_EFFECT,
    AutoName,
    Call,
    Input,
    Row,
    Setter,
    Tags,
    because,
)
from agent_infra.local.standins.aws.values import POLICY, without_none
from agent_infra.local.standins.server import Properties, StandinError


def _read_secret(cloud: Cloud, id: str, known: Properties) -> Properties | None:
    live = cloud.call("secretsmanager", "describe_secret", SecretId=id)
    if live.get("DeletedDate"):
        return None
    policy = cloud.call("secretsmanager", "get_resource_policy", SecretId=id).get("ResourcePolicy")
    return without_none(
        {
            "arn": live["ARN"],
            "name": live["Name"],
            "description": live.get("Description"),
            "kmsKeyId": live.get("KmsKeyId"),
            "policy": policy,
            "tagsAll": known.get("tagsAll"),
        }
    )


def _set_policy(cloud: Cloud, id: str, _olds: Properties, news: Properties, changed: set[str]) -> None:
    if "policy" in changed and not news.get("policy"):
        cloud.call("secretsmanager", "delete_resource_policy", SecretId=id)


def _delete_secret(cloud: Cloud, id: str, known: Properties) -> None:
    if cloud.call("secretsmanager", "describe_secret", SecretId=id).get("DeletedDate"):
        return
    days = known.get("recoveryWindowInDays", 30)
    how = {"RecoveryWindowInDays": days} if days else {"ForceDeleteWithoutRecovery": True}
    cloud.call("secretsmanager", "delete_secret", SecretId=id, **how)


SECRET = Row(
    type="aws:secretsmanager/secret:Secret",
    service="secretsmanager",
    inputs={
        "description": Input("Description", reset=""),
        "kmsKeyId": Input("KmsKeyId"),
        "name": Input("Name", replaces=True),
        "namePrefix": Input(replaces=True),
        "policy": Input(computed=True, form=POLICY),
        "recoveryWindowInDays": Input(default=30),
    },
    unsimulated={
        **because(MOTO_DROPS, "replicas type"),
        **because(NO_EFFECT, "forceOverwriteReplicaSecret"),
    },
    more_outputs="arn",
    create=Call("create_secret"),
    id="{ARN}",
    read_with=_read_secret,
    setters=(
        Setter("update_secret", {"description": "Description", "kmsKeyId": "KmsKeyId"}, {"SecretId": "{id}"}),
        Setter("put_resource_policy", {"policy": "ResourcePolicy"}, {"SecretId": "{id}"}, at_create=True),
    ),
    delete_with=_delete_secret,
    tags=Tags(
        Call("tag_resource", {"SecretId": "{id}"}),
        Call("untag_resource", {"SecretId": "{id}"}),
        Call("describe_secret", {"SecretId": "{id}"}, "Tags"),
    ),
    autoname=AutoName(limit=512, prefix_property="namePrefix"),
    after_update=_set_policy,
)


def _create_version(cloud: Cloud, _name: str, inputs: Properties) -> str:
    value: dict[str, Any] = {}
    text = inputs.get("secretString", inputs.get("secretStringWo"))
    if text is not None:
        value["SecretString"] = text
    elif "secretBinary" in inputs:
        value["SecretBinary"] = base64.b64decode(inputs["secretBinary"])
    else:
        raise StandinError("give one of secretString, secretStringWo and secretBinary.")
    if inputs.get("versionStages"):
        value["VersionStages"] = inputs["versionStages"]
    answer = cloud.call("secretsmanager", "put_secret_value", SecretId=inputs["secretId"], **value)
    return f"{answer['ARN']}|{answer['VersionId']}"


def _read_version(cloud: Cloud, id: str, known: Properties) -> Properties | None:
    arn, _, version = id.partition("|")
    if cloud.call("secretsmanager", "describe_secret", SecretId=arn).get("DeletedDate"):
        return None
    live = cloud.call("secretsmanager", "get_secret_value", SecretId=arn, VersionId=version)
    written_only = "secretStringWo" in known
    binary = live.get("SecretBinary")
    return without_none(
        {
            "secretArn": live["ARN"],
            "secretId": known.get("secretId", arn),
            "versionId": version,
            "secretString": None if written_only else live.get("SecretString"),
            "secretBinary": base64.b64encode(binary).decode() if binary else None,
            "versionStages": live.get("VersionStages"),
            "hasSecretStringWo": written_only,
        }
    )


SECRET_VERSION = Row(
    type="aws:secretsmanager/secretVersion:SecretVersion",
    service="secretsmanager",
    inputs={
        "secretBinary": Input(replaces=True),
        "secretId": Input(required=True, replaces=True),
        "secretString": Input(replaces=True),
        "secretStringWo": Input(),
        "secretStringWoVersion": Input(replaces=True),
        "versionStages": Input(computed=True, form="set", replaces=True),
    },
    more_outputs="secretArn versionId hasSecretStringWo",
    create_with=_create_version,
    read_with=_read_version,
    # AWS keeps the version that is current; it goes with its secret.
)

SECRET_POLICY = Row(
    type="aws:secretsmanager/secretPolicy:SecretPolicy",
    service="secretsmanager",
    inputs={
        "policy": Input("ResourcePolicy", required=True, form=POLICY),
        "secretArn": Input("SecretId", live="ARN", required=True, replaces=True),
    },
    unsimulated=because(MOTO_DROPS, "blockPublicPolicy"),
    create=Call("put_resource_policy"),
    id="{secretArn}",
    id_parts=("secretArn",),
    id_separator="\n",
    read=Call("get_resource_policy", {"SecretId": "{id}"}),
    exists_by="policy",
    setters=(Setter("put_resource_policy", {"policy": "ResourcePolicy"}, {"SecretId": "{id}"}),),
    delete=Call("delete_resource_policy", {"SecretId": "{id}"}),
)

SECRET_ROTATION = Row(
    type="aws:secretsmanager/secretRotation:SecretRotation",
    service="secretsmanager",
    recorded="a rotation runs a function of Lambda, and there is none here: it is recorded",
    inputs={
        "externalSecretRotationMetadatas": Input(),
        "externalSecretRotationRoleArn": Input(),
        "rotateImmediately": Input(default=True),
        "rotationEnabled": Input(computed=True),
        "rotationLambdaArn": Input(),
        "rotationRules": Input(),
        "secretId": Input(required=True, replaces=True),
    },
    outputs={"secretArn": "{secretId}"},
    id="{secretId}",
)

ROWS = (SECRET, SECRET_VERSION, SECRET_POLICY, SECRET_ROTATION)

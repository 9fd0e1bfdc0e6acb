"""KMS: keys and their aliases."""

from __future__ import annotations

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
from agent_infra.local.standins.aws.values import POLICY
from agent_infra.local.standins.server import Properties


def _set_switches(cloud: Cloud, id: str, _olds: Properties, news: Properties, changed: set[str]) -> None:
    if "enableKeyRotation" in changed or "rotationPeriodInDays" in changed:
        if news.get("enableKeyRotation"):
            period = news.get("rotationPeriodInDays")
            more = {"RotationPeriodInDays": period} if period else {}
            cloud.call("kms", "enable_key_rotation", KeyId=id, **more)
        else:
            cloud.call("kms", "disable_key_rotation", KeyId=id)
    if "isEnabled" in changed:
        cloud.call("kms", "enable_key" if news.get("isEnabled", True) else "disable_key", KeyId=id)


def _key_created(cloud: Cloud, _name: str, id: str, inputs: Properties) -> None:
    wanted = {"enableKeyRotation"} if inputs.get("enableKeyRotation") else set()
    _set_switches(
        cloud, id, {}, inputs, wanted | ({"isEnabled"} if not inputs.get("isEnabled", True) else set())
    )


def _read_key(cloud: Cloud, id: str, _known: Properties) -> Properties | None:
    live = cloud.call("kms", "describe_key", KeyId=id)["KeyMetadata"]
    if live["KeyState"] in ("PendingDeletion", "PendingReplicaDeletion"):
        return None
    found: Properties = {
        "keyId": live["KeyId"],
        "arn": live["Arn"],
        "description": live.get("Description"),
        "keyUsage": live.get("KeyUsage"),
        "customerMasterKeySpec": live.get("KeySpec") or live.get("CustomerMasterKeySpec"),
        "multiRegion": live.get("MultiRegion"),
        "isEnabled": live["Enabled"],
        "policy": cloud.call("kms", "get_key_policy", KeyId=id, PolicyName="default")["Policy"],
    }
    if found["customerMasterKeySpec"] == "SYMMETRIC_DEFAULT":
        rotation = cloud.call("kms", "get_key_rotation_status", KeyId=id)
        found["enableKeyRotation"] = rotation["KeyRotationEnabled"]
        if rotation["KeyRotationEnabled"] and rotation.get("RotationPeriodInDays"):
            found["rotationPeriodInDays"] = rotation["RotationPeriodInDays"]
    return found


KEY = Row(
    type="aws:kms/key:Key",
    service="kms",
    inputs={
        "customerMasterKeySpec": Input("KeySpec", replaces=True, default="SYMMETRIC_DEFAULT"),
        "deletionWindowInDays": Input(),
        "description": Input("Description", computed=True),
        "enableKeyRotation": Input(),
        "isEnabled": Input(default=True),
        "keyUsage": Input("KeyUsage", replaces=True, default="ENCRYPT_DECRYPT"),
        "multiRegion": Input("MultiRegion", replaces=True, computed=True),
        "policy": Input("Policy", computed=True, form=POLICY),
        "rotationPeriodInDays": Input(computed=True),
    },
    unsimulated={
        **because(MOTO_DROPS, "customKeyStoreId xksKeyId"),
        **because(NO_EFFECT, "bypassPolicyLockoutSafetyCheck"),
    },
    unsimulated_replaces="customKeyStoreId xksKeyId",
    more_outputs="arn keyId",
    create=Call("create_key", result="KeyMetadata"),
    id="{KeyId}",
    read_with=_read_key,
    setters=(
        Setter("update_key_description", {"description": "Description"}, {"KeyId": "{id}"}),
        Setter("put_key_policy", {"policy": "Policy"}, {"KeyId": "{id}", "PolicyName": "default"}),
    ),
    delete=Call("schedule_key_deletion", {"KeyId": "{id}", "PendingWindowInDays": "{deletionWindowInDays}"}),
    tags=Tags(
        Call("tag_resource", {"KeyId": "{id}"}),
        Call("untag_resource", {"KeyId": "{id}"}),
        Call("list_resource_tags", {"KeyId": "{id}"}, "Tags"),
        key="TagKey",
        value="TagValue",
    ),
    after_create=_key_created,
    after_update=_set_switches,
)


def _read_alias(cloud: Cloud, id: str, known: Properties) -> Properties | None:
    pages = cloud.client("kms").get_paginator("list_aliases").paginate()
    for live in (alias for page in pages for alias in page["Aliases"]):
        if live["AliasName"] == id:
            key = live.get("TargetKeyId", "")
            arn = cloud.arn("kms", f"key/{key}")
            given: Any = known.get("targetKeyId")
            return {
                "name": id,
                "arn": live["AliasArn"],
                "targetKeyId": given if given in (key, arn) else key,
                "targetKeyArn": arn,
            }
    return None


ALIAS = Row(
    type="aws:kms/alias:Alias",
    service="kms",
    inputs={
        "name": Input("AliasName", replaces=True),
        "namePrefix": Input(replaces=True),
        "targetKeyId": Input("TargetKeyId", required=True),
    },
    more_outputs="arn targetKeyArn",
    create=Call("create_alias"),
    read_with=_read_alias,
    setters=(Setter("update_alias", {"targetKeyId": "TargetKeyId"}, {"AliasName": "{id}"}),),
    delete=Call("delete_alias", {"AliasName": "{id}"}),
    autoname=AutoName(limit=256, prefix="alias/", prefix_property="namePrefix"),
)

ROWS = (KEY, ALIAS)

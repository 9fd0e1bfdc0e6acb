"""IAM: roles and policies."""

from __future__ import annotations

from typing import Any

from agent_infra.local.standins.aws.cloud import Cloud
from agent_infra.local.standins.aws.table import (
    NO_EFFECT,
    AutoName,
    Call,
    Input,
    Row,
    Setter,
    Tags,
    because,
)
from agent_infra.local.standins.aws.values import POLICY, SET, as_json, at
from agent_infra.local.standins.server import Properties


def _attached(cloud: Cloud, role: str) -> list[str]:
    answer = cloud.call("iam", "list_attached_role_policies", RoleName=role)
    return [policy["PolicyArn"] for policy in answer["AttachedPolicies"]]


def _inline(cloud: Cloud, role: str) -> list[Properties]:
    names = cloud.call("iam", "list_role_policies", RoleName=role)["PolicyNames"]
    found = []
    for name in names:
        answer = cloud.call("iam", "get_role_policy", RoleName=role, PolicyName=name)
        found.append({"name": name, "policy": as_json(answer["PolicyDocument"])})
    return found


def _role_created(cloud: Cloud, _name: str, id: str, inputs: Properties) -> None:
    _set_policies(cloud, id, {}, inputs, {"managedPolicyArns", "inlinePolicies"})


def _set_policies(cloud: Cloud, id: str, olds: Properties, news: Properties, changed: set[str]) -> None:
    if "managedPolicyArns" in changed and "managedPolicyArns" in news:
        wanted, there = set(news["managedPolicyArns"]), set(_attached(cloud, id))
        for arn in sorted(wanted - there):
            cloud.call("iam", "attach_role_policy", RoleName=id, PolicyArn=arn)
        for arn in sorted(there - wanted if olds else ()):
            cloud.call("iam", "detach_role_policy", RoleName=id, PolicyArn=arn)
    if "inlinePolicies" in changed and "inlinePolicies" in news:
        wanted_names = {policy["name"] for policy in news["inlinePolicies"]}
        for policy in news["inlinePolicies"]:
            cloud.call(
                "iam", "put_role_policy",
                RoleName=id, PolicyName=policy["name"], PolicyDocument=as_json(policy["policy"]),
            )  # fmt: skip
        for policy in _inline(cloud, id):
            if policy["name"] not in wanted_names:
                cloud.call("iam", "delete_role_policy", RoleName=id, PolicyName=policy["name"])
    if "permissionsBoundary" in changed and not news.get("permissionsBoundary") and olds:
        cloud.call("iam", "delete_role_permissions_boundary", RoleName=id)


def _role_policies(cloud: Cloud, id: str, _live: Any, known: Properties) -> Properties:
    """Only where the program lists them: otherwise they are resources of their own."""
    more: Properties = {"name": id}
    if "managedPolicyArns" in known:
        more["managedPolicyArns"] = _attached(cloud, id)
    if "inlinePolicies" in known:
        more["inlinePolicies"] = _inline(cloud, id)
    return more


def _before_role_deleted(cloud: Cloud, id: str, known: Properties) -> None:
    force = known.get("forceDetachPolicies") is True
    if force or known.get("managedPolicyArns"):
        for arn in _attached(cloud, id):
            cloud.call("iam", "detach_role_policy", RoleName=id, PolicyArn=arn)
    if force or known.get("inlinePolicies"):
        for policy in _inline(cloud, id):
            cloud.call("iam", "delete_role_policy", RoleName=id, PolicyName=policy["name"])


ROLE = Row(
    type="aws:iam/role:Role",
    service="iam",
    inputs={
        "assumeRolePolicy": Input("AssumeRolePolicyDocument", required=True, form=POLICY, back=as_json),
        "description": Input("Description", reset=""),
        "forceDetachPolicies": Input(default=False),
        "inlinePolicies": Input(computed=True, form=SET),
        "managedPolicyArns": Input(computed=True, form=SET),
        "maxSessionDuration": Input("MaxSessionDuration", default=3600),
        "name": Input("RoleName", replaces=True),
        "namePrefix": Input(replaces=True),
        "path": Input("Path", replaces=True, default="/"),
        "permissionsBoundary": Input(
            "PermissionsBoundary", live="PermissionsBoundary.PermissionsBoundaryArn"
        ),
    },
    outputs={"arn": "Arn", "uniqueId": "RoleId", "createDate": "CreateDate"},
    create=Call("create_role"),
    read=Call("get_role", {"RoleName": "{id}"}, "Role"),
    delete=Call("delete_role", {"RoleName": "{id}"}),
    setters=(
        Setter(
            "update_role",
            {"description": "Description", "maxSessionDuration": "MaxSessionDuration"},
            {"RoleName": "{id}"},
            whole=True,
        ),
        Setter("update_assume_role_policy", {"assumeRolePolicy": "PolicyDocument"}, {"RoleName": "{id}"}),
        Setter(
            "put_role_permissions_boundary",
            {"permissionsBoundary": "PermissionsBoundary"},
            {"RoleName": "{id}"},
        ),
    ),
    tags=Tags(
        Call("tag_role", {"RoleName": "{id}"}),
        Call("untag_role", {"RoleName": "{id}"}),
        Call("list_role_tags", {"RoleName": "{id}"}, "Tags"),
    ),
    autoname=AutoName(limit=64, prefix_property="namePrefix"),
    after_create=_role_created,
    more=_role_policies,
    after_update=_set_policies,
    before_delete=_before_role_deleted,
)

_ROLE_POLICY_CALL = {"RoleName": "{role}", "PolicyName": "{name}"}
ROLE_POLICY = Row(
    type="aws:iam/rolePolicy:RolePolicy",
    service="iam",
    inputs={
        "name": Input("PolicyName", replaces=True),
        "namePrefix": Input(replaces=True),
        "policy": Input("PolicyDocument", required=True, form=POLICY, back=as_json),
        "role": Input("RoleName", required=True, replaces=True),
    },
    create=Call("put_role_policy"),
    id="{role}:{name}",
    id_parts=("role", "name"),
    read=Call("get_role_policy", _ROLE_POLICY_CALL),
    setters=(Setter("put_role_policy", {"policy": "PolicyDocument"}, _ROLE_POLICY_CALL),),
    delete=Call("delete_role_policy", _ROLE_POLICY_CALL),
    autoname=AutoName(limit=128, prefix_property="namePrefix"),
)


def _read_attachment(cloud: Cloud, _id: str, known: Properties) -> Properties | None:
    role, arn = known["role"], known["policyArn"]
    return {"role": role, "policyArn": arn} if arn in _attached(cloud, role) else None


_ATTACHMENT_CALL = {"RoleName": "{role}", "PolicyArn": "{policyArn}"}
ROLE_POLICY_ATTACHMENT = Row(
    type="aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    service="iam",
    inputs={
        "policyArn": Input("PolicyArn", required=True, replaces=True),
        "role": Input("RoleName", required=True, replaces=True),
    },
    create=Call("attach_role_policy"),
    id="{role}/{policyArn}",
    id_parts=("role", "policyArn"),
    id_separator="/",
    read_with=_read_attachment,
    delete=Call("detach_role_policy", _ATTACHMENT_CALL),
)


def _policy_document(cloud: Cloud, id: str, live: Any, _known: Properties) -> Properties:
    version = cloud.call("iam", "get_policy_version", PolicyArn=id, VersionId=live["DefaultVersionId"])
    return {"policy": as_json(at(version, "PolicyVersion.Document"))}


def _old_versions(cloud: Cloud, id: str) -> list[str]:
    versions = cloud.call("iam", "list_policy_versions", PolicyArn=id)["Versions"]
    ordered = sorted(versions, key=lambda version: version["CreateDate"])
    return [version["VersionId"] for version in ordered if not version["IsDefaultVersion"]]


def _new_policy_version(
    cloud: Cloud, id: str, _olds: Properties, news: Properties, changed: set[str]
) -> None:
    """IAM keeps five versions of a policy, so the oldest makes room."""
    if "policy" not in changed:
        return
    for version in _old_versions(cloud, id)[:-3]:
        cloud.call("iam", "delete_policy_version", PolicyArn=id, VersionId=version)
    cloud.call("iam", "create_policy_version", PolicyArn=id, PolicyDocument=news["policy"], SetAsDefault=True)


def _before_policy_deleted(cloud: Cloud, id: str, _known: Properties) -> None:
    for version in _old_versions(cloud, id):
        cloud.call("iam", "delete_policy_version", PolicyArn=id, VersionId=version)


POLICY_ROW = Row(
    type="aws:iam/policy:Policy",
    service="iam",
    inputs={
        "description": Input("Description", replaces=True),
        "name": Input("PolicyName", replaces=True),
        "namePrefix": Input(replaces=True),
        "path": Input("Path", replaces=True, default="/"),
        "policy": Input("PolicyDocument", live="", required=True, form=POLICY),
    },
    unsimulated=because(NO_EFFECT, "delayAfterPolicyCreationInMs"),
    outputs={"arn": "Arn", "policyId": "PolicyId", "attachmentCount": "AttachmentCount"},
    create=Call("create_policy", result="Policy"),
    id="{Arn}",
    read=Call("get_policy", {"PolicyArn": "{id}"}, "Policy"),
    delete=Call("delete_policy", {"PolicyArn": "{id}"}),
    tags=Tags(
        Call("tag_policy", {"PolicyArn": "{id}"}),
        Call("untag_policy", {"PolicyArn": "{id}"}),
        Call("list_policy_tags", {"PolicyArn": "{id}"}, "Tags"),
    ),
    autoname=AutoName(limit=128, prefix_property="namePrefix"),
    more=_policy_document,
    update_with=_new_policy_version,
    before_delete=_before_policy_deleted,
)


def _with_scheme(url: str) -> str:
    """IAM says the issuer without its scheme, and programs with it."""
    return f"https://{url}"


def _arn_of(_cloud: Cloud, id: str, _live: Any, _known: Properties) -> Properties:
    return {"arn": id}


_OF_ISSUER = {"OpenIDConnectProviderArn": "{id}"}
OPEN_ID_CONNECT_PROVIDER = Row(
    type="aws:iam/openIdConnectProvider:OpenIdConnectProvider",
    service="iam",
    inputs={
        # moto has no way of changing it, so an update's list is taken on trust.
        "clientIdLists": Input("ClientIDList", live="", required=True, form=SET),
        "thumbprintLists": Input("ThumbprintList", computed=True, form=SET),
        "url": Input("Url", required=True, replaces=True, back=_with_scheme),
    },
    more_outputs="arn",
    create=Call("create_open_id_connect_provider"),
    id="{OpenIDConnectProviderArn}",
    read=Call("get_open_id_connect_provider", _OF_ISSUER),
    setters=(
        Setter(
            "update_open_id_connect_provider_thumbprint", {"thumbprintLists": "ThumbprintList"}, _OF_ISSUER
        ),
    ),
    more=_arn_of,
    delete=Call("delete_open_id_connect_provider", _OF_ISSUER),
    tags=Tags(
        Call("tag_open_id_connect_provider", _OF_ISSUER),
        Call("untag_open_id_connect_provider", _OF_ISSUER),
        Call("list_open_id_connect_provider_tags", _OF_ISSUER, "Tags"),
    ),
)

ROWS = (ROLE, ROLE_POLICY, ROLE_POLICY_ATTACHMENT, POLICY_ROW, OPEN_ID_CONNECT_PROVIDER)

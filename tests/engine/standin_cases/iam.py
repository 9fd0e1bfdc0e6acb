"""Cases of the stand-in's iam rows."""

from __future__ import annotations

from agent_infra.local.standins.server import Properties
from tests.engine.standin_cases.case import NEW_TAGS, TAGS, Case, World, allow, trust


def _attachment(world: World) -> Properties:
    policy = world.make("aws:iam/policy:Policy", policy=allow("s3:GetObject"))
    return {"role": world.role()["name"], "policyArn": policy["arn"]}


CASES: dict[str, Case] = {
    "aws:iam/role:Role": Case(
        lambda w: {"assumeRolePolicy": trust(), "description": "d", "maxSessionDuration": 7200, **TAGS},
        {"assumeRolePolicy": trust("pods.eks.amazonaws.com"), "description": "e", **NEW_TAGS},
    ),
    "aws:iam/rolePolicy:RolePolicy": Case(
        lambda w: {"role": w.role()["name"], "policy": allow("s3:GetObject")},
        {"policy": allow(["s3:GetObject", "s3:PutObject"])},
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": Case(_attachment),
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": Case(
        lambda w: {
            "url": "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
            "clientIdLists": ["sts.amazonaws.com"],
            **TAGS,
        },
        {"clientIdLists": ["sts.amazonaws.com", "other"], **NEW_TAGS},
        {"clientIdLists"},
    ),
    "aws:iam/policy:Policy": Case(
        lambda w: {"policy": allow("s3:GetObject"), "description": "d", **TAGS},
        {"policy": allow("s3:PutObject"), **NEW_TAGS},
    ),
}

"""Cases of the stand-in's secretsmanager rows."""

from __future__ import annotations

from tests.engine.standin_cases.case import NEW_TAGS, TAGS, Case, World, allow


def _secret(world: World) -> str:
    return str(world.make("aws:secretsmanager/secret:Secret", recoveryWindowInDays=0)["id"])


def _read_policy(role: str) -> str:
    principal = {"AWS": f"arn:aws:iam::123456789012:role/{role}"}
    return allow("secretsmanager:GetSecretValue", Principal=principal)


CASES: dict[str, Case] = {
    "aws:secretsmanager/secret:Secret": Case(
        lambda w: {"description": "d", "recoveryWindowInDays": 7, **TAGS},
        {"description": "e", **NEW_TAGS},
        {"recoveryWindowInDays"},
    ),
    "aws:secretsmanager/secretVersion:SecretVersion": Case(
        lambda w: {
            "secretId": _secret(w),
            "secretString": '{"password": "x"}',
        },
        stays=True,
    ),
    "aws:secretsmanager/secretPolicy:SecretPolicy": Case(
        lambda w: {"secretArn": _secret(w), "policy": _read_policy("support"), "blockPublicPolicy": True},
        {"policy": _read_policy("research")},
        {"blockPublicPolicy"},
    ),
    "aws:secretsmanager/secretRotation:SecretRotation": Case(
        lambda w: {
            "secretId": _secret(w),
            "rotationLambdaArn": "arn:aws:lambda:eu-west-1:123456789012:function:rotate",
            "rotationRules": {"automaticallyAfterDays": 30},
            "rotateImmediately": False,
        },
        {"rotationRules": {"scheduleExpression": "rate(10 days)", "duration": "3h"}},
    ),
}

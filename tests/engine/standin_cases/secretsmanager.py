"""Cases of the stand-in's secretsmanager rows."""

from __future__ import annotations

from tests.engine.standin_cases.case import NEW_TAGS, TAGS, Case

CASES: dict[str, Case] = {
    "aws:secretsmanager/secret:Secret": Case(
        lambda w: {"description": "d", "recoveryWindowInDays": 7, **TAGS},
        {"description": "e", **NEW_TAGS},
        {"recoveryWindowInDays"},
    ),
    "aws:secretsmanager/secretVersion:SecretVersion": Case(
        lambda w: {
            "secretId": w.make("aws:secretsmanager/secret:Secret", recoveryWindowInDays=0)["id"],
            "secretString": '{"password": "x"}',
        },
        stays=True,
    ),
}

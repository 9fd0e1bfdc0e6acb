"""Cases of the stand-in's lambda rows."""

from __future__ import annotations

from tests.engine.standin_cases.case import Case

CASES: dict[str, Case] = {
    "aws:lambda/permission:Permission": Case(
        lambda w: {
            "action": "lambda:InvokeFunction",
            "function": "arn:aws:lambda:eu-west-1:123456789012:function:rotate",
            "principal": "secretsmanager.amazonaws.com",
            "sourceAccount": "123456789012",
        },
    ),
}

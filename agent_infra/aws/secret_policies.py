"""Who may read a secret: IAM statements, resource policies and key policies as pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import pulumi

from agent_infra.aws import policies
from agent_infra.aws.keys import use_through, via_service
from agent_infra.component import MaybeOutput, shaped

_SERVICE = "secretsmanager"
#: Reading opens a secret's data key, writing makes a new one.
_KEY_USE = ("kms:Decrypt", "kms:GenerateDataKey")

#: Without a star: a policy names whom it means.
RoleArn = Annotated[
    str,
    shaped(
        r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+",
        "a role's ARN such as arn:aws:iam::123456789012:role/support, without a star",
    ),
]


def read_statements(
    arns: Sequence[MaybeOutput[str]], *, key_arns: Sequence[MaybeOutput[str]] = ()
) -> list[dict[str, Any]]:
    """IAM statements that let a role read these secrets, and nothing else.

    Args:
        arns: the secrets', whole and without a star.
        key_arns: the keys of one's own that encrypt them. They may be used through Secrets Manager alone;
            AWS's managed key asks for no permission.
    """
    if not arns:
        return []
    statements: list[dict[str, Any]] = [
        {"Sid": "ReadSecrets", **policies.allow(["secretsmanager:GetSecretValue"], list(arns))}
    ]
    if key_arns:
        keys = pulumi.Output.all(*key_arns).apply(lambda known: sorted(set(known)))
        hosts = keys.apply(lambda known: sorted({via_service(_SERVICE, arn) for arn in known}))
        statements.append(
            {
                "Sid": "KeysOfSecrets",
                **policies.allow(["kms:Decrypt"], keys),
                "Condition": {"StringEquals": {"kms:ViaService": hosts}},
            }
        )
    return statements


def resource_policy(
    *, account: MaybeOutput[str], readers: Sequence[MaybeOutput[str]] = ()
) -> list[dict[str, Any]]:
    """A secret's own policy: never without TLS, nobody of another account but the readers.

    Inside the account IAM decides who reads; AWS' own services, such as the one that replicates, are let be.
    """
    accounts = pulumi.Output.all(account, *readers).apply(
        lambda known: sorted({known[0], *(account_of(arn) for arn in known[1:])})
    )
    statements: list[dict[str, Any]] = [
        policies.deny_plain_http("secretsmanager:*", "*"),
        {
            "Sid": "DenyOtherAccounts",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "secretsmanager:*",
            "Resource": "*",
            "Condition": {
                "StringNotEquals": {"aws:PrincipalAccount": accounts},
                "Bool": {"aws:PrincipalIsAWSService": "false"},
            },
        },
    ]
    if readers:
        statements.append(
            {
                "Sid": "Readers",
                "Effect": "Allow",
                "Principal": {"AWS": list(readers)},
                "Action": ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"],
                "Resource": "*",
            }
        )
    return statements


def key_statements(
    *, root: MaybeOutput[str], region: MaybeOutput[str], readers: Sequence[MaybeOutput[str]] = ()
) -> list[dict[str, Any]]:
    """A key policy's statements: the account's IAM policies and the readers may use it for secrets alone."""
    statements = [
        use_through(_SERVICE, principals=[root], actions=_KEY_USE, region=region, sid="SecretsOfThisAccount")
    ]
    if readers:
        statements.append(
            use_through(_SERVICE, principals=readers, actions=["kms:Decrypt"], region=region, sid="Readers")
        )
    return statements


def account_of(arn: str) -> str:
    """The account that an ARN is of."""
    return arn.split(":")[4]

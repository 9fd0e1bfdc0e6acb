"""The shapes of ARNs that arguments take."""

from __future__ import annotations

from typing import Annotated

from agent_infra.component import MaybeOutput, shaped
from agent_infra.outputs import computed

#: AWS takes aliases as well, but an IAM statement that lets a client decrypt needs the key's own ARN.
KmsKeyArn = Annotated[
    str,
    shaped(
        r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+",
        "a key's ARN such as arn:aws:kms:eu-central-1:123456789012:key/1234abcd-..., not an alias",
    ),
]
OidcProviderArn = Annotated[
    str,
    shaped(
        r"arn:aws[a-z-]*:iam::\d{12}:oidc-provider/[^*?\s]+",
        "an IAM OIDC provider's ARN such as "
        "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLE",
    ),
]
ClusterArn = Annotated[
    str,
    shaped(
        r"arn:aws[a-z-]*:eks:[a-z0-9-]+:\d{12}:cluster/[A-Za-z0-9_-]+",
        "an EKS cluster's ARN such as arn:aws:eks:eu-central-1:123456789012:cluster/agents",
    ),
]


def part_of_arn(arn: MaybeOutput[str], index: int) -> MaybeOutput[str]:
    """`arn:<1: partition>:<2: service>:<3: region>:<4: account>:<5: what it is>`."""
    return computed(arn, lambda known: str(known).split(":")[index])

"""Who outside a queue's account may send to it, as statements of the queue's policy."""

from __future__ import annotations

from typing import Annotated, Any, Self

import pulumi
from pydantic import model_validator

from agent_infra.component import Args, MaybeOutput, shaped

Account = Annotated[str, shaped(r"\d{12}", "an AWS account's 12 digits, such as '123456789012'")]
ServiceName = Annotated[
    str, shaped(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.amazonaws\.com(\.cn)?", "a service such as sns.amazonaws.com")
]
#: A sender is one role or user, or one account; a star would let everybody send.
PrincipalArn = Annotated[
    str,
    shaped(
        r"arn:aws[a-z-]*:(iam|sts)::\d{12}:(root|(role|user|assumed-role)/[\w+=,.@/-]+)",
        "a role's or user's ARN such as arn:aws:iam::123456789012:role/sender, without a star",
    ),
]
SourceArn = Annotated[
    str, shaped(r"arn:[^*?\s]+", "the ARN of the one topic, rule or bucket that sends, without a star")
]


class QueueSender(Args):
    """One sender outside the queue's account: a role, or an AWS service on behalf of one resource.

    It may send and nothing else. Where the queue has a KMS key, the key's policy has to let it use
    the key as well.
    """

    principal_arn: MaybeOutput[PrincipalArn] | None = None
    """A role or user, best of all; an account's `...:root` lets that account hand the right on."""
    service: ServiceName | None = None
    """Such as sns.amazonaws.com, events.amazonaws.com or s3.amazonaws.com."""
    source_arn: MaybeOutput[SourceArn] | None = None
    """With `service`: the one resource on whose behalf it sends. Without it everybody's topics could."""
    source_account: Account | None = None
    """With `service`: the account of that resource; needed where its ARN has none, as a bucket's."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.principal_arn is None) == (self.service is None):
            raise ValueError(
                "a sender is a `principal_arn` (a role or user) or a `service` with its `source_arn`: say one"
            )
        if self.service is not None and self.source_arn is None:
            raise ValueError(
                f"service {self.service!r} without `source_arn` would send for anybody: say the ARN of the "
                "topic, rule or bucket that it sends for"
            )
        if self.principal_arn is not None and (self.source_arn or self.source_account):
            raise ValueError(
                "`source_arn` and `source_account` go with `service`: leave them out for a role or user"
            )
        if self.service == "s3.amazonaws.com" and self.source_account is None:
            raise ValueError(
                "a bucket's ARN does not say whose it is: say `source_account`, or whoever takes over a "
                "deleted bucket's name could send"
            )
        return self


def statement(sender: QueueSender, queue_arn: pulumi.Output[str], *, number: int) -> dict[str, Any]:
    """The queue policy's statement that lets a sender send."""
    principal: dict[str, Any] = (
        {"AWS": sender.principal_arn} if sender.service is None else {"Service": sender.service}
    )
    conditions: dict[str, Any] = {}
    if sender.source_arn is not None:
        conditions["ArnEquals"] = {"aws:SourceArn": sender.source_arn}
    if sender.source_account is not None:
        conditions["StringEquals"] = {"aws:SourceAccount": sender.source_account}
    return {
        "Sid": f"Sender{number}",
        "Effect": "Allow",
        "Principal": principal,
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        **({"Condition": conditions} if conditions else {}),
    }

"""SQS: queues and what hangs on them."""

from __future__ import annotations

from typing import Any

from agent_infra.local.standins.aws.cloud import Cloud
from agent_infra.local.standins.aws.table import MOTO_DROPS, AutoName, Call, Input, Row, Setter, Tags
from agent_infra.local.standins.aws.values import JSON, POLICY
from agent_infra.local.standins.server import Properties


def _flag(value: Any) -> str | None:
    return "true" if value is True else None


def _set_flag(value: Any) -> str:
    return "true" if value is True else "false"


def _is_true(value: Any) -> bool:
    return str(value).lower() == "true"


def _number(attribute: str, default: int) -> Input:
    return Input(f"Attributes.{attribute}", live=attribute, default=default, to=str, back=int)


def _text(attribute: str, form: str) -> Input:
    return Input(f"Attributes.{attribute}", live=attribute, computed=True, form=form, reset="")


_SETTABLE = {
    "contentBasedDeduplication": "ContentBasedDeduplication",
    "deduplicationScope": "DeduplicationScope",
    "delaySeconds": "DelaySeconds",
    "fifoThroughputLimit": "FifoThroughputLimit",
    "kmsDataKeyReusePeriodSeconds": "KmsDataKeyReusePeriodSeconds",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "maxMessageSize": "MaximumMessageSize",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "policy": "Policy",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "redrivePolicy": "RedrivePolicy",
    "sqsManagedSseEnabled": "SqsManagedSseEnabled",
    "visibilityTimeoutSeconds": "VisibilityTimeout",
}


def _checked(inputs: Properties) -> list[tuple[str, str]]:
    name, fifo = inputs.get("name"), inputs.get("fifoQueue") is True
    if isinstance(name, str) and name.endswith(".fifo") != fifo:
        ending = "must end in .fifo" if fifo else "may not end in .fifo unless fifoQueue is true"
        return [("name", f"{name!r}: the name of this queue {ending}.")]
    return []


def _queue_name(_cloud: Cloud, id: str, live: Any, _known: Properties) -> Properties:
    return {"name": id.rsplit("/", 1)[-1], "url": id, "fifoQueue": _is_true(live.get("FifoQueue"))}


QUEUE = Row(
    type="aws:sqs/queue:Queue",
    service="sqs",
    inputs={
        "contentBasedDeduplication": Input(
            "Attributes.ContentBasedDeduplication", live="ContentBasedDeduplication",
            default=False, to=_flag, back=_is_true,
        ),
        "deduplicationScope": Input(
            "Attributes.DeduplicationScope", live="DeduplicationScope", computed=True
        ),
        "delaySeconds": _number("DelaySeconds", 0),
        "fifoQueue": Input("Attributes.FifoQueue", live="", replaces=True, default=False, to=_flag),
        "fifoThroughputLimit": Input(
            "Attributes.FifoThroughputLimit", live="FifoThroughputLimit", computed=True
        ),
        "kmsDataKeyReusePeriodSeconds": Input(
            "Attributes.KmsDataKeyReusePeriodSeconds", live="KmsDataKeyReusePeriodSeconds",
            computed=True, to=str, back=int,
        ),
        "kmsMasterKeyId": Input("Attributes.KmsMasterKeyId", live="KmsMasterKeyId", reset=""),
        "maxMessageSize": _number("MaximumMessageSize", 262144),
        "messageRetentionSeconds": _number("MessageRetentionPeriod", 345600),
        "name": Input("QueueName", live="", replaces=True),
        "namePrefix": Input(replaces=True),
        "policy": _text("Policy", POLICY),
        "receiveWaitTimeSeconds": _number("ReceiveMessageWaitTimeSeconds", 0),
        "redrivePolicy": _text("RedrivePolicy", JSON),
        "sqsManagedSseEnabled": Input(
            "Attributes.SqsManagedSseEnabled", live="SqsManagedSseEnabled",
            computed=True, to=_set_flag, back=_is_true,
        ),
        "visibilityTimeoutSeconds": _number("VisibilityTimeout", 30),
    },
    unsimulated={"redriveAllowPolicy": MOTO_DROPS},
    outputs={"arn": "QueueArn"},
    more_outputs="url",
    create=Call("create_queue"),
    id="{QueueUrl}",
    read=Call("get_queue_attributes", {"QueueUrl": "{id}", "AttributeNames": ["All"]}, "Attributes"),
    setters=(
        Setter(
            "set_queue_attributes",
            {name: f"Attributes.{attribute}" for name, attribute in _SETTABLE.items()},
            {"QueueUrl": "{id}"},
        ),
    ),
    delete=Call("delete_queue", {"QueueUrl": "{id}"}),
    tags=Tags(
        Call("tag_queue", {"QueueUrl": "{id}"}),
        Call("untag_queue", {"QueueUrl": "{id}"}),
        Call("list_queue_tags", {"QueueUrl": "{id}"}, "Tags"),
        as_map=True,
    ),
    autoname=AutoName(limit=80, prefix_property="namePrefix"),
    prepare=_checked,
    more=_queue_name,
)  # fmt: skip


def _attribute_row(type: str, property: str, attribute: str, form: str) -> Row:
    """A resource that is one attribute of a queue."""
    settings = {"QueueUrl": "{id}"}
    return Row(
        type=type,
        service="sqs",
        inputs={
            "queueUrl": Input("QueueUrl", live="", required=True, replaces=True),
            property: Input(f"Attributes.{attribute}", live=attribute, required=True, form=form),
        },
        create=Call("set_queue_attributes"),
        id="{queueUrl}",
        id_parts=("queueUrl",),
        id_separator="\n",
        read=Call("get_queue_attributes", {**settings, "AttributeNames": ["All"]}, "Attributes"),
        exists_by=property,
        setters=(Setter("set_queue_attributes", {property: f"Attributes.{attribute}"}, settings),),
        delete=Call("set_queue_attributes", {**settings, "Attributes": {attribute: ""}}),
    )


QUEUE_POLICY = _attribute_row("aws:sqs/queuePolicy:QueuePolicy", "policy", "Policy", POLICY)
REDRIVE_POLICY = _attribute_row("aws:sqs/redrivePolicy:RedrivePolicy", "redrivePolicy", "RedrivePolicy", JSON)
REDRIVE_ALLOW_POLICY = Row(
    type="aws:sqs/redriveAllowPolicy:RedriveAllowPolicy",
    service="sqs",
    recorded="moto lets every queue use any dead-letter queue: it is recorded",
    inputs={
        "queueUrl": Input(required=True, replaces=True),
        "redriveAllowPolicy": Input(required=True, form=JSON),
    },
    id="{queueUrl}",
)

ROWS = (QUEUE, QUEUE_POLICY, REDRIVE_POLICY, REDRIVE_ALLOW_POLICY)

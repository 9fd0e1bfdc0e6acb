"""SQS' actions over queues in memory: what each takes, checks and answers."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64decode
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from tests.app.faults import Faults
from tests.app.sqs_errors import SqsError, invalid, no_such_queue, prefixed
from tests.app.sqs_queue import ACCOUNT, DEFAULTS, LONGEST_VISIBILITY, Message, Queue

_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
_UNSENDABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SETTABLE = frozenset(DEFAULTS) | {"RedrivePolicy", "RedriveAllowPolicy", "Policy", "KmsMasterKeyId"}
_READABLE = _SETTABLE | {
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
    "All",
}


Body = dict[str, Any]


class Actions:
    """All queues of one account and region, by SQS' actions.

    Args:
        faults: asked for `duplicate`s of what is delivered.
        region: of the queues' ARNs.
    """

    def __init__(self, faults: Faults, region: str) -> None:
        self.queues: dict[str, Queue] = {}
        self.duplicates = 0
        self._faults = faults
        self._region = region
        self._host = ""
        self._handlers: dict[str, Callable[[Body], Body] | Callable[[Body], Awaitable[Body]]] = {
            "CreateQueue": self._create_queue,
            "DeleteQueue": self._delete_queue,
            "ListQueues": self._list_queues,
            "GetQueueUrl": self._get_queue_url,
            "GetQueueAttributes": self._get_queue_attributes,
            "SetQueueAttributes": self._set_queue_attributes,
            "PurgeQueue": self._purge_queue,
            "SendMessage": self._send_message,
            "SendMessageBatch": self._send_message_batch,
            "ReceiveMessage": self._receive_message,
            "DeleteMessage": self._delete_message,
            "DeleteMessageBatch": self._delete_message_batch,
            "ChangeMessageVisibility": self._change_message_visibility,
            "ChangeMessageVisibilityBatch": self._change_message_visibility_batch,
        }

    async def do(self, action: str, body: Body, host: str) -> Body:
        """The answer to one request; `host` is where its queues' URLs point.

        Raises:
            SqsError: as SQS would answer.
            ValueError, KeyError, TypeError, AttributeError: the request is not of the action's form.
        """
        self._host = host
        answer = self.handler(action)(body)
        return answer if isinstance(answer, dict) else await answer

    def handler(self, action: str) -> Callable[[Body], Body] | Callable[[Body], Awaitable[Body]]:
        if (handler := self._handlers.get(action)) is None:
            raise SqsError("UnknownOperationException", f"{action or 'the target'} is not known")
        return handler

    def queue(self, name: str) -> Queue:
        """The queue of that name, made where it is not there."""
        if name not in self.queues:
            self.queues[name] = Queue(name, self._region, dict(DEFAULTS))
        return self.queues[name]

    def _queue(self, body: Body) -> Queue:
        try:
            return self.queues[body["QueueUrl"].rpartition("/")[2]]
        except KeyError:
            raise no_such_queue() from None

    def _url(self, queue: Queue) -> str:
        return f"http://{self._host}/{ACCOUNT}/{queue.name}"

    def _create_queue(self, body: Body) -> Body:
        name, attributes = body["QueueName"], self._checked(body.get("Attributes") or {})
        if not _NAME.fullmatch(name):
            raise invalid(
                "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
            )
        queue = self.queues.get(name)
        if queue is None:
            queue = self.queues[name] = Queue(name, self._region, {**DEFAULTS, **attributes})
        elif any(queue.attributes.get(key) != value for key, value in attributes.items()):
            message = "The specified queue already exists."
            raise SqsError("QueueNameExists", message, code="QueueAlreadyExists")
        return {"QueueUrl": self._url(queue)}

    def _delete_queue(self, body: Body) -> Body:
        del self.queues[self._queue(body).name]
        return {}

    def _list_queues(self, body: Body) -> Body:
        prefix = body.get("QueueNamePrefix") or ""
        return {
            "QueueUrls": [self._url(queue) for name, queue in self.queues.items() if name.startswith(prefix)]
        }

    def _get_queue_url(self, body: Body) -> Body:
        if (queue := self.queues.get(body["QueueName"])) is None:
            raise no_such_queue()
        return {"QueueUrl": self._url(queue)}

    def _get_queue_attributes(self, body: Body) -> Body:
        queue, names = self._queue(body), body.get("AttributeNames") or []
        for name in names:
            if name not in _READABLE:
                raise SqsError("InvalidAttributeName", f"Unknown Attribute {name}.")
        described = queue.described()
        chosen = {name: value for name, value in described.items() if name in names or "All" in names}
        return {"Attributes": chosen} if chosen else {}

    def _set_queue_attributes(self, body: Body) -> Body:
        self._queue(body).attributes |= self._checked(body["Attributes"])
        return {}

    def _purge_queue(self, body: Body) -> Body:
        self._queue(body).purge()
        return {}

    def _checked(self, attributes: dict[str, str]) -> dict[str, str]:
        for name, value in attributes.items():
            if name not in _SETTABLE:
                raise SqsError("InvalidAttributeName", f"Unknown Attribute {name}.")
            if name == "VisibilityTimeout" and not 0 <= int(value) <= LONGEST_VISIBILITY:
                raise SqsError("InvalidAttributeValue", f"Invalid value for the parameter {name}.")
            if name == "RedrivePolicy" and value:
                self._dead_letters(json.loads(value)["deadLetterTargetArn"])
        return attributes

    def _dead_letters(self, arn: str) -> Queue:
        if (queue := self.queues.get(arn.rpartition(":")[2])) is None:
            raise no_such_queue(f"Could not find DLQ for {arn}")
        return queue

    def _send_message(self, body: Body) -> Body:
        queue = self._queue(body)
        text, attributes = body["MessageBody"], body.get("MessageAttributes") or {}
        delay = body.get("DelaySeconds")
        if not text:
            raise SqsError("MissingParameter", "The request must contain the parameter MessageBody.")
        if _UNSENDABLE.search(text):
            raise SqsError("InvalidMessageContents", "The message holds characters that are not allowed.")
        if len(text.encode()) > (most := int(queue.attributes["MaximumMessageSize"])):
            raise invalid(
                f"One or more parameters are invalid. Reason: Message must be shorter than {most} bytes."
            )
        if delay is not None and not 0 <= delay <= 900:
            raise invalid(
                f"Value {delay} for parameter DelaySeconds is invalid. "
                "Reason: DelaySeconds must be >= 0 and <= 900."
            )
        answer = {} if not attributes else {"MD5OfMessageAttributes": attributes_md5(attributes)}
        sent = queue.send(text, attributes, int(queue.attributes["DelaySeconds"]) if delay is None else delay)
        return {"MessageId": sent.id, "MD5OfMessageBody": sent.md5, **answer}

    async def _receive_message(self, body: Body) -> Body:
        queue = self._queue(body)
        limit = body.get("MaxNumberOfMessages") or 1
        wait = body.get("WaitTimeSeconds")
        wait = int(queue.attributes["ReceiveMessageWaitTimeSeconds"]) if wait is None else wait
        hidden = body.get("VisibilityTimeout")
        hidden = int(queue.attributes["VisibilityTimeout"]) if hidden is None else hidden
        if not 1 <= limit <= 10:
            raise invalid(f"Value {limit} for parameter MaxNumberOfMessages is invalid: 1 to 10 are allowed.")
        if not 0 <= wait <= 20:
            raise invalid(f"Value {wait} for parameter WaitTimeSeconds is invalid: 0 to 20 are allowed.")
        _check_visibility(hidden)
        redrive = queue.redrive
        dead_letters = self._dead_letters(redrive[0]) if redrive else None
        messages = await queue.receive(limit, hidden, wait, dead_letters)
        # Told before duplicates are added: with a visibility of 0 a count may change at once.
        told = [_told(queue, message, body) for message in messages]
        if self._faults.rules:
            for message in messages:
                if rule := self._faults.pick(f"ReceiveMessage {queue.name}", {"duplicate"}):
                    self.duplicates += 1
                    queue.duplicate(message, rule.seconds or 0)
        return {"Messages": told} if told else {}

    def _delete_message(self, body: Body) -> Body:
        self._queue(body).delete(body["ReceiptHandle"])
        return {}

    def _change_message_visibility(self, body: Body) -> Body:
        queue, seconds = self._queue(body), body["VisibilityTimeout"]
        _check_visibility(seconds)
        queue.change_visibility(body["ReceiptHandle"], seconds)
        return {}

    def _send_message_batch(self, body: Body) -> Body:
        return self._batch(body, "SendMessageBatch", self._send_message)

    def _delete_message_batch(self, body: Body) -> Body:
        return self._batch(body, "DeleteMessageBatch", self._delete_message)

    def _change_message_visibility_batch(self, body: Body) -> Body:
        return self._batch(body, "ChangeMessageVisibilityBatch", self._change_message_visibility)

    def _batch(self, body: Body, action: str, one: Callable[[Body], Body]) -> Body:
        self._queue(body)
        entries = body["Entries"]
        _check_entries(action, [entry["Id"] for entry in entries])
        successful, failed = [], []
        for entry in entries:
            try:
                answer = one({**entry, "QueueUrl": body["QueueUrl"]})
            except SqsError as error:
                told = {"SenderFault": True, "Code": error.code, "Message": error.message}
                failed.append({"Id": entry["Id"], **told})
            else:
                successful.append({"Id": entry["Id"], **answer})
        return {"Successful": successful, "Failed": failed}


def _check_entries(action: str, ids: list[str]) -> None:
    if not ids:
        message = f"There should be at least one {action}RequestEntry in the request."
        raise prefixed("EmptyBatchRequest", message)
    if len(ids) > 10:
        message = f"Maximum number of entries per request are 10. You have sent {len(ids)}."
        raise prefixed("TooManyEntriesInBatchRequest", message)
    for id, count in Counter(ids).items():
        if count > 1:
            raise prefixed("BatchEntryIdsNotDistinct", f"Id {id} repeated.")
        if not _NAME.fullmatch(id):
            message = (
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
                "It can be at most 80 letters long."
            )
            raise prefixed("InvalidBatchEntryId", message)


def _check_visibility(seconds: int) -> None:
    if not 0 <= seconds <= LONGEST_VISIBILITY:
        raise invalid(f"Invalid request, maximum visibility timeout is {LONGEST_VISIBILITY}")


def _told(queue: Queue, message: Message, body: Body) -> Body:
    told: Body = {
        "MessageId": message.id,
        "ReceiptHandle": queue.receipt(message),
        "MD5OfBody": message.md5,
        "Body": message.body,
    }
    names = {*(body.get("MessageSystemAttributeNames") or ()), *(body.get("AttributeNames") or ())}
    if names:
        system = {
            "SenderId": "AIDAIT2UOQQY3AUEKVGXU",
            "SentTimestamp": str(message.sent_ms),
            "ApproximateReceiveCount": str(message.count),
            "ApproximateFirstReceiveTimestamp": str(message.first_received_ms),
        }
        if message.source_arn:
            system["DeadLetterQueueSourceArn"] = message.source_arn
        told["Attributes"] = {key: value for key, value in system.items() if key in names or "All" in names}
    wanted = body.get("MessageAttributeNames") or ()
    if attributes := {key: value for key, value in message.attributes.items() if _is_wanted(key, wanted)}:
        told["MessageAttributes"] = attributes
        told["MD5OfMessageAttributes"] = attributes_md5(attributes)
    return told


def _is_wanted(name: str, wanted: Iterable[str]) -> bool:
    return any(
        pattern in {"All", ".*", name} or (pattern.endswith(".*") and name.startswith(pattern[:-2]))
        for pattern in wanted
    )


def attributes_md5(attributes: dict[str, dict[str, Any]]) -> str:
    """The MD5 of message attributes as SQS computes it: lengths and values, by name."""

    def sized(value: bytes) -> bytes:
        return len(value).to_bytes(4, "big") + value

    digest = hashlib.md5(usedforsecurity=False)
    for name, value in sorted(attributes.items()):
        digest.update(sized(name.encode()) + sized(value["DataType"].encode()))
        if value["DataType"].startswith("Binary"):
            digest.update(b"\x02" + sized(b64decode(value["BinaryValue"])))
        else:
            digest.update(b"\x01" + sized(value["StringValue"].encode()))
    return digest.hexdigest()

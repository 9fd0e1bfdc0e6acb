"""How dead letters get back into their queue: by SQS itself, or in batches that lose nothing."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agent_infra.automation.errors import AutomationError

#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html
LONGEST_RATE = 500
_BATCH = 10
#: SQS took this much in a batch before it took 1 MiB; not every region's copy is as new.
_BATCH_BYTES = 262_144
#: For how long a dead letter is hidden while it is moved; where that fails it appears again then.
_HIDDEN_SECONDS = 120
_POLL_SECONDS = 2.0
#: A long poll asks all of SQS' servers; a short one may miss messages.
_WAIT_SECONDS = 1


@dataclass(frozen=True)
class Redrive:
    """What became of a fleet's dead letters."""

    fleet: str
    found: int
    """How many there were."""
    moved: int
    dry_run: bool = False

    def as_json(self) -> dict[str, Any]:
        return {"kind": "redrive", **asdict(self)}


def by_sqs(
    sqs: Any, *, source: str, destination: str, rate: int | None, on_progress: Callable[[int], None]
) -> int:
    """Has SQS move all dead letters, and waits for the end; stopped, SQS goes on.

    Raises:
        AutomationError: another move goes on, or SQS gave up.
    """
    before = _latest(sqs, source)
    if before.get("Status") in {"RUNNING", "CANCELLING"}:
        raise AutomationError(
            "SQS is already moving these dead letters: wait for it, or cancel it "
            f"(`aws sqs list-message-move-tasks --source-arn {source}`)."
        )
    limited = {} if rate is None else {"MaxNumberOfMessagesPerSecond": rate}
    sqs.start_message_move_task(SourceArn=source, DestinationArn=destination, **limited)
    while True:
        task = _latest(sqs, source)
        if task and task.get("StartedTimestamp") == before.get("StartedTimestamp"):
            # SQS still tells of the move before this one.
            time.sleep(_POLL_SECONDS)
            continue
        moved = int(task.get("ApproximateNumberOfMessagesMoved") or 0)
        on_progress(moved)
        status = task.get("Status")
        if status == "COMPLETED":
            return moved
        if status not in {"RUNNING", None}:
            reason = task.get("FailureReason") or "no reason given"
            raise AutomationError(
                f"SQS stopped after {moved} messages ({status}: {reason}); the others are still dead "
                "letters. Mend that and run it again."
            )
        time.sleep(_POLL_SECONDS)


def _latest(sqs: Any, source: str) -> Mapping[str, Any]:
    results = sqs.list_message_move_tasks(SourceArn=source, MaxResults=1).get("Results") or [{}]
    latest: Mapping[str, Any] = results[0]
    return latest


def in_batches(
    sqs: Any,
    *,
    source: str,
    destination: str,
    count: int,
    rate: int | None,
    on_progress: Callable[[int], None],
) -> int:
    """Moves up to `count` dead letters: each is sent before it is deleted.

    Raises:
        AutomationError: the queue did not take a message, or one that was sent could not be deleted.
    """
    moved, started = 0, time.monotonic()
    while moved < count:
        wanted = min(count - moved, rate or _BATCH)
        messages = receive(sqs, source, count=wanted, hidden_seconds=_HIDDEN_SECONDS)
        if not messages:
            break
        for number, batch in enumerate(batches := list(_batches(messages))):
            sent, problem = _send(sqs, destination, batch, fifo=destination.endswith(".fifo"))
            left = _delete(sqs, source, sent)
            moved += len(sent)
            on_progress(moved)
            if problem or left:
                others = [item for later in batches[number + 1 :] for item in later]
                release(sqs, source, [*(item for item in batch if item not in sent), *others])
                raise AutomationError(_stopped(moved, problem, left))
        if rate is not None:
            time.sleep(max(0.0, moved / rate - (time.monotonic() - started)))
    return moved


def _stopped(moved: int, problem: str | None, left: int) -> str:
    said = f"Stopped after {moved} messages: "
    if problem:
        said += f"the queue did not take one ({problem}); it and the others are still dead letters. "
    if left:
        said += f"{left} of them could not be deleted from the dead letters, so they are in both. "
    return said + "Mend that and run it again."


def receive(sqs: Any, url: str, *, count: int, hidden_seconds: int) -> list[dict[str, Any]]:
    """Up to ten messages, asked of all of SQS' servers."""
    answer = sqs.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=max(1, min(count, _BATCH)),
        WaitTimeSeconds=_WAIT_SECONDS,
        VisibilityTimeout=hidden_seconds,
        MessageAttributeNames=["All"],
        MessageSystemAttributeNames=["All"],
    )
    messages: list[dict[str, Any]] = answer.get("Messages") or []
    return messages


def release(sqs: Any, url: str, messages: Sequence[Mapping[str, Any]]) -> None:
    """Shows messages again at once."""
    for start in range(0, len(messages), _BATCH):
        entries = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
            for number, message in enumerate(messages[start : start + _BATCH])
        ]
        sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)


def _batches(messages: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The messages in their order, no batch larger than SQS takes unless it is a single message."""
    batch: list[dict[str, Any]] = []
    size = 0
    for message in messages:
        more = _size(message)
        if batch and size + more > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += more
    if batch:
        yield batch


def _size(message: Mapping[str, Any]) -> int:
    attributes = message.get("MessageAttributes") or {}
    return len(str(message.get("Body", "")).encode()) + sum(
        len(name.encode())
        + len(str(value.get("DataType", "")))
        + len(str(value.get("StringValue", "")).encode())
        + len(value.get("BinaryValue", b""))
        for name, value in attributes.items()
    )


def _send(
    sqs: Any, url: str, batch: Sequence[dict[str, Any]], *, fifo: bool
) -> tuple[list[dict[str, Any]], str | None]:
    """What the queue took, and why it did not take the rest."""
    entries = [_entry(message, id=str(number), fifo=fifo) for number, message in enumerate(batch)]
    answer = sqs.send_message_batch(QueueUrl=url, Entries=entries)
    failed = answer.get("Failed") or []
    problem = f"{failed[0].get('Code')}: {failed[0].get('Message', '')}" if failed else None
    sent = [batch[int(done["Id"])] for done in answer.get("Successful") or []]
    if len(sent) < len(batch) and problem is None:
        problem = "SQS did not say why"
    return sent, problem


def _entry(message: Mapping[str, Any], *, id: str, fifo: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"Id": id, "MessageBody": message["Body"]}
    attributes = {
        name: {key: item for key, item in value.items() if key in {"DataType", "StringValue", "BinaryValue"}}
        for name, value in (message.get("MessageAttributes") or {}).items()
    }
    if attributes:
        entry["MessageAttributes"] = attributes
    system = message.get("Attributes") or {}
    if trace := system.get("AWSTraceHeader"):
        entry["MessageSystemAttributes"] = {"AWSTraceHeader": {"DataType": "String", "StringValue": trace}}
    if fifo:
        entry["MessageGroupId"] = system["MessageGroupId"]
        # Never its old one: SQS drops what it saw within five minutes, and the dead letter is deleted next.
        entry["MessageDeduplicationId"] = str(uuid.uuid4())
    return entry


def _delete(sqs: Any, url: str, messages: Sequence[Mapping[str, Any]]) -> int:
    """Deletes what was sent; how many could not be."""
    if not messages:
        return 0
    entries = [
        {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
        for number, message in enumerate(messages)
    ]
    answer = sqs.delete_message_batch(QueueUrl=url, Entries=entries)
    return len(answer.get("Failed") or [])

"""What a queue and its dead-letter queue are called in AWS; pure functions."""

from __future__ import annotations

import hashlib
import re

#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html
NAME_LIMIT = 80
DEAD_LETTERS = "-dead-letters"
FIFO = ".fifo"
#: A dash and seven digits, which Pulumi puts behind a name of its own making.
_AUTONAMED = 8
_HASH = 8


def longest_stem(*, fifo: bool, autonamed: bool = False) -> int:
    """The longest name that leaves room for all that is put behind it."""
    return NAME_LIMIT - len(DEAD_LETTERS) - (len(FIFO) if fifo else 0) - (_AUTONAMED if autonamed else 0)


def check_stem(stem: str, *, fifo: bool) -> None:
    """Checks a name that the user chose for the queue.

    Raises:
        ValueError: SQS would refuse it, or the dead-letter queue's that is made of it.
    """
    if stem.endswith(FIFO):
        raise ValueError(
            f"queue_name {stem!r} ends in {FIFO}: leave that out, it is added where `fifo` is said"
        )
    limit = longest_stem(fifo=fifo)
    if not re.fullmatch(rf"[A-Za-z0-9_-]{{1,{limit}}}", stem):
        suffixes = f"{DEAD_LETTERS}{FIFO if fifo else ''}"
        raise ValueError(
            f"queue_name {stem!r} has {len(stem)} characters: say 1 to {limit} letters, digits, dashes and "
            f"underscores (SQS allows {NAME_LIMIT}, and {suffixes} is put behind it)"
        )


def check_component(name: str) -> None:
    """Checks a component's name, of which Pulumi makes the queues' names.

    Raises:
        ValueError: the dead-letter queue's name would be too long, or has a character that SQS refuses.
    """
    limit = longest_stem(fifo=False, autonamed=True)
    if not re.fullmatch(rf"[A-Za-z0-9_-]{{1,{limit}}}", name):
        raise ValueError(
            f"{name!r} has {len(name)} characters and cannot name a queue and its dead-letter queue: "
            f"call it by up to {limit} letters, digits, dashes and underscores, or say `queue_name`"
        )


def fifo_stem(name: str, stack: str) -> str:
    """A FIFO queue's name without its endings: the component's and the stack's, shortened where it must be.

    SQS wants it to end in `.fifo`, so it is not left to Pulumi, which puts endings of its own behind names.
    """
    whole = re.sub(r"[^A-Za-z0-9_-]", "-", f"{name}-{stack}")
    limit = longest_stem(fifo=True)
    if len(whole) <= limit and whole == f"{name}-{stack}":
        return whole
    digest = hashlib.sha256(f"{name}\n{stack}".encode()).hexdigest()[:_HASH]
    return f"{whole[: limit - _HASH - 1]}-{digest}"


def queue_names(stem: str, *, fifo: bool) -> tuple[str, str]:
    """The queue's and the dead-letter queue's name in AWS."""
    ending = FIFO if fifo else ""
    return f"{stem}{ending}", f"{stem}{DEAD_LETTERS}{ending}"

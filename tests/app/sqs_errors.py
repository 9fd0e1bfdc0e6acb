"""The errors that SQS answers with."""

from __future__ import annotations


class SqsError(Exception):
    """What SQS answers: its shape's name, and the code of the older protocol, which botocore shows."""

    def __init__(self, name: str, message: str, *, code: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.name = name
        self.message = message
        self.code = code or name
        self.status = status


def no_such_queue(message: str = "The specified queue does not exist.") -> SqsError:
    return SqsError("QueueDoesNotExist", message, code="AWS.SimpleQueueService.NonExistentQueue")


def no_such_receipt() -> SqsError:
    return SqsError("ReceiptHandleIsInvalid", "The input receipt handle is invalid.")


def invalid(message: str) -> SqsError:
    return SqsError("InvalidParameterValue", message)


def prefixed(name: str, message: str) -> SqsError:
    """One whose code in the older protocol has a prefix."""
    return SqsError(name, message, code=f"AWS.SimpleQueueService.{name}")

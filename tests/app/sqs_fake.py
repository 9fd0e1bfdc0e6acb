"""A fast SQS for load and faults: standard queues, in the JSON protocol that the AWS SDKs speak.

`python -m tests.app.sqs_fake --port N` serves it and prints its port; `SqsFake().running()` does so within a
loop. The service is pointed at it by `AWS_ENDPOINT_URL_SQS`, with moto for the rest. Unlike SQS, a queue may
be purged again within 60 s. FIFO queues, tags and permissions are not known.

- `POST /__faults` `{"rules": [...]}`: what goes wrong (see `faults.Rule` and `KINDS`); `match` is a part of
  `<action> <queue>`, such as `SendMessage ` or `DeleteMessageBatch tasks`.
- `GET /__stats`: counts by queue and action; `DELETE` sets them to zero.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import AbstractAsyncContextManager
from typing import Any

from aiohttp import web

from tests.app import serving
from tests.app.faults import Faults
from tests.app.serving import json_response
from tests.app.sqs_actions import Actions, Body
from tests.app.sqs_errors import SqsError
from tests.app.sqs_queue import Queue

KINDS = frozenset({"status", "throttle", "duplicate", "lost", "delay", "refuse"})
"""What can go wrong.

- status: nothing is done, and `status` is answered
- throttle: nothing is done; SQS' own RequestThrottled
- refuse: nothing is done, and the connection is closed
- lost: the action is done, and the connection closed before the answer
- delay: all comes `seconds` later
- duplicate: each message drawn of those received comes once more, `seconds` later (at once by default)
"""
_BEFORE = frozenset({"status", "throttle", "refuse", "delay", "lost"})


class SqsFake:
    """All queues of one account and region.

    Args:
        seed: for faults that come with a probability.
        region: of the queues' ARNs.
    """

    def __init__(self, *, seed: int = 0, region: str = "eu-central-1") -> None:
        self.faults = Faults(KINDS, seed)
        self.counts: Counter[str] = Counter()
        """Requests, by action."""
        self.faulted: Counter[str] = Counter()
        """Requests that a fault fell on, by its kind."""
        self._actions = Actions(self.faults, region)

    def running(self, port: int = 0) -> AbstractAsyncContextManager[str]:
        """Serves while the block lasts; gives the endpoint's URL."""
        return serving.serving(self.handle, port)

    def queue(self, name: str) -> Queue:
        """One of its queues, made where it is not there: for who shares its event loop."""
        return self._actions.queue(name)

    def stats(self) -> dict[str, Any]:
        return {
            "queues": {name: queue.stats() for name, queue in self._actions.queues.items()},
            "actions": dict(self.counts),
            "faults": {**self.faulted, "duplicate": self._actions.duplicates},
        }

    def reset(self) -> None:
        """Sets the counts to zero; messages stay."""
        self._actions.duplicates = 0
        for counter in (self.counts, self.faulted):
            counter.clear()
        for queue in self._actions.queues.values():
            queue.counts.clear()
            queue.most_in_flight = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/__faults":
            return await serving.change_faults(request, self.faults)
        if request.path == "/__stats":
            if request.method == "DELETE":
                self.reset()
            return json_response(self.stats())
        action = request.headers.get("x-amz-target", "").removeprefix("AmazonSQS.")
        self.counts[action] += 1
        try:
            body: Body = json.loads(await request.content.read() or b"{}")
            self._actions.handler(action)
            kind = await self._fault(request, action, body)
            answer = await self._actions.do(action, body, request.headers.get("host", ""))
        except SqsError as error:
            return _error(error)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return _error(SqsError("InvalidParameterValue", f"the request cannot be read: {error!r}"))
        if kind == "lost":
            return serving.hang_up(request)
        return web.Response(body=json.dumps(answer).encode(), content_type="application/x-amz-json-1.0")

    async def _fault(self, request: web.BaseRequest, action: str, body: Body) -> str | None:
        """Brings about what comes before the action; the kind is told for what comes after it."""
        if not self.faults.rules:
            return None
        name = body.get("QueueName") or str(body.get("QueueUrl", "")).rpartition("/")[2]
        rule = self.faults.pick(f"{action} {name}", _BEFORE)
        if rule is None:
            return None
        self.faulted[rule.kind] += 1
        if rule.kind == "status":
            name = "ServiceUnavailable" if rule.status == 503 else "InternalError"
            raise SqsError(name, "on purpose", status=rule.status)
        if rule.kind == "throttle":
            raise SqsError("RequestThrottled", "Rate exceeded, on purpose.")
        if rule.kind == "refuse":
            serving.hang_up(request)
        if rule.kind == "delay":
            await asyncio.sleep(rule.seconds or 0)
        return rule.kind


def _error(error: SqsError) -> web.Response:
    fault = "Sender" if error.status < 500 else "Receiver"
    return web.Response(
        body=json.dumps({"__type": f"com.amazonaws.sqs#{error.name}", "message": error.message}).encode(),
        status=error.status,
        headers={"x-amzn-query-error": f"{error.code};{fault}"},
        content_type="application/x-amz-json-1.0",
    )


def main() -> None:
    options = serving.arguments(__doc__).parse_args()
    serving.serve(SqsFake(seed=options.seed).handle, options.port)


if __name__ == "__main__":
    main()

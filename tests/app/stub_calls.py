"""What a stub provider was asked, for tests that count."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tests.app.stub_asked import as_utf8

_HEADERS = ("idempotency-key", "traceparent", "x-request-id")
#: The oldest records go first; some 100 MB of them.
_MOST = 200_000


@dataclass(slots=True)
class Call:
    """One request; token counts are those a provider would charge, also where the answer was lost."""

    time: float
    """Monotonic seconds of its arrival."""
    path: str
    model: str
    prompt_hash: str
    """SHA-256 of the messages' texts, the first 16 digits."""
    last_user_text: str
    headers: dict[str, str]
    """Those of idempotency and tracing that were sent."""
    status: int = 0
    """0 until it is answered, and for a connection closed before the status."""
    fault: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0
    """How long the answer took; 0 until it is there."""


class Calls:
    """All calls since the last reset."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.records: deque[Call] = deque(maxlen=_MOST)
        self.total = 0
        self.concurrency = 0
        self.most_concurrent = 0

    def begin(self, path: str, model: str, texts: list[str], said: str, headers: Mapping[str, str]) -> Call:
        digest = hashlib.sha256(as_utf8("\0".join(texts))).hexdigest()[:16]
        kept = {name: headers[name] for name in _HEADERS if name in headers}
        call = Call(time.monotonic(), path, model, digest, said, kept)
        self.records.append(call)
        self.total += 1
        self.concurrency += 1
        self.most_concurrent = max(self.most_concurrent, self.concurrency)
        return call

    def end(self, call: Call) -> None:
        call.seconds = time.monotonic() - call.time
        # A reset while calls are open must not count below zero.
        self.concurrency = max(0, self.concurrency - 1)

    def summary(self, window: float = 60, *, records: bool = True) -> dict[str, Any]:
        """Counts, and the greatest sums in any `window` seconds, by the time of arrival.

        `requests` counts every arrival; `answered` and `tokens` those that a provider charges.
        """
        calls = sorted(self.records, key=lambda call: call.time)
        charged = [call for call in calls if call.input_tokens or call.output_tokens]
        statuses: dict[str, int] = {}
        faults: dict[str, int] = {}
        for call in calls:
            statuses[str(call.status)] = statuses.get(str(call.status), 0) + 1
            if call.fault:
                faults[call.fault] = faults.get(call.fault, 0) + 1
        summary: dict[str, Any] = {
            "total": self.total,
            "statuses": statuses,
            "faults": faults,
            "input_tokens": sum(call.input_tokens for call in calls),
            "output_tokens": sum(call.output_tokens for call in calls),
            "concurrency": self.concurrency,
            "most_concurrent": self.most_concurrent,
            "most_in_window": _windows(calls, charged, window),
        }
        if records:
            summary["calls"] = [asdict(call) for call in calls]
        return summary


def _windows(calls: list[Call], charged: list[Call], window: float) -> dict[str, float]:
    return {
        "seconds": window,
        "requests": most(((call.time, 1) for call in calls), window),
        "answered": most(((call.time, 1) for call in charged), window),
        "tokens": most(((call.time, call.input_tokens + call.output_tokens) for call in charged), window),
    }


def most(events: Iterable[tuple[float, int]], window: float) -> int:
    """The greatest sum of amounts in any span of `window` seconds, its end not included; events in order."""
    inside: deque[tuple[float, int]] = deque()
    total = greatest = 0
    for at, amount in events:
        inside.append((at, amount))
        total += amount
        while at - inside[0][0] >= window:
            total -= inside.popleft()[1]
        greatest = max(greatest, total)
    return greatest

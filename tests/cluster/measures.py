"""Who tells KEDA of something besides a queue: a Prometheus and a CloudWatch that say one number."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.cluster.serving import served


@dataclass
class FakePrometheus:
    """Answers every query with one number, or with nothing."""

    url: str = ""
    answer: float | None = 0.0
    asked: list[str] = field(default_factory=list)

    def say(self, path: str, body: bytes) -> tuple[str, bytes]:
        # KEDA asks by GET, Argo Rollouts by POST.
        for asked in (urlsplit(path).query, body.decode()):
            self.asked += parse_qs(asked).get("query", [])
        result = [] if self.answer is None else [{"metric": {}, "value": [time.time(), str(self.answer)]}]
        told = {"status": "success", "data": {"resultType": "vector", "result": result}}
        return "application/json", json.dumps(told).encode()


@contextmanager
def prometheus() -> Iterator[FakePrometheus]:
    made = FakePrometheus()
    with served(made.say) as port:
        made.url = f"http://127.0.0.1:{port}"
        yield made


@dataclass
class FakeCloudWatch:
    """Answers GetMetricData with one number, in CBOR: KEDA's SDK asks so, and moto has no answer to it."""

    url: str = ""
    age: float = 0.0
    asked: list[bytes] = field(default_factory=list)

    def say(self, path: str, body: bytes) -> tuple[str, bytes]:
        assert path.endswith("/operation/GetMetricData"), path
        self.asked.append(body)
        result = {"Id": "c1", "StatusCode": "Complete", "Values": [self.age]}
        return "application/cbor", cbor({"MetricDataResults": [result]})


@contextmanager
def cloud_watch() -> Iterator[FakeCloudWatch]:
    made = FakeCloudWatch()
    with served(made.say, smithy_protocol="rpc-v2-cbor") as port:
        made.url = f"http://127.0.0.1:{port}"
        yield made


def cbor(value: Any) -> bytes:
    """Short texts, lists and mappings, and numbers, as RFC 8949 has them."""
    if isinstance(value, float | int):
        return b"\xfb" + struct.pack(">d", float(value))
    if isinstance(value, str):
        return bytes([0x60 + len(value)]) + value.encode()
    if isinstance(value, list):
        return bytes([0x80 + len(value)]) + b"".join(map(cbor, value))
    return bytes([0xA0 + len(value)]) + b"".join(cbor(key) + cbor(each) for key, each in value.items())

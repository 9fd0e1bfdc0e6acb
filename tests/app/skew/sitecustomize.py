"""A wall clock that is wrong: with this directory first in PYTHONPATH a process is SKEW_SECONDS off.

With SKEW_JUMP_SECONDS the clock jumps there and back every so many seconds, as after a bad step of NTP.
Monotonic clocks are right, as they are on such a machine.
"""

import datetime
import os
import time

_real_time, _real_datetime = time.time, datetime.datetime
_offset = float(os.environ.get("SKEW_SECONDS", "0"))
_period = float(os.environ.get("SKEW_JUMP_SECONDS", "0"))


def _now() -> float:
    is_right = _period and time.monotonic() // _period % 2
    return _real_time() + (0 if is_right else _offset)


class _Kind(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, _real_datetime)


class _Skewed(_real_datetime, metaclass=_Kind):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
        return _real_datetime.fromtimestamp(_now(), tz)

    @classmethod
    def utcnow(cls) -> datetime.datetime:
        return _real_datetime.fromtimestamp(_now(), datetime.UTC).replace(tzinfo=None)


time.time = _now
time.time_ns = lambda: int(_now() * 1e9)
datetime.datetime = _Skewed  # type: ignore[misc]

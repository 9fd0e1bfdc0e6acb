"""The limits that all replicas and fleets of an environment share, in Redis, by its clock.

Redis may lose what it holds: a restart, a failover, an eviction. So each process remembers what it was
admitted in the last window, and under which epoch, a marker kept with the window. When it meets another
epoch, it first reports its own use. A new epoch admits nothing until the processes' heartbeats have had
time for that.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from agent_app.llm.limits import BUCKETS, WINDOW_SECONDS, LimitsOf, Line, Permit, Unreachable, Used, Waited
from agent_app.settings.llm import ModelLimits

log = structlog.get_logger(__name__)

QUARANTINE_SECONDS = 5.0
#: A process reports within two of these, even when one is lost: less than the quarantine.
HEARTBEAT_SECONDS = 2.0
#: Settlements of one moment go together.
_GATHER_SECONDS = 0.02
#: Redis answers in well under this, or is as good as away.
_ANSWER_SECONDS = 1.0
_SCRIPT = Path(__file__).with_name("limits.lua").read_text()
_MORE = -1  # the bucket of what a call took beyond its permit: never amended


@dataclass(eq=False)
class _Model:
    """What this process knows of one model's window."""

    keys: list[str]
    epoch: str = ""
    admitted: int = 0
    report: int = 0
    uses: deque[Used] = field(default_factory=deque)
    #: Settlements that Redis has not heard of, and the report of some that it may have heard of.
    amends: dict[Used, int] = field(default_factory=dict)
    more: int = 0
    unsure: list[int] | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def unsaid(self) -> bool:
        return bool(self.amends or self.more or self.unsure)

    def use(self, bucket: int, span: float) -> Used:
        """The record that something admitted now is added to."""
        now = time.monotonic()
        last = self.uses[-1] if self.uses else None
        if last is None or last.bucket != bucket or (bucket == _MORE and now - last.at > span):
            last = Used(bucket, now)
            self.uses.append(last)
        if bucket != _MORE:
            last.at = now
        return last


class RedisRateLimits(Line):
    """Shared limits; closed where Redis cannot be reached.

    Args:
        redis: the connection.
        quota: whose limits these are, the environment included.
        limits_of: a model's limits.
        models: whose windows are opened at once, by `run`, and not by their first call.
        waited: told how long calls waited.
        window: seconds; a test may take a short one.
        buckets: how many the window is counted in; a window / bucket is at least a millisecond.
        quarantine: seconds that a new epoch admits nothing.
        heartbeat: seconds between reports.
    """

    def __init__(
        self,
        redis: Redis,
        quota: str,
        limits_of: LimitsOf,
        *,
        models: Iterable[str] = (),
        waited: Waited | None = None,
        window: float = WINDOW_SECONDS,
        buckets: int = BUCKETS,
        quarantine: float = QUARANTINE_SECONDS,
        heartbeat: float = HEARTBEAT_SECONDS,
    ) -> None:
        super().__init__(limits_of, waited)
        self._script = redis.register_script(_SCRIPT)
        self._quota = quota
        self._process = uuid.uuid4().hex
        self._span = round(window * 1000 / buckets)
        self._shape = (self._span, buckets, round(quarantine * 1000))
        # By a bucket longer than the window: what is younger on Redis' clock must still be known here.
        self._remembered = window + 2 * window / buckets
        self._heartbeat = heartbeat
        self._models: dict[str, _Model] = {}
        self._wake = asyncio.Event()
        for model in models:
            limits = limits_of(model)
            if limits.requests_per_minute is not None or limits.tokens_per_minute is not None:
                self._of(model)

    def settle(self, permit: Permit, tokens: int) -> None:
        """Takes no round trip: `run` tells Redis, many settlements at once."""
        if permit.used is None or permit.settled:
            return
        permit.settled = True
        model, more = self._of(permit.model), tokens - permit.tokens
        if more > 0:
            # It counts from now, when it is known, and not from when too little was asked for.
            model.use(_MORE, self._span / 1000).tokens += more
            model.more += more
        elif more < 0:
            permit.used.tokens += more
            model.amends[permit.used] = model.amends.get(permit.used, 0) + more
        if more:
            self._wake.set()

    async def run(self) -> None:
        due = 0.0
        while True:
            if now_due := time.monotonic() >= due:
                due = time.monotonic() + self._heartbeat * random.uniform(0.9, 1.0)  # noqa: S311
            self._wake.clear()
            told = [self._tell(model) for model in self._models.values() if now_due or model.unsaid]
            failed = any(await asyncio.gather(*told))
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, due - time.monotonic())):
                    if not failed:
                        await self._wake.wait()
                        await asyncio.sleep(_GATHER_SECONDS)
                    else:
                        await asyncio.sleep(self._heartbeat)

    async def _try(self, model: str, limits: ModelLimits, tokens: int) -> Permit | float:
        known = self._of(model)
        if not known.epoch:
            await self._adopt(known, known.epoch)
        for _ in range(3):
            asked = known.epoch
            most = (limits.requests_per_minute, limits.tokens_per_minute)
            wanted = (*(-1 if limit is None else limit for limit in most), tokens)
            status, epoch, now, wait = await self._ask(known, "acquire", *wanted)
            if status < 0 or epoch != known.epoch:
                # Of an admission that an epoch change overtook, the new window has not been told: not used.
                await self._adopt(known, asked)
                continue
            if status == 0:
                if known.unsaid and await self._tell(known):
                    raise Unreachable
                return wait / 1000
            used = known.use(now // self._span, self._span / 1000)
            used.requests += 1
            used.tokens += tokens
            return Permit(model, tokens, used)
        return 0.0

    async def _tell(self, model: _Model) -> bool:
        """Reports what was settled, or just looks whether the epoch is the same; whether that failed."""
        epoch = model.epoch
        try:
            async with model.lock:
                if epoch and model.epoch == epoch:
                    if model.unsure is None:
                        amends = [
                            (used.bucket, by) for used, by in model.amends.items() if used.bucket != _MORE
                        ]
                        model.report += 1
                        model.unsure = [model.report, model.more, *(part for pair in amends for part in pair)]
                        model.amends.clear()
                        model.more = 0
                    status, *_ = await self._ask(model, "amend", *model.unsure)
                    if status >= 0:
                        model.unsure = None
                        return False
            await self._adopt(model, epoch)
        except Unreachable:
            return True
        return False

    async def _adopt(self, model: _Model, left: str) -> None:
        """Reports all that this process was admitted lately to the epoch that came after `left`."""
        async with model.lock:
            if model.epoch != left:
                return  # somebody here has done it meanwhile
            self._forget(model)
            # The records hold what was settled; settlements from here on amend the new epoch.
            model.amends.clear()
            model.more, model.unsure = 0, None
            model.report += 1
            now = time.monotonic()
            ages = [(used, int((now - used.at) * 1000)) for used in model.uses]
            report = [number for used, age in ages for number in (age, used.requests, used.tokens)]
            _, epoch, there, _ = await self._ask(model, "adopt", model.report, *report)
            for used, age in ages:
                if used.bucket != _MORE:
                    used.bucket = (there - age) // self._span
            if left:
                log.warning("Redis lost a model's window: what was used is reported", buckets=len(ages))
            model.epoch = epoch

    async def _ask(self, model: _Model, action: str, *numbers: int) -> tuple[int, str, int, int]:
        """The script's status, its epoch, its time and the wait, the last two in ms.

        Raises:
            Unreachable: it did not answer; it may have run.
        """
        known = model.epoch
        values: tuple[str | int, ...] = (
            action,
            known,
            model.admitted,
            uuid.uuid4().hex,
            *self._shape,
            *numbers,
        )
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                answer = await self._script(keys=model.keys, args=values)
        except (RedisError, OSError, TimeoutError) as error:
            log.debug("Redis did not answer for a model's limit", reason=type(error).__name__)
            raise Unreachable from error
        status, epoch, now, admitted, wait = answer
        epoch = epoch.decode() if isinstance(epoch, bytes) else epoch
        if epoch == model.epoch:
            model.admitted = max(model.admitted, admitted)
        elif action == "adopt":
            model.admitted = admitted
        self._forget(model)
        return status, epoch, now, wait

    def _of(self, model: str) -> _Model:
        known = self._models.get(model)
        if known is None:
            # One hash tag: the keys of a script lie in one slot of a cluster.
            key = f"agent-app:llm:{{{self._quota}:{model}}}"
            known = self._models[model] = _Model([key, f"{key}:{self._process}"])
        return known

    def _forget(self, model: _Model) -> None:
        oldest = time.monotonic() - self._remembered
        while model.uses and model.uses[0].at < oldest:
            model.uses.popleft()

"""A fleet's queue from outside: how full it is, what its dead letters are, and how they get back into it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from urllib.parse import urlsplit

from agent_infra.automation import dead_letters, exported, redrives
from agent_infra.automation.aws_calls import AwsRefused, Clients, told
from agent_infra.automation.dead_letters import DeadLetter
from agent_infra.automation.environments import Environment
from agent_infra.automation.errors import AutomationError
from agent_infra.automation.redrives import Redrive

#: CloudWatch knows a queue's oldest message a few minutes late.
_METRIC_MINUTES = 10


@dataclass(frozen=True)
class QueueStatus:
    """How full a fleet's queue is; SQS counts approximately, up to a minute late."""

    fleet: str
    waiting: int
    in_flight: int
    delayed: int
    dead_letters: int
    oldest_seconds: float | None
    """The oldest message's age, as CloudWatch knows it; None where it does not."""

    def as_json(self) -> dict[str, Any]:
        return {"kind": "queue", **asdict(self)}


@dataclass(frozen=True)
class Queues:
    """The queues of an environment's fleets.

    from agent_infra.automation import Environment, Queues

    queues = Queues.open(Environment.open("prod"))
    print(queues.status())
    """

    environment: str
    urls: Mapping[str, str]
    """Each fleet's queue."""
    dead_letter_urls: Mapping[str, str]
    fleets: tuple[str, ...]
    """All fleets, those without a queue too."""
    client: Callable[[str], Any]
    """A boto3 client of a service."""
    managed: bool = True
    """Whether SQS itself can move dead letters; the one on this machine cannot."""

    @classmethod
    def open(cls, environment: Environment) -> Self:
        """The queues of an environment that is up.

        Raises:
            AutomationError: it is not up, or boto3 is missing.
            LocalError: it is on this machine, and nothing runs.
        """
        local, outputs = environment.local, exported.outputs(environment)
        if not outputs:
            raise AutomationError(
                f"{environment.name!r} is not up, so it has no queues: "
                f"`agent-infra up -s {environment.name}` makes them."
            )
        urls, dead = (
            exported.mapping(outputs, "queue_urls"),
            exported.mapping(outputs, "dead_letter_queue_urls"),
        )
        region = outputs.get("region") or next(filter(None, map(_region, urls.values())), None)
        return cls(
            environment=environment.name,
            urls=urls,
            dead_letter_urls=dead,
            fleets=tuple(sorted({*exported.mapping(outputs, "fleets"), *urls})),
            client=Clients(
                environment.name, region=region or exported.configured_region(environment), local=local
            ),
            managed=local is None,
        )

    def status(self, fleet: str | None = None) -> list[QueueStatus]:
        """One fleet's queue, or everybody's.

        Raises:
            AutomationError: the fleet is not known or has no queue, or AWS refuses.
        """
        if fleet is not None:
            self._url(fleet)
        return [self._status(name) for name in ([fleet] if fleet else sorted(self.urls))]

    def _status(self, fleet: str) -> QueueStatus:
        counts = self._attributes(self._url(fleet))
        dead = self._attributes(self._dead_url(fleet))
        return QueueStatus(
            fleet=fleet,
            waiting=_count(counts, "ApproximateNumberOfMessages"),
            in_flight=_count(counts, "ApproximateNumberOfMessagesNotVisible"),
            delayed=_count(counts, "ApproximateNumberOfMessagesDelayed"),
            dead_letters=_count(dead, "ApproximateNumberOfMessages")
            + _count(dead, "ApproximateNumberOfMessagesNotVisible"),
            oldest_seconds=self._oldest(self._url(fleet)),
        )

    def _oldest(self, url: str) -> float | None:
        now = datetime.now(UTC)
        try:
            with told(self.environment):
                answer = self.client("cloudwatch").get_metric_statistics(
                    Namespace="AWS/SQS",
                    MetricName="ApproximateAgeOfOldestMessage",
                    Dimensions=[{"Name": "QueueName", "Value": url.rsplit("/", 1)[-1]}],
                    StartTime=now - timedelta(minutes=_METRIC_MINUTES),
                    EndTime=now,
                    Period=60,
                    Statistics=["Maximum"],
                )
        except AwsRefused:
            # Who may look at queues need not be allowed to look at metrics; the counts are still told.
            return None
        points = sorted(answer.get("Datapoints") or [], key=lambda point: point["Timestamp"])
        return float(points[-1]["Maximum"]) if points else None

    def peek(self, fleet: str, *, limit: int = 10) -> list[DeadLetter]:
        """Some of a fleet's dead letters, which stay where they are; SQS hands them out in no order.

        Raises:
            AutomationError: the fleet is not known or has no queue, or AWS refuses.
        """
        if limit < 1:
            raise AutomationError(f"limit {limit} is wrong: say 1 or more.")
        url = self._dead_url(fleet)
        with told(self.environment):
            return dead_letters.peek(self.client("sqs"), url, limit=limit)

    def redrive(
        self,
        fleet: str,
        *,
        limit: int | None = None,
        rate: int | None = None,
        dry_run: bool = False,
        on_progress: Callable[[int], None] = lambda _moved: None,
    ) -> Redrive:
        """Moves a fleet's dead letters back into its queue, where each is tried anew.

        In the cloud SQS moves them itself, and goes on if this call is stopped. With `limit`, and on
        this machine, they are moved here in batches: each is sent before it is deleted, so that none
        is lost; one that is sent and could not be deleted is done twice.

        Args:
            fleet: whose.
            limit: the most that are moved; all that are there now, where it is not said.
            rate: the most that are moved in a second, 1 to 500; as fast as it goes, where it is not said.
            dry_run: only count.
            on_progress: is told how many have been moved so far.

        Raises:
            AutomationError: the fleet is not known or has no queue, another redrive of it goes on, a
                number is wrong, or AWS refuses.
        """
        if limit is not None and limit < 1:
            raise AutomationError(f"limit {limit} is wrong: say 1 or more, or leave it out for all.")
        if rate is not None and not 1 <= rate <= redrives.LONGEST_RATE:
            raise AutomationError(
                f"rate {rate} is wrong: say 1 to {redrives.LONGEST_RATE} messages a second."
            )
        url, dead_url = self._url(fleet), self._dead_url(fleet)
        found = _count(self._attributes(dead_url), "ApproximateNumberOfMessages")
        if dry_run or not found:
            return Redrive(fleet, found=found, moved=0, dry_run=dry_run)
        with told(self.environment):
            sqs = self.client("sqs")
            if self.managed and limit is None:
                source, destination = self._arn(dead_url), self._arn(url)
                moved = redrives.by_sqs(
                    sqs, source=source, destination=destination, rate=rate, on_progress=on_progress
                )
            else:
                moved = redrives.in_batches(
                    sqs,
                    source=dead_url,
                    destination=url,
                    count=min(limit or found, found),
                    rate=rate,
                    on_progress=on_progress,
                )
        return Redrive(fleet, found=found, moved=moved)

    def _arn(self, url: str) -> str:
        return str(self._attributes(url)["QueueArn"])

    def _attributes(self, url: str) -> dict[str, str]:
        with told(self.environment):
            answer = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        attributes: dict[str, str] = answer.get("Attributes") or {}
        return attributes

    def _url(self, fleet: str) -> str:
        if fleet in self.urls:
            return self.urls[fleet]
        if fleet in self.fleets:
            raise AutomationError(
                f"Fleet {fleet!r} has no queue: say `worker: {{}}` in its settings and run `agent-infra up`."
            )
        close = difflib.get_close_matches(fleet, self.fleets, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise AutomationError(
            f"There is no fleet {fleet!r} in {self.environment!r}.{hint} "
            f"It has {', '.join(self.fleets) or 'none'}."
        )

    def _dead_url(self, fleet: str) -> str:
        self._url(fleet)
        if fleet not in self.dead_letter_urls:
            raise AutomationError(
                f"The stack of {self.environment!r} does not export where the dead letters of {fleet!r} are: "
                "export `dead_letter_queue_urls`, a mapping of fleets to `WorkQueue.dead_letter_url`."
            )
        return self.dead_letter_urls[fleet]


def _region(url: str) -> str | None:
    """The region in a queue's address in the cloud."""
    found = re.fullmatch(r"sqs\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?", urlsplit(url).hostname or "")
    return found[1] if found else None


def _count(attributes: Mapping[str, str], name: str) -> int:
    return int(attributes.get(name, 0))

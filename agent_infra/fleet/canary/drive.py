"""Takes a canary through its steps, and away again where it is not good enough."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agent_infra.fleet.canary.cluster import Cluster, ClusterError
from agent_infra.fleet.canary.judgement import Finding, judge, pods_for, real_weight
from agent_infra.fleet.canary.numbers import Tally
from agent_infra.fleet.names import ComponentKind
from agent_infra.fleet.rollout_args import CanaryStep, Evaluation, Rollout

#: The environment variable in which `agent-app evaluate` finds its cases.
CASES = "AGENT_APP_EVALUATION_CASES"
_EVALUATE = ("agent-app", "evaluate")
_LOOK_SECONDS = 10.0
#: How long a canary may be without one of its pods, such as while a node goes, before it is given up.
_AWAY_SECONDS = 60.0
#: How often containers may end before they are ready: they may have come before what they need.
_RESTARTS_AT_START = 3


class CanaryFailed(Exception):
    """The new revision is not good enough: says by which number. What served before serves on."""


@dataclass(frozen=True)
class Track:
    """The two Deployments of a kind of pods."""

    stable: str
    canary: str


@dataclass
class Canary:
    """One trial of a fleet's new revision, whose pods the canary Deployments describe."""

    fleet: str
    cluster: Cluster
    rollout: Rollout
    tracks: Mapping[ComponentKind, Track]
    port: int = 8000
    """Where the pods answer for /metrics."""
    start_seconds: float = 600.0
    """How long its pods may take to get ready."""
    tell: Callable[[str], None] = print
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    look_seconds: float = _LOOK_SECONDS
    _tallies: dict[str, Tally] = field(default_factory=dict)
    _restarts: dict[ComponentKind, int] = field(default_factory=dict)
    _findings: dict[ComponentKind, list[Finding]] = field(default_factory=dict)

    def run(self) -> None:
        """Runs it to its end; a good canary's pods stay until the stable ones are of its revision.

        Raises:
            CanaryFailed: it is not good enough, and its pods are gone.
            ClusterError: the cluster could not be asked; its pods are gone where that could be asked for.
        """
        try:
            self._evaluate()
            for step in self.rollout.steps:
                self._step(step)
        except BaseException as error:
            self._take_back(error)
            raise
        for kind, findings in self._findings.items():
            for finding in findings:
                if finding.value is None:
                    self.tell(f"{self.fleet}: {kind}: not judged: {finding.text}")
        self.tell(f"{self.fleet}: the canary is good; it takes over")

    def _take_back(self, error: BaseException) -> None:
        try:
            self.retire()
        except ClusterError as problem:
            self.tell(f"{self.fleet}: the canary's pods could not be ended: {problem}")
            if isinstance(error, CanaryFailed):
                raise CanaryFailed(f"{error} Its pods could not be ended: {problem}") from error

    def retire(self) -> None:
        """Ends the canary's pods."""
        for track in self.tracks.values():
            self.cluster.scale(track.canary, 0)

    def _evaluate(self) -> None:
        wanted = self.rollout.analysis.evaluation
        if wanted is None:
            return
        self.tell(f"{self.fleet}: evaluating the new revision")
        score = self._score(wanted)
        if score < wanted.min_score:
            raise self._failed(f"its evaluation scored {score:g}, and {wanted.min_score:g} is the least")
        self.tell(f"{self.fleet}: the evaluation scored {score:g}")

    def _score(self, wanted: Evaluation) -> float:
        command, variables = evaluation(wanted)
        ended = self.cluster.run(
            self.tracks["api"].canary, command, variables=variables, seconds=wanted.minutes * 60
        )
        if ended.status != 0:
            raise self._failed(f"its evaluation ended with status {ended.status}: {ended.last_line}")
        try:
            score = float(ended.last_line)
        except ValueError:
            score = -1.0
        if not 0 <= score <= 1:
            raise self._failed(
                f"the last line of its evaluation is {ended.last_line[:80]!r}, which is no score from 0 to 1"
            )
        return score

    def _step(self, step: CanaryStep) -> None:
        wanted = {kind: self._scale(kind, track, step.weight) for kind, track in self.tracks.items()}
        self._wait_ready(wanted)
        for track in self.tracks.values():
            if track.canary not in self._tallies:
                # All that a canary's pod ever counted is the trial's; of the stable ones only what comes now.
                self._tallies[track.canary] = Tally()
                self._tallies[track.stable] = Tally()
                self._tallies[track.stable].begin(self.cluster.metrics(track.stable, port=self.port))
        until = self.clock() + step.minutes * 60
        away_since: float | None = None
        while (left := until - self.clock()) > 0:
            self.sleep(min(self.look_seconds, left))
            missing = self._missing(wanted)
            away_since = (away_since or self.clock()) if missing else None
            if away_since is not None and self.clock() - away_since > _AWAY_SECONDS:
                raise self._failed(f"{missing} for {_AWAY_SECONDS:.0f} s")
            self._judge(step)
        if missing := self._missing(wanted):
            raise self._failed(f"{missing} at the end of a step")

    def _scale(self, kind: ComponentKind, track: Track, weight: int) -> int:
        stable = self._stable(track)
        wanted = pods_for(weight, stable)
        share = f"{real_weight(wanted, stable):.0f} % of its traffic ({weight} % asked for)"
        self.tell(f"{self.fleet}: {kind}: canary pods: {wanted}, beside {stable} stable ones: {share}")
        self.cluster.scale(track.canary, wanted)
        return wanted

    def _stable(self, track: Track) -> int:
        """How many stable pods serve: none where they are scaled to zero, and have nothing to do."""
        until = self.clock() + self.start_seconds
        while not (pods := self.cluster.pods(track.stable)).ready and pods.wanted:
            if self.clock() >= until:
                raise self._failed(f"{track.stable} has no pod that is ready, to hold it against")
            self.sleep(min(1.0, self.look_seconds))
        return pods.ready

    def _wait_ready(self, wanted: Mapping[ComponentKind, int]) -> None:
        until = self.clock() + self.start_seconds
        before = dict(self._restarts)
        while missing := self._missing(wanted, restarts=_RESTARTS_AT_START):
            if self.clock() >= until:
                raise self._failed(f"{missing} within {self.start_seconds:.0f} s")
            self._restarts = dict(before)
            self.sleep(min(1.0, self.look_seconds))

    def _missing(self, wanted: Mapping[ComponentKind, int], *, restarts: int = 0) -> str:
        """Which pods are not ready; a container that ends again and again is the new revision's doing."""
        missing = ""
        for kind, number in wanted.items():
            pods = self.cluster.pods(self.tracks[kind].canary)
            more = pods.restarts - self._restarts.get(kind, 0)
            if more > restarts:
                raise self._failed(f"the {kind}'s containers ended and were started anew {more} times")
            self._restarts[kind] = pods.restarts
            if pods.ready < number:
                missing = f"{pods.ready} of {number} {kind} pods were ready"
        return missing

    def _judge(self, step: CanaryStep) -> None:
        for kind, track in self.tracks.items():
            for deployment in (track.canary, track.stable):
                self._tallies[deployment].add(self.cluster.metrics(deployment, port=self.port))
            canary, stable = (self._tallies[name].numbers() for name in (track.canary, track.stable))
            self._findings[kind] = judge(kind, canary, stable, self.rollout.analysis)
            bad = [finding.text for finding in self._findings[kind] if finding.bad]
            if bad:
                raise self._failed(f"at {step.weight} % the {kind}'s {'; '.join(bad)}")

    def _failed(self, why: str) -> CanaryFailed:
        return CanaryFailed(
            f"{self.fleet}: the new revision was taken back: {why}. The old one serves on, untouched."
        )


def evaluation(wanted: Evaluation) -> tuple[tuple[str, ...], dict[str, str]]:
    """The command that prints a score, and its environment variables."""
    if wanted.command:
        return tuple(wanted.command), {}
    told = {"agent": wanted.agent, "cases": [case.model_dump() for case in wanted.cases]}
    return _EVALUATE, {CASES: json.dumps(told, sort_keys=True)}

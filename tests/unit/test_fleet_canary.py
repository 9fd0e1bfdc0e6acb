"""A canary's way through its steps, against a cluster of numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_infra.fleet import Analysis, Rollout
from agent_infra.fleet.canary.cluster import ClusterError, Ended, Pods
from agent_infra.fleet.canary.drive import Canary, CanaryFailed, Track
from agent_infra.fleet.canary.judgement import judge, pods_for, real_weight
from agent_infra.fleet.canary.numbers import Numbers, Tally, quantile

TRACKS = {
    "api": Track("support", "support-canary"),
    "worker": Track("support-worker", "support-worker-canary"),
}
STEPS = [{"weight": 10, "minutes": 1}, {"weight": 50, "minutes": 2}]

GOOD = Ended(0, "1")


@dataclass
class Behaviour:
    """What each pod of a Deployment does in a second."""

    requests: float = 10
    errors: float = 0
    seconds: float = 0.2
    tasks: float = 2
    failed: float = 0
    cost: float = 0.02
    ready: bool = True


@dataclass
class Fake:
    """Deployments whose pods get ready at once, and count as time goes by."""

    stable: int = 4
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    score: Ended = GOOD
    now: float = 0.0
    replicas: dict[str, int] = field(default_factory=dict)
    scaled: list[tuple[str, int]] = field(default_factory=list)
    ran: list[tuple[str, tuple[str, ...], dict[str, str]]] = field(default_factory=list)
    born: dict[str, float] = field(default_factory=dict)
    restarts: int = 0
    at: dict[float, Callable[[], None]] = field(default_factory=dict)
    broken: bool = False

    def __post_init__(self) -> None:
        for track in TRACKS.values():
            self.replicas[track.stable] = self.stable

    def behaviour(self, deployment: str) -> Behaviour:
        return self.behaviours.get(deployment, Behaviour())

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for when in [when for when in self.at if when <= self.now]:
            self.at.pop(when)()

    def scale(self, deployment: str, replicas: int) -> None:
        if self.broken:
            raise ClusterError("the API server does not answer")
        self.scaled.append((deployment, replicas))
        self.replicas[deployment] = replicas

    def pods(self, deployment: str) -> Pods:
        ready = self.replicas.get(deployment, 0) if self.behaviour(deployment).ready else 0
        return Pods(
            ready=ready,
            restarts=self.restarts if deployment.endswith("-canary") else 0,
            wanted=self.replicas.get(deployment, 0),
        )

    def metrics(self, deployment: str, *, port: int) -> Mapping[str, str]:
        found = {}
        for number in range(self.replicas.get(deployment, 0)):
            pod = f"{deployment}-{number}"
            age = self.now - self.born.setdefault(pod, self.now if "canary" in pod else -1000.0)
            found[pod] = page(self.behaviour(deployment), age)
        return found

    def run(
        self, deployment: str, command: Sequence[str], *, variables: Mapping[str, str], seconds: float
    ) -> Ended:
        self.ran.append((deployment, tuple(command), dict(variables)))
        return self.score


def page(does: Behaviour, age: float) -> str:
    of = 'method="POST",route="/v1/chat"'
    good, bad = (does.requests - does.errors) * age, does.errors * age
    buckets = "".join(
        f'agent_app_http_request_seconds_bucket{{le="{le}",{of}}} '
        f"{does.requests * age if does.seconds <= float(le) else 0}\n"
        for le in ("0.1", "0.25", "0.5", "1.0", "2.5", "+Inf")
    )
    return (
        "# TYPE agent_app_http_requests_total counter\n"
        f'agent_app_http_requests_total{{{of},status="200"}} {good}\n'
        f'agent_app_http_requests_total{{{of},status="503"}} {bad}\n'
        f'agent_app_http_requests_total{{method="GET",route="/readyz",status="503"}} {age * 100}\n'
        f"# TYPE agent_app_http_request_seconds histogram\n{buckets}"
        "# TYPE agent_app_tasks_total counter\n"
        f'agent_app_tasks_total{{agent="a",outcome="succeeded"}} {(does.tasks - does.failed) * age}\n'
        f'agent_app_tasks_total{{agent="a",outcome="failed"}} {does.failed * age}\n'
        f'agent_app_tasks_total{{agent="a",outcome="retried"}} {age * 100}\n'
        "# TYPE agent_app_llm_cost_usd_total counter\n"
        f'agent_app_llm_cost_usd_total{{agent="a",model="m"}} {does.cost * age}\n'
    )


def trial(cluster: Fake, tracks: Mapping[Any, Track] = TRACKS, **rollout: Any) -> tuple[Canary, list[str]]:
    told: list[str] = []
    said = Rollout.model_validate({"strategy": "canary", "steps": STEPS, **rollout})
    canary = Canary(
        "support",
        cluster,
        said,
        tracks,
        tell=told.append,
        clock=lambda: cluster.now,
        sleep=cluster.sleep,
    )
    return canary, told


def failure(cluster: Fake, **rollout: Any) -> str:
    canary, _ = trial(cluster, **rollout)
    with pytest.raises(CanaryFailed) as failed:
        canary.run()
    return str(failed.value)


def test_a_good_canary_takes_every_step_for_its_time_and_keeps_its_pods_until_the_stable_ones_follow() -> (
    None
):
    cluster = Fake()
    canary, told = trial(cluster)
    canary.run()
    assert cluster.scaled == [
        ("support-canary", 1),
        ("support-worker-canary", 1),
        ("support-canary", 4),
        ("support-worker-canary", 4),
    ]
    assert cluster.now == pytest.approx(180, abs=1)
    assert "beside 4 stable ones: 20 % of its traffic (10 % asked for)" in told[0]
    assert told[-1] == "support: the canary is good; it takes over"
    canary.retire()
    assert cluster.scaled[-2:] == [("support-canary", 0), ("support-worker-canary", 0)]


@pytest.mark.parametrize(
    ("deployment", "bad", "told"),
    [
        ("support-canary", Behaviour(errors=4), "error rate: 0.400"),
        (
            "support-canary",
            Behaviour(seconds=2),
            "95th percentile of the time to answer over the stable pods'",
        ),
        ("support-canary", Behaviour(cost=0.2), "cost of a request over the stable pods': 10.00"),
        ("support-worker-canary", Behaviour(failed=1), "task failure rate: 0.500"),
        ("support-worker-canary", Behaviour(cost=0.08), "cost of a task over the stable pods': 4.00"),
    ],
)
def test_a_bad_number_takes_the_canary_back_within_the_step_and_is_named_with_its_bound(
    deployment: str, bad: Behaviour, told: str
) -> None:
    cluster = Fake(behaviours={deployment: bad})
    message = failure(cluster)
    assert told in message
    assert "is allowed" in message
    assert "at 10 % the" in message
    assert "serves on, untouched" in message
    assert cluster.replicas["support-canary"] == cluster.replicas["support-worker-canary"] == 0
    assert cluster.now <= 60
    assert not [name for name, _ in cluster.scaled if not name.endswith("-canary")]


@pytest.mark.parametrize(
    ("bound", "told"),
    [
        ({"max_latency_seconds": 0.15}, "95th percentile of the time to answer: 0.24"),
        ({"max_cost_per_task_usd": 0.005}, "cost per task: 0.01 USD, 0.005 is allowed"),
    ],
)
def test_a_bound_in_itself_is_held_without_a_comparison(bound: dict[str, float], told: str) -> None:
    assert told in failure(Fake(), analysis=bound)


def test_a_number_that_turns_bad_later_takes_it_back_too() -> None:
    cluster = Fake()
    cluster.at[100] = lambda: cluster.behaviours.update({"support-canary": Behaviour(requests=40, errors=40)})
    assert "at 50 % the api's error rate" in failure(cluster)


def test_what_fails_in_the_stable_pods_too_does_not_keep_the_revision_back_that_may_mend_it() -> None:
    behaviours = {name: Behaviour(errors=5, failed=1) for name in ("support", "support-worker")}
    worse = {"support-canary": Behaviour(errors=8)}
    trial(Fake(behaviours={**behaviours, "support-canary": Behaviour(errors=4)}))[0].run()
    assert "0.500 is allowed" in failure(Fake(behaviours={**behaviours, **worse}))


def test_a_bound_that_is_switched_off_is_not_held() -> None:
    cluster = Fake(behaviours={"support-canary": Behaviour(errors=10)})
    trial(cluster, analysis={"max_error_rate": None})[0].run()


def test_what_had_too_little_to_judge_by_is_told_and_passes() -> None:
    cluster = Fake(behaviours={"support-canary": Behaviour(requests=0.01, errors=0.01)})
    canary, told = trial(cluster)
    canary.run()
    assert any("not judged: error rate: " in line and "50 are needed" in line for line in told)


def test_pods_that_do_not_get_ready_take_it_back_after_the_deadline() -> None:
    cluster = Fake(behaviours={"support-canary": Behaviour(ready=False)})
    assert "0 of 1 api pods were ready within 600 s" in failure(cluster)
    assert cluster.replicas["support-canary"] == 0


def test_beside_pods_that_are_scaled_to_zero_one_pod_tries_alone() -> None:
    cluster = Fake(stable=4)
    cluster.replicas["support-worker"] = 0
    trial(cluster)[0].run()
    assert [each for each in cluster.scaled if each[0] == "support-worker-canary"] == [
        ("support-worker-canary", 1)
    ] * 2


def test_a_fleet_that_does_not_run_is_no_measure() -> None:
    cluster = Fake(behaviours={"support": Behaviour(ready=False)})
    assert "support has no pod that is ready, to hold it against" in failure(cluster)


def test_a_container_that_ends_during_a_step_takes_it_back() -> None:
    cluster = Fake()
    cluster.at[30] = lambda: setattr(cluster, "restarts", 1)
    assert "containers ended and were started anew 1 times" in failure(cluster)


def test_a_container_that_ends_again_and_again_at_its_start_is_not_waited_for() -> None:
    cluster = Fake(behaviours={"support-canary": Behaviour(ready=False)}, restarts=4)
    assert "started anew 4 times" in failure(cluster)
    assert cluster.now < 60


def test_pods_that_are_away_for_a_moment_are_no_failure_and_for_longer_are() -> None:
    for seconds, fails in ((20, False), (100, True)):
        cluster = Fake()
        cluster.at[70] = lambda cluster=cluster: cluster.replicas.update({"support-canary": 1})  # type: ignore[misc]
        cluster.at[70 + seconds] = lambda cluster=cluster: cluster.replicas.update({"support-canary": 4})  # type: ignore[misc]
        if fails:
            assert "1 of 4 api pods were ready for 60 s" in failure(cluster)
        else:
            trial(cluster)[0].run()


CASES = {"cases": [{"prompt": "2 + 2?", "contains": ["4"]}], "min_score": 0.8}


def test_the_score_is_judged_before_there_is_any_traffic() -> None:
    cluster = Fake(score=Ended(0, "0.75"))
    assert "its evaluation scored 0.75, and 0.8 is the least" in failure(
        cluster, analysis={"evaluation": CASES}
    )
    assert all(replicas == 0 for _, replicas in cluster.scaled)
    ((deployment, command, variables),) = cluster.ran
    assert (deployment, command) == ("support-canary", ("agent-app", "evaluate"))
    assert '"prompt": "2 + 2?"' in variables["AGENT_APP_EVALUATION_CASES"]


def test_a_score_that_is_high_enough_lets_the_steps_begin() -> None:
    cluster = Fake(score=Ended(0, "0.8"))
    trial(cluster, analysis={"evaluation": CASES})[0].run()
    assert ("support-canary", 4) in cluster.scaled


@pytest.mark.parametrize(
    ("ended", "told"),
    [
        (Ended(1, "no such model"), "ended with status 1: no such model"),
        (Ended(0, "good"), "is 'good', which is no score from 0 to 1"),
        (Ended(0, "85"), "is '85', which is no score from 0 to 1"),
        (Ended(0, "nan"), "is 'nan', which is no score from 0 to 1"),
        (Ended(0, ""), "which is no score from 0 to 1"),
    ],
)
def test_an_evaluation_without_a_score_is_a_failed_one(ended: Ended, told: str) -> None:
    evaluation = {"command": ["python", "-m", "mine"]}
    assert told in failure(Fake(score=ended), analysis={"evaluation": evaluation})


def test_an_interruption_takes_the_canary_back() -> None:
    cluster = Fake()

    def interrupt() -> None:
        raise KeyboardInterrupt

    cluster.at[30] = interrupt
    with pytest.raises(KeyboardInterrupt):
        trial(cluster)[0].run()
    assert cluster.replicas["support-canary"] == 0


def test_a_cluster_that_stops_answering_is_told_and_so_are_the_pods_that_stay() -> None:
    cluster = Fake(behaviours={"support-canary": Behaviour(errors=9)})
    cluster.at[10] = lambda: setattr(cluster, "broken", True)
    assert "Its pods could not be ended: the API server does not answer" in failure(cluster)


@given(weight=st.integers(1, 99), stable=st.integers(0, 1000))
def test_the_pods_have_at_least_the_weight_and_one_fewer_would_not(weight: int, stable: int) -> None:
    pods = pods_for(weight, stable)
    assert real_weight(pods, stable) >= weight - 1e-9
    assert pods == 1 or real_weight(pods - 1, stable) < weight


@given(
    counts=st.lists(st.integers(0, 1000), min_size=1, max_size=8).filter(any),
    share=st.floats(0.01, 0.99),
)
def test_a_percentile_lies_within_the_bounds_and_rises_with_its_share(
    counts: list[int], share: float
) -> None:
    total, buckets = 0, {}
    for index, count in enumerate(counts, start=1):
        total += count
        buckets[float(index)] = float(total)
    value, higher = quantile(buckets, share), quantile(buckets, min(share + 0.01, 1))
    assert value is not None
    assert higher is not None
    assert 0 <= value <= higher <= len(counts)


def test_a_percentile_beyond_the_last_bound_is_that_bound() -> None:
    assert quantile({1.0: 0.0, float("inf"): 10.0}, 0.95) == 1.0
    assert quantile({}, 0.95) is None
    assert quantile({1.0: 0.0, float("inf"): 0.0}, 0.95) is None


def test_a_tally_counts_from_now_on_through_pods_that_start_anew_come_and_go() -> None:
    tally = Tally()
    tally.begin({"old": page(Behaviour(), 100)})
    tally.add({"old": page(Behaviour(), 110)})
    assert tally.numbers().requests == 100
    tally.add({"old": page(Behaviour(), 3), "new": page(Behaviour(), 2)})
    assert tally.numbers().requests == 150
    tally.add({"new": page(Behaviour(), 4)})
    assert tally.numbers().requests == 170


def test_probes_are_no_requests_and_a_task_that_is_tried_again_is_not_over() -> None:
    tally = Tally()
    tally.add({"pod": page(Behaviour(errors=1, failed=1, tasks=4), 10)})
    found = tally.numbers()
    assert (found.requests, found.errors, found.posts) == (100, 10, 100)
    assert (found.tasks, found.failed_tasks) == (40, 10)


def test_times_that_are_all_short_are_not_compared() -> None:
    fast = Numbers(requests=100, buckets={0.005: 100.0})
    slower = Numbers(requests=100, buckets={0.005: 0.0, 0.1: 100.0})
    assert not [finding for finding in judge("api", slower, fast, Analysis()) if finding.bad]

"""What Kubernetes or KEDA would refuse, or take and never act on, is refused when arguments are built."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agent_infra import AgentFleetArgs, ArgsError
from agent_infra.aws.keda_access import KedaAccess
from agent_infra.fleet.scaling_args import Replicas, Schedule, Speed
from agent_infra.fleet.scaling_behavior import behavior
from agent_infra.fleet.scaling_plan import Situation, plan, problems
from agent_infra.fleet.schedules import shortest

IMAGE = f"registry.example/agents@sha256:{'1' * 64}"
QUEUE = {
    "url": "https://sqs.eu-west-1.amazonaws.com/123456789012/tasks",
    "arn": "arn:aws:sqs:eu-west-1:123456789012:tasks",
}
DAYS = {"start": "0 8 * * 1-5", "end": "0 18 * * 1-5", "replicas": 5}
QUERY = {"query": "sum(waiting)", "target": 5}


def refused(**args: Any) -> str:
    with pytest.raises(ArgsError) as caught:
        AgentFleetArgs.parse({"image": IMAGE, **args}, owner="AgentFleet 'support'")
    return str(caught.value)


def api(keda: dict[str, Any] | None = None, **replicas: Any) -> dict[str, Any]:
    return {"keda": {} if keda is None else keda, "replicas": replicas}


def workers(**replicas: Any) -> dict[str, Any]:
    return {"keda": {}, "queue": QUEUE, "worker": {"replicas": {"min": 1, **replicas}}}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        # Zeros: a target of 0 switches an autoscaler off.
        (workers(queue_depth=0), "worker.replicas.queue_depth: 0 is wrong"),
        (workers(queue_age=0), "worker.replicas.queue_age: 0 is wrong"),
        (api(concurrency=0), "replicas.concurrency: 0 is wrong"),
        (api(target_cpu=0), "replicas.target_cpu: 0 is wrong"),
        (api(prometheus=[{**QUERY, "target": 0}]), "replicas.prometheus.0.target: 0 is wrong"),
        # Thousandths are the autoscaler's smallest unit: less would become 0.
        (api(prometheus=[{**QUERY, "target": 0.0004}]), "target: 0.0004 is wrong"),
        (api(prometheus=[{**QUERY, "target": float("inf")}]), "target: inf is wrong"),
        (api(prometheus=[{**QUERY, "query": " "}]), "replicas.prometheus.0.query"),
        (api(schedules=[{**DAYS, "replicas": 0}]), "replicas.schedules.0.replicas: 0 is wrong"),
        # Bounds.
        (api(min=5, max=3), "min 5 is above max 3; lower min or raise max"),
        (
            workers(min=3, max=3, queue_depth=5),
            "min and max are both 3, so that queue_depth would decide nothing",
        ),
        (
            api(schedules=[{**DAYS, "replicas": 11}]),
            "schedules.0.replicas 11 is not above min 3 and up to max 10",
        ),
        (api(schedules=[{**DAYS, "replicas": 3}]), "schedules.0.replicas 3 is not above min 3"),
        (api(schedules=[DAYS, DAYS]), "schedules has the same one twice"),
        # Without KEDA.
        ({"replicas": {"min": 0}}, "replicas: min 0 needs KEDA, and the cluster has none; install it with"),
        (
            {**workers(queue_depth=5, queue_age=60), "keda": None},
            "worker.replicas: queue_depth, queue_age needs KEDA, and the cluster has none",
        ),
        # Triggers of another kind of pods, or of what is not there.
        (
            api(queue_depth=5),
            "replicas: queue_depth is about the workers' queue, and these pods take no tasks",
        ),
        (workers(concurrency=5), "concurrency is about the API's requests in flight; leave it out"),
        (
            {**workers(queue_depth=5), "queue": None},
            "worker.replicas: queue_depth needs a queue, and there is none; connect `queue`",
        ),
        (workers(queue_depth=None, count_delayed=True), "count_delayed is about queue_depth, which is null"),
        # What never wakes, or never decides.
        (api(min=0), "replicas: min 0 would answer nobody: with no pod there is no CPU"),
        (workers(min=0, queue_depth=None), "min 0 has nothing that starts the first worker; say 1, or add"),
        (
            api(target_cpu=None),
            "nothing decides between min 3 and max 10; add a trigger such as target_cpu: 70",
        ),
        # Who is asked.
        (api(concurrency=20), "concurrency asks a Prometheus server, and none is known; say it in `keda:"),
        (api(prometheus=[QUERY]), "prometheus.0 asks a Prometheus server, and none is known"),
        (
            {**workers(), "queue": {**QUEUE, "url": "https://sqs/tasks"}},
            "KEDA cannot read the queue's name out of 'https://sqs/tasks'; say its whole URL",
        ),
        (
            {**workers(), "queue": {**QUEUE, "arn": "arn:aws:sqs:*:123456789012:tasks"}},
            "KEDA is told the queue's region and name by its ARN",
        ),
        (
            api({"prometheus": {"url": "prometheus:9090"}}),
            "keda.prometheus: url is no Prometheus server's address; say",
        ),
        (
            api({"prometheus": {"url": "http://user:word@prometheus"}}),
            "without a login, ? and #",
        ),
        (
            api({"prometheus": {"url": "http://p:9090", "auth_modes": ["bearer"]}}),
            "`authentication` names none",
        ),
        (
            api({"role_arn": "arn:aws:iam::123456789012:role/r", "credentials_secret": "s"}),
            "keda: role_arn and credentials_secret each say by what KEDA reads queues; leave one",
        ),
        # A share of a request that there is not.
        (
            {"extra_pod_spec": {"containers": [{"name": "agent", "resources": None}]}},
            "target_cpu is a share of the cpu that a pod asks for, and extra_pod_spec takes that away",
        ),
        # Windows and looks.
        (
            workers(min=0, speed={"down_window": 20}),
            "speed.down_window 20 is shorter than the 30 seconds from one",
        ),
        (api(speed={"down_window": 10}), "speed.down_window 10 is shorter than the 15 seconds"),
        (api(speed={"down_window": 3601}), "replicas.speed.down_window: 3601 is wrong"),
        (
            api(schedules=[{**DAYS, "end": "1 8 * * 1-5"}], poll_seconds=90),
            "schedules.0 holds for 60 seconds, and KEDA looks every 90; say a later end",
        ),
        # One place for each number.
        (
            {"extra_environment": {"AGENT_APP_WORKER_CONCURRENCY": "8"}},
            "AGENT_APP_WORKER_CONCURRENCY is what `worker.concurrency` says; say it there",
        ),
    ],
)
def test_what_would_be_refused_or_never_act_is_an_error_that_says_the_fix(
    args: dict[str, Any], said: str
) -> None:
    assert said in refused(**args)


def test_a_login_in_an_address_is_not_repeated() -> None:
    assert "word" not in refused(**api({"prometheus": {"url": "http://u:word@p"}}))


def test_several_mistakes_are_told_at_once() -> None:
    message = refused(keda={}, queue=QUEUE, replicas={"min": 0}, worker={"replicas": {"concurrency": 5}})
    assert "replicas: min 0 would answer nobody" in message
    assert "worker.replicas: concurrency is about the API's" in message


def test_the_api_may_sleep_where_a_schedule_or_a_query_wakes_it() -> None:
    keda = {"prometheus": {"url": "http://prometheus:9090"}}
    for trigger in ({"schedules": [DAYS]}, {"prometheus": [QUERY]}):
        AgentFleetArgs.model_validate({"image": IMAGE, **api(keda, min=0, **trigger)})


def test_a_request_that_follows_from_a_limit_is_one() -> None:
    resources = {"requests": None, "limits": {"cpu": "1", "memory": "1Gi"}}
    extra = {"containers": [{"name": "agent", "resources": resources}]}
    AgentFleetArgs.model_validate({"image": IMAGE, "extra_pod_spec": extra})


class TestSchedules:
    @pytest.mark.parametrize(
        ("start", "said"),
        [
            ("0 8 * *", "a cron expression has five fields, and this has 4; say minute, hour"),
            ("0 0 8 * * *", "this has 6"),
            ("@daily", "this has 1"),
            ("0 8 * * 7", "from 0 (Sunday) to 6; say 0 in place of 7"),
            ("0 8 * * 1,7", "say 0 in place of 7"),
            ("0 8 L * *", "KEDA knows numbers, names such as mon and jan, and"),
            ("0 8 * * 1#2", "KEDA knows numbers"),
            ("60 8 * * *", "bad minute; say a cron expression"),
            ("0 24 * * *", "bad hour"),
            ("0 8 30 2 *", "bad day-of-month"),
            ("0 8 * * 5-1", "bad day-of-week"),
        ],
    )
    def test_what_keda_does_not_read_is_refused(self, start: str, said: str) -> None:
        with pytest.raises(ValidationError) as caught:
            Schedule.model_validate({**DAYS, "start": start})
        assert said in str(caught.value)

    @pytest.mark.parametrize("zone", ["Europe/Berlun", "", "../etc/passwd", "Europe", "/usr/share", "CET+1x"])
    def test_an_unknown_time_zone_is_refused(self, zone: str) -> None:
        with pytest.raises(ValidationError, match="not a time zone; say one as the IANA database names it"):
            Schedule.model_validate({**DAYS, "timezone": zone})

    def test_one_that_begins_as_it_ends_never_holds(self) -> None:
        with pytest.raises(ValidationError, match="it would never hold"):
            Schedule.model_validate({**DAYS, "end": "0  8 * * 1-5"})

    def test_names_and_steps_are_read(self) -> None:
        Schedule.model_validate({**DAYS, "start": "*/15 8 1,15 jan-mar MON-fri", "timezone": "Asia/Kolkata"})

    def test_the_shortest_time_counts_over_midnight_and_the_change_of_clocks_too(self) -> None:
        assert shortest("0 22 * * *", "0 6 * * *", "UTC") == 8 * 3600
        assert shortest("0 8 * * *", "30 8 * * *", "Europe/Berlin") == 1800
        # On 31 March 2024 the clocks go forward: a day of 23 hours.
        assert shortest("0 0 31 3 *", "0 0 1 4 *", "Europe/Berlin") == 23 * 3600


class TestTriggersAsPureFunctions:
    @given(
        replicas=st.builds(
            Replicas,
            min=st.integers(0, 5),
            max=st.integers(6, 50),
            target_cpu=st.none() | st.integers(1, 100),
            target_memory=st.none() | st.integers(1, 100),
            queue_depth=st.none() | st.integers(1, 100),
            queue_age=st.none() | st.integers(1, 3600),
        ),
        kind=st.sampled_from(["api", "worker"]),
        keda=st.booleans(),
        queue=st.booleans(),
        task_timeout=st.integers(1, 40_000),
    )
    def test_what_is_not_refused_has_a_trigger_that_acts(
        self, replicas: Replicas, kind: Any, keda: bool, queue: bool, task_timeout: int
    ) -> None:
        situation = Situation(
            kind=kind,
            keda=KedaAccess() if keda else None,
            has_queue=queue,
            worker_concurrency=4,
            task_timeout=task_timeout,
        )
        decided = plan(replicas, situation)
        assert 0 <= decided.down_window <= 3600
        if list(problems(replicas, situation)):
            return
        events = [decided.queue_depth, decided.queue_age]
        shares = [replicas.target_cpu, replicas.target_memory]
        assert any((*events, *shares))
        assert decided.by_keda == any(events)
        # Only an event wakes what sleeps.
        assert replicas.min > 0 or any(events)
        assert not any(events) or (keda and queue and kind == "worker")
        assert all(target is None or target > 0 for target in (*events, *shares))
        # A task that only runs for its whole time is not late.
        assert decided.queue_age is None or decided.queue_age > task_timeout

    @given(
        speed=st.builds(
            Speed,
            up_percent=st.integers(1, 1000),
            up_pods=st.integers(1, 1000),
            down_percent=st.integers(1, 100),
        ),
        start=st.integers(2, 1000),
    )
    def test_it_always_gets_up_and_down_step_by_step(self, speed: Speed, start: int) -> None:
        rules = behavior(speed, down_window=300)
        (down,) = rules["scaleDown"]["policies"]
        running, steps = start, [start]
        while running > 1 and len(steps) < 3000:
            # As Kubernetes counts: https://github.com/kubernetes/kubernetes, podautoscaler/horizontal.go
            running = int(running * (1 - down["value"] / 100))
            steps.append(running)
        assert running <= 1
        assert all(after < before for before, after in pairwise(steps))
        percent, pods = rules["scaleUp"]["policies"]
        assert max(-(-start * percent["value"] // 100), pods["value"]) >= 1

"""The most replicas that a model's limits keep busy."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_infra import AgentFleet, AgentFleetArgs, ArgsError
from agent_infra.fleet.ceiling import Ceiling, ceiling
from tests.unit.recording import Recorded, record

IMAGE = f"registry.example/agents@sha256:{'1' * 64}"
HPA = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
SCALED_OBJECT = "kubernetes:keda.sh/v1alpha1:ScaledObject"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
QUEUE = {
    "url": "https://sqs.eu-west-1.amazonaws.com/123456789012/tasks",
    "arn": "arn:aws:sqs:eu-west-1:123456789012:tasks",
}
CACHE = {"url": "rediss://cache:6379/0"}
TASK = {"seconds": 30, "calls": 5, "tokens_per_call": 3000}

counts = st.integers(1, 1000)
limits = st.none() | st.integers(1, 10_000_000)


def fleet(**args: Any) -> Recorded:
    return record(lambda: AgentFleet("support", arguments(**args)) and None)


def arguments(**args: Any) -> dict[str, Any]:
    return {"image": IMAGE, "queue": QUEUE, "cache": CACHE, "keda": {}, "usual_task": TASK, **args}


def most(**args: Any) -> tuple[int, int]:
    made = AgentFleetArgs.model_validate(arguments(**args))
    return made.replicas_of("api").max, made.replicas_of("worker").max


def test_the_example_in_the_docs() -> None:
    # 4 at once, 5 calls each half a minute: 40 calls and 120,000 tokens a minute for each worker.
    found = ceiling(
        requests_per_minute=1000,
        tokens_per_minute=800_000,
        concurrency=4,
        seconds_per_task=30,
        calls_per_task=5,
        tokens_per_call=3000,
    )
    assert found == Ceiling(6, "tokens")


@given(limits, limits, counts, counts, st.floats(0.01, 1000), st.integers(1, 1_000_000))
def test_the_replicas_fit_into_the_limits_and_one_more_would_not(
    requests: int | None, tokens: int | None, concurrency: int, seconds: int, calls: float, each: int
) -> None:
    found = ceiling(
        requests_per_minute=requests,
        tokens_per_minute=tokens,
        concurrency=concurrency,
        seconds_per_task=seconds,
        calls_per_task=calls,
        tokens_per_call=each,
    )
    if found is None:
        assert requests is None
        assert tokens is None
        return
    of_one = concurrency * calls * 60 / seconds
    shares = [asked / limit for limit, asked in ((requests, of_one), (tokens, of_one * each)) if limit]
    assert found.replicas >= 1
    assert found.replicas == 1 or found.replicas * max(shares) <= 1 + 1e-9
    assert (found.replicas + 1) * max(shares) > 1 - 1e-9


@given(st.integers(1, 1_000_000), st.integers(1, 1_000_000), counts, counts)
def test_more_quota_is_never_fewer_replicas_and_more_at_once_never_more(
    less: int, more: int, few: int, many: int
) -> None:
    def replicas(requests: int, concurrency: int) -> int:
        found = ceiling(
            requests_per_minute=requests,
            tokens_per_minute=None,
            concurrency=concurrency,
            seconds_per_task=60,
            calls_per_task=4,
            tokens_per_call=2000,
        )
        assert found is not None
        return found.replicas

    assert replicas(min(less, more), few) <= replicas(max(less, more), few)
    assert replicas(less, max(few, many)) <= replicas(less, min(few, many))


@pytest.mark.parametrize("wrong", [{"requests_per_minute": 0}, {"concurrency": 0}, {"seconds_per_task": -1}])
def test_a_number_that_is_not_above_zero_is_refused(wrong: dict[str, int]) -> None:
    right: dict[str, Any] = {
        "requests_per_minute": 1,
        "tokens_per_minute": None,
        "concurrency": 1,
        "seconds_per_task": 1,
        "calls_per_task": 1,
        "tokens_per_call": 1,
    }
    with pytest.raises(ValueError, match="is not above zero"):
        ceiling(**{**right, **wrong})


def test_the_workers_most_is_lowered_to_what_the_model_keeps_busy_and_shown() -> None:
    recorded = fleet(llm={"tokens_per_minute": 800_000}, worker={"replicas": {"min": 2, "max": 20}})
    assert recorded.one(SCALED_OBJECT).inputs["spec"]["maxReplicaCount"] == 6
    assert AgentFleetArgs.model_validate(arguments()).replicas_of("worker").max == 10


def test_without_limits_nothing_is_lowered() -> None:
    assert most() == (10, 10)
    assert most(llm={"tokens_per_minute": 800_000}) == (10, 6)


def test_the_api_is_bounded_where_its_requests_in_flight_decide() -> None:
    keda = {"prometheus": {"url": "http://prometheus.monitoring:9090"}}
    llm = {"requests_per_minute": 1000}
    # 20 at once make 200 calls a minute.
    assert most(llm=llm, keda=keda, replicas={"concurrency": 20}) == (5, 10)
    assert most(llm=llm, keda=keda) == (10, 10)


def test_a_models_own_limits_count_in_place_of_the_general_ones() -> None:
    llm = {
        "model": "claude-sonnet-4-5",
        "requests_per_minute": 1_000_000,
        "limits": {"anthropic:claude-sonnet-4-5": {"requests_per_minute": 200}},
    }
    assert most(llm=llm)[1] == 5


def test_of_several_models_the_one_that_keeps_most_busy_counts() -> None:
    llm = {
        "model": "openai:a",
        "requests_per_minute": 120,
        "limits": {"openai:b": {"requests_per_minute": 240}},
    }
    agents = {"one": {"agent": "m:a"}, "two": {"agent": "m:b", "model": "openai:b"}}
    assert most(llm=llm, agents=agents)[1] == 6
    assert most(llm={**llm, "requests_per_minute": None}, agents=agents)[1] == 10


def test_a_ceiling_that_meets_the_least_makes_a_fixed_number() -> None:
    recorded = fleet(llm={"requests_per_minute": 40}, worker={"replicas": {"min": 1, "max": 20}})
    assert recorded.one(DEPLOYMENT, "support-worker").inputs["spec"]["replicas"] == 1
    assert not recorded.of(SCALED_OBJECT)
    assert [item.name for item in recorded.of(HPA)] == ["support"]


def test_a_guess_about_a_task_is_never_longer_than_a_task_may_be() -> None:
    llm = {"requests_per_minute": 960}
    # The defaults: 4 calls in 60 seconds, 16 calls a minute for each worker; in 15 seconds it is 64.
    assert most(llm=llm, usual_task={}, worker={"replicas": {"min": 1, "max": 100}})[1] == 60
    short = most(llm=llm, usual_task={}, task_timeout=15, worker={"replicas": {"min": 1, "max": 100}})
    assert short[1] == 15


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (
            {"worker": {"replicas": {"min": 8, "max": 20}}},
            "worker.replicas: min 8 is too many: the model's requests a minute keep 5 busy; say fewer, raise",
        ),
        (
            {
                "worker": {
                    "replicas": {"schedules": [{"start": "0 8 * * *", "end": "0 9 * * *", "replicas": 7}]}
                }
            },
            "worker.replicas: schedules.0.replicas 7 is too many",
        ),
        (
            {"task_timeout": 20},
            "usual_task.seconds 30 is above task_timeout 20, which ends every task; lower the first",
        ),
    ],
)
def test_what_cannot_be_lowered_is_refused(args: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgsError) as caught:
        fleet(llm={"requests_per_minute": 200}, **args)
    assert said in str(caught.value)

"""Each fault of issue 5 on its own: no task is lost, no effect happens twice, all is well again by itself.

What is promised: every task that was taken (202) ends, once; its effect outside, which takes the run's
idempotency key, happens once; it is asked for again only where a process or a store was lost between the
effect and the keeping of its step.
"""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from typing import Any

import pytest

from tests.app.accounts import all_end, once_each, states, submit
from tests.app.drill import ENDED, HEALTHY_SECONDS, Drill
from tests.app.processes import until

#: USD, and USD for a million tokens: some dozens of tasks' worth.
BUDGET, PRICE = 0.5, 1000

pytestmark = pytest.mark.xdist_group("drill")


def test_tasks_of_killed_workers_are_done_by_others(fleet: Drill) -> None:
    ids = submit(fleet, 40, seconds=0.5)
    killed = 0
    for worker in list(fleet.workers):
        until(lambda: fleet.statuses()["running"] > 4, what="running tasks")
        killed += 8  # its concurrency: so many were perhaps amid their effect
        worker.running.kill()
        worker.running.wait()
        fleet.start("work")
    all_end(fleet, ids, repeated=killed)
    fleet.is_healthy(fleet.apis[0])


def test_sigterm_under_load_hands_nothing_back_and_ends_with_0(fleet: Drill) -> None:
    ids = submit(fleet, 60, seconds=0.2)
    for worker in list(fleet.workers):
        worker.running.send_signal(signal.SIGTERM)
        assert worker.running.wait(60) == 0
        fleet.start("work")
    once_each(fleet, ids)
    assert all(state[1] == 1 for state in states(fleet, ids).values())


def test_a_worker_that_must_stop_at_once_hands_its_tasks_back_and_no_try_counts(fleet: Drill) -> None:
    for worker in fleet.workers:
        worker.running.send_signal(signal.SIGTERM)
        worker.running.wait(60)
    hasty = fleet.start("work", AGENT_APP_DRAIN_SECONDS="0")
    ids = submit(fleet, 8, seconds=15)
    # Each has had its effect, and the step is kept.
    until(lambda: fleet.steps_kept(ids) == len(ids), what="tasks in their wait")
    hasty.running.send_signal(signal.SIGTERM)
    assert hasty.running.wait(60) == 0
    assert {state[2] for state in states(fleet, ids).values()} == {0}
    for _ in range(2):
        fleet.start("work")
    once_each(fleet, ids)


def test_redis_gone_for_30_s_and_back_empty(fleet: Drill) -> None:
    before = submit(fleet, 20)
    with fleet.redis.gone():
        gone = time.monotonic()
        amid = submit(fleet, 20)
        api = fleet.apis[0]
        until(lambda: api.get("/readyz").json()["status"] == "degraded", what="the state without Redis")
        while time.monotonic() - gone < 30:
            assert api.post("/v1/chat", {"message": "hi", "agent": "assistant"}).status_code == 200
            amid += submit(fleet, 2)
            time.sleep(2)
    once_each(fleet, before + amid)
    fleet.is_healthy(api)


def test_postgres_restarted(fleet: Drill) -> None:
    ids = submit(fleet, 40, seconds=0.3)
    fleet.postgres.restart()
    once_each(fleet, ids)
    fleet.is_healthy(fleet.apis[0])


def test_postgres_killed_and_gone_for_longer_than_the_queue_has_patience(fleet: Drill) -> None:
    ids = submit(fleet, 60, seconds=0.3)
    # Six receipts make a dead letter: those who received and could not begin would have used them up.
    fleet.postgres.gone_for(20)
    once_each(fleet, ids)
    fleet.is_healthy(fleet.apis[0])


def test_sqs_errs_and_loses_answers(fleet: Drill) -> None:
    fleet.sqs_faults(
        {"kind": "status", "status": 503, "probability": 0.1},
        {"kind": "throttle", "probability": 0.1},
        {"kind": "lost", "probability": 0.1},
        {"kind": "refuse", "probability": 0.1},
    )
    ids = submit(fleet, 60)
    time.sleep(2)
    fleet.sqs_faults()
    once_each(fleet, ids)
    fleet.is_healthy(fleet.apis[0])


def test_sqs_delivers_everything_twice(fleet: Drill) -> None:
    fleet.sqs_faults({"kind": "duplicate", "probability": 1}, {"kind": "duplicate", "seconds": 3})
    ids = submit(fleet, 60, seconds=0.1)
    once_each(fleet, ids)
    fleet.sqs_faults()
    assert {state[1] for state in states(fleet, ids).values()} == {1}
    until(lambda: fleet.depth(fleet.queue_url) == 0, HEALTHY_SECONDS, what="an empty queue")


def test_a_queue_that_loses_all_its_messages_loses_no_task(fleet: Drill) -> None:
    stopped = list(fleet.workers)
    for worker in stopped:
        worker.running.send_signal(signal.SIGTERM)
        worker.running.wait(60)
    ids = submit(fleet, 20)
    fleet.sqs.purge_queue(QueueUrl=fleet.queue_url)
    for _ in range(2):
        fleet.start("work")
    once_each(fleet, ids, seconds=120)


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "status", "status": 429, "retry_after": 1},
        {"kind": "status", "status": 500},
        {"kind": "cut", "after": 0.5},
        {"kind": "garbage"},
        {"kind": "empty"},
        {"kind": "hang", "seconds": 2},
    ],
    ids=lambda rule: str(rule["kind"]) + str(rule.get("status", "")),
)
def test_a_model_that_fails_now_and_then(fleet: Drill, rule: dict[str, Any]) -> None:
    fleet.llm_faults({**rule, "probability": 0.3})
    ids = submit(fleet, 20)
    once_each(fleet, ids)
    fleet.llm_faults()
    fleet.is_healthy(fleet.apis[0])


def test_poison_ends_as_a_dead_letter_with_its_reason_and_harms_nobody(fleet: Drill) -> None:
    fleet.sqs.purge_queue(QueueUrl=fleet.dead_letters_url)
    poison = submit(fleet, 3, is_poison=True)
    ids = submit(fleet, 20)
    once_each(fleet, ids)
    until(lambda: all(state[0] == "failed" for state in states(fleet, poison).values()), what="the ends")
    assert {tuple(state[1:4]) for state in states(fleet, poison).values()} == {
        (5, 5, "the agent raised RuntimeError")
    }
    assert {fleet.effects()[id] for id in poison} == {1}
    until(lambda: fleet.depth(fleet.dead_letters_url) >= 3, what="dead letters")
    letters = fleet.sqs.receive_message(
        QueueUrl=fleet.dead_letters_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    )["Messages"]
    reasons = {letter["MessageAttributes"]["Reason"]["StringValue"] for letter in letters}
    assert reasons == {"the agent raised RuntimeError"}


@pytest.mark.parametrize(("seconds", "jump"), [(3600, 0), (-3600, 0), (3600, 3)])
def test_a_worker_whose_clock_is_wrong_works_as_the_others(fleet: Drill, seconds: float, jump: float) -> None:
    skewed = fleet.start_skewed(seconds, jump_seconds=jump)
    skewed.ready()
    fleet.sqs_faults({"kind": "duplicate", "probability": 0.5, "seconds": 1})
    # Beyond the visibility of 6 s: leases and receipts are lengthened by whoever has the wrong clock as well.
    ids = submit(fleet, 30, seconds=7)
    once_each(fleet, ids)
    fleet.sqs_faults()
    assert {state[1] for state in states(fleet, ids).values()} == {1}
    skewed.running.send_signal(signal.SIGTERM)
    assert skewed.running.wait(60) == 0
    assert '"task started"' in skewed.log.read_text()


def test_the_budget_holds_whoever_is_killed(fleet: Drill) -> None:
    stopped = list(fleet.workers)
    for worker in stopped:
        worker.running.send_signal(signal.SIGTERM)
        worker.running.wait(60)
    fleet.forget_calls()
    paid = {
        "AGENT_APP_MONTHLY_BUDGET_USD": str(BUDGET),
        "AGENT_APP_MODEL_PRICES": json.dumps({"openai:gpt-4o-mini": {"input": PRICE, "output": PRICE}}),
        "AGENT_APP_MAX_OUTPUT_TOKENS": "16",
    }
    poor = [fleet.start("work", **paid) for _ in range(2)]
    ids = submit(fleet, 120)
    until(lambda: fleet.llm_calls()["total"] > 10, what="calls")
    poor[0].running.kill()
    poor[0].running.wait()
    poor.append(fleet.start("work", **paid))
    until(lambda: all(state[0] in ENDED for state in states(fleet, ids).values()), 120, what="the ends")
    calls = fleet.llm_calls()
    spent = (calls["input_tokens"] + calls["output_tokens"]) * PRICE / 1_000_000
    assert 0 < spent <= BUDGET
    ended = Counter(state[0] for state in states(fleet, ids).values())
    assert ended["succeeded"] > 0
    assert ended["failed"] > 0
    assert all("budget" in state[3].lower() for state in states(fleet, ids).values() if state[0] == "failed")
    for worker in poor[1:]:
        worker.running.send_signal(signal.SIGTERM)
        assert worker.running.wait(60) == 0
    for _ in range(2):
        fleet.start("work")
    fleet.is_healthy(fleet.apis[0])

"""The numbers that keep a task from being lost, for every length that a task may have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_infra.contract import (
    LONGEST_TASK_SECONDS,
    SETTLE_SECONDS,
    SQS_LONGEST_VISIBILITY_SECONDS,
    task_contract,
)

lengths = st.integers(1, LONGEST_TASK_SECONDS)


@given(lengths)
def test_a_pod_that_must_go_can_finish_the_longest_task_and_settle_it(length: int) -> None:
    contract = task_contract(length)
    assert contract.grace >= contract.drain + length + SETTLE_SECONDS


@given(lengths)
def test_no_second_worker_sees_a_task_while_the_first_may_hold_it(length: int) -> None:
    contract = task_contract(length)
    assert length + SETTLE_SECONDS < contract.visibility <= SQS_LONGEST_VISIBILITY_SECONDS


@given(lengths)
def test_two_heartbeats_may_be_lost_before_the_hold_ends(length: int) -> None:
    contract = task_contract(length)
    assert 0 < 3 * contract.heartbeat <= contract.visibility


@given(lengths, lengths)
def test_a_longer_task_never_gets_less_time(one: int, other: int) -> None:
    shorter, longer = sorted((one, other))
    assert task_contract(shorter).grace <= task_contract(longer).grace
    assert task_contract(shorter).visibility <= task_contract(longer).visibility


@pytest.mark.parametrize("length", [0, -1, LONGEST_TASK_SECONDS + 1])
def test_a_length_that_sqs_cannot_hide_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="split longer work into several tasks"):
        task_contract(length)

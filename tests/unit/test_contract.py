"""The numbers that keep a task from being lost, for every length that a task may have."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_infra.contract import (
    DRAINERS_PATIENCE_SECONDS,
    LONGEST_TASK_SECONDS,
    NODE_GRACE_SECONDS,
    SETTLE_SECONDS,
    SHORTEST_HOLD_SECONDS,
    SQS_LONGEST_VISIBILITY_SECONDS,
    START_SECONDS,
    STOP_SECONDS,
    ContractError,
    TaskContract,
    task_contract,
)

lengths = st.integers(1, LONGEST_TASK_SECONDS)
#: Any of the numbers, in and out of reach of one another.
numbers = st.fixed_dictionaries(
    {},
    optional={
        "pre_stop": st.integers(0, 3600),
        "drain": st.integers(1, 100_000),
        "grace": st.integers(1, 200_000),
        "visibility": st.integers(1, 60_000),
        "hold": st.integers(1, 60_000),
        "start": st.integers(10, 10_000),
        "progress_deadline": st.integers(1, 300_000),
        "rollout_timeout": st.integers(1, 600_000),
        "node_grace": st.integers(1, 200_000),
        "protect": st.booleans(),
    },
)


def agrees(contract: TaskContract) -> bool:
    """Whether no number contradicts another, said in another way than the code does."""
    told = contract.pre_stop
    done = told + contract.task_timeout + SETTLE_SECONDS
    return all(
        (
            contract.grace >= done + STOP_SECONDS,
            contract.grace >= told + contract.drain + STOP_SECONDS,
            told + contract.drain >= done,
            contract.grace <= contract.node_grace,
            contract.visibility > contract.task_timeout + SETTLE_SECONDS + STOP_SECONDS,
            contract.hold <= contract.visibility <= SQS_LONGEST_VISIBILITY_SECONDS,
            3 * contract.heartbeat <= contract.hold,
            contract.hold >= SHORTEST_HOLD_SECONDS,
            contract.progress_deadline >= contract.start + contract.grace,
            contract.rollout_timeout >= contract.progress_deadline,
        )
    )


@given(lengths)
def test_no_number_that_follows_contradicts_another(length: int) -> None:
    assert agrees(task_contract(length))


@given(lengths, numbers)
def test_what_is_said_is_taken_or_refused_and_never_makes_a_contradiction(
    length: int, said: dict[str, Any]
) -> None:
    try:
        contract = task_contract(length, **said)
    except ContractError as error:
        assert error.contradictions
        return
    assert agrees(contract)
    assert {name: getattr(contract, name) for name in said} == said


@given(lengths, st.integers(0, 3600), st.integers(0, 3600), st.integers(0, 3600))
def test_numbers_that_are_only_longer_are_never_refused(
    length: int, pre_stop: int, drain: int, grace: int
) -> None:
    derived = task_contract(length)
    said = {"pre_stop": pre_stop, "drain": derived.drain + drain}
    contract = task_contract(length, **said, grace=pre_stop + said["drain"] + STOP_SECONDS + grace)
    assert contract.progress_deadline == START_SECONDS + contract.grace


@given(lengths, st.integers(1, 3600), st.sampled_from(["drain", "grace", "visibility", "rollout_timeout"]))
def test_a_number_that_is_too_short_is_named_with_what_it_contradicts_and_a_way_out_that_works(
    length: int, missing: int, name: str
) -> None:
    least = {
        "drain": length + SETTLE_SECONDS,
        "grace": task_contract(length).grace,
        "visibility": length + SETTLE_SECONDS + STOP_SECONDS + 1,
        "rollout_timeout": task_contract(length).progress_deadline,
    }[name]
    with pytest.raises(ContractError) as caught:
        task_contract(length, **{name: least - missing})
    (first, *_) = (each for each in caught.value.contradictions if each.startswith(f"{name} "))
    assert str(least - missing) in first
    assert f"a {name} of {least} or more" in first
    assert str(missing) in first
    task_contract(length, **{name: least})
    if "or a task_timeout of " in first:
        shorter = int(first.partition("or a task_timeout of ")[2].split()[0])
        hold = {"hold": SHORTEST_HOLD_SECONDS} if name == "visibility" else {}
        task_contract(shorter, **{name: least - missing}, **hold)


@given(lengths, lengths)
def test_a_longer_task_never_gets_less_time(one: int, other: int) -> None:
    shorter, longer = (task_contract(length) for length in sorted((one, other)))
    for name in ("drain", "grace", "visibility", "progress_deadline", "rollout_timeout", "protect"):
        assert getattr(shorter, name) <= getattr(longer, name)


@given(st.integers(1, 1000))
def test_a_drain_of_nodes_and_a_rollout_can_always_go_on(replicas: int) -> None:
    contract = task_contract(300)
    share = int(contract.disrupted.removesuffix("%"))
    assert math.ceil(replicas * share / 100) >= 1
    assert contract.max_surge == contract.disrupted
    assert contract.max_unavailable == 0


def test_auto_modes_nodes_wait_for_the_longest_task() -> None:
    assert task_contract(LONGEST_TASK_SECONDS).grace <= NODE_GRACE_SECONDS


def test_nodes_are_kept_where_drainers_would_cut_a_pod_off() -> None:
    longest = DRAINERS_PATIENCE_SECONDS - task_contract(1).grace + 1
    assert not task_contract(longest).protect
    assert task_contract(longest + 1).protect
    assert task_contract(1, protect=True).protect


@pytest.mark.parametrize("length", [0, -1, LONGEST_TASK_SECONDS + 1])
def test_a_length_that_sqs_cannot_hide_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="split longer work into several tasks"):
        task_contract(length)


def test_several_contradictions_are_told_at_once() -> None:
    with pytest.raises(ContractError) as caught:
        task_contract(300, grace=60, visibility=100, hold=10, rollout_timeout=10)
    assert [each.split()[0] for each in caught.value.contradictions] == [
        "grace",
        "visibility",
        "hold",
        "rollout_timeout",
    ]

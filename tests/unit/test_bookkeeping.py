"""A program's time grows with its resources: how many times all outstanding `Output`s are looked at."""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks, settings
from pulumi.runtime.stack import run_pulumi_func

from agent_infra.bookkeeping import keep_linear
from agent_infra.component import Component
from tests.unit.recording import record


class _Answers(mocks.Mocks):
    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[Any, Any]]:
        return f"{args.name}-id", args.inputs

    def call(self, args: mocks.MockCallArgs) -> dict[Any, Any]:
        return {}


def run(program: Callable[[], None]) -> None:
    """To its end, as the SDK runs it."""

    async def main() -> None:
        mocks.set_mocks(_Answers(), project="books", stack="test")
        settings.SETTINGS.rpc_manager.clear()
        settings.SETTINGS.outputs = deque()
        await run_pulumi_func(program)

    try:
        with asyncio.Runner() as runner:
            runner.run(main())
    finally:
        settings.SETTINGS.outputs = deque()


async def later(value: int) -> int:
    """Known after so many turns of the loop, each value in another one."""
    for _ in range(value):
        await asyncio.sleep(0)
    return value


def looks(count: int, *, linear: bool, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many futures are waited for in all, where `count` become known one after another."""
    looked = 0
    wait = asyncio.wait

    async def counted(futures: Any, **options: Any) -> Any:
        nonlocal looked
        looked += len(futures)
        return await wait(futures, **options)

    def program() -> None:
        if linear:
            keep_linear()
        for number in range(count):
            pulumi.Output.from_input(later(number))

    with monkeypatch.context() as patched:
        patched.setattr(asyncio, "wait", counted)
        run(program)
    return looked


def test_every_output_is_looked_at_a_few_times_however_many_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert looks(200, linear=True, monkeypatch=monkeypatch) <= 2 * 200
    # What it is for: should the SDK do as much by itself one day, this module can go.
    assert looks(200, linear=False, monkeypatch=monkeypatch) > 20 * 200


def test_a_component_is_enough_for_it() -> None:
    def program() -> None:
        settings.SETTINGS.outputs = deque()
        Component("Part", "part", None)
        assert type(settings.SETTINGS.outputs) is not deque

    record(program)


def test_the_program_ends_only_when_the_last_output_that_follows_from_another_is_known() -> None:
    known: list[int] = []

    def program() -> None:
        keep_linear()
        first = pulumi.Output.from_input(later(5))
        first.apply(lambda value: pulumi.Output.from_input(later(value * 4)).apply(known.append))

    run(program)
    assert known == [20]


def test_an_error_in_an_output_ends_the_program_with_it() -> None:
    def fails(_value: int) -> None:
        raise LookupError("no such thing")

    def program() -> None:
        keep_linear()
        pulumi.Output.from_input(later(3)).apply(fails)
        pulumi.Output.from_input(later(50))

    with pytest.raises(LookupError, match="no such thing"):
        run(program)


def test_the_garbage_collector_is_left_as_it_was() -> None:
    before = gc.get_threshold()

    def program() -> None:
        keep_linear()
        pulumi.Output.from_input(later(1))
        assert gc.get_threshold() != before

    run(program)
    assert gc.get_threshold() == before


def test_it_leaves_an_sdk_alone_that_keeps_its_books_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    other: list[Any] = []
    monkeypatch.setattr(settings.SETTINGS, "outputs", other)
    keep_linear()
    assert settings.SETTINGS.outputs is other

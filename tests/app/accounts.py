"""Every task in, every result out, and every effect: counted from outside the service."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from tests.app.drill import Drill
from tests.app.processes import until


def submit(fleet: Drill, count: int, **input: Any) -> list[str]:
    """The ids of those that were taken; each is asked for with its key until it is."""
    api = fleet.apis[0].url

    def one(number: int) -> str:
        key = f"{time.monotonic_ns()}-{number}"
        body = {"agent": "drill", "input": {"name": f"task {number}", **input}, "idempotency_key": key}

        def taken() -> str | None:
            answer = httpx.post(f"{api}/v1/tasks", json=body, timeout=30)
            assert answer.status_code in {202, 503}, answer.text
            return str(answer.json()["task_id"]) if answer.status_code == 202 else None

        return str(until(taken, 60, what="a task that is taken"))

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(one, range(count)))


def states(fleet: Drill, ids: list[str]) -> dict[str, Any]:
    told = fleet.rows("select id::text, status, attempts, tries, error, result from tasks")
    return {id: rest for id, *rest in told if id in ids}


def all_end(fleet: Drill, ids: list[str], *, seconds: float = 90, repeated: int = 0) -> None:
    """They succeed, each with its own effect, of which at most `repeated` were asked for again."""

    def have_ended() -> bool:
        return all(state[0] not in {"queued", "running"} for state in states(fleet, ids).values())

    until(have_ended, seconds, what="the end of all tasks")
    ended = states(fleet, ids)
    assert ended.keys() == set(ids)
    assert fleet.ended_more_than_once() == []
    wrong = {id: state for id, state in ended.items() if state[0] != "succeeded"}
    assert not wrong
    asked = fleet.effects()
    assert all(asked[id] >= 1 for id in ids)
    assert sum(asked[id] - 1 for id in ids) <= repeated
    numbers = [state[4]["effect"] for state in ended.values()]
    assert len(set(numbers)) == len(ids)


def once_each(fleet: Drill, ids: list[str], **options: Any) -> None:
    """As `all_end`, where nothing was lost that an attempt would have to repeat."""
    all_end(fleet, ids, repeated=0, **options)

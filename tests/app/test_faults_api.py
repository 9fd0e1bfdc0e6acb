"""What requests meet with when an API, the vendor or the client goes in their midst, or a store's network."""

from __future__ import annotations

import json
import signal
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.app.accounts import once_each
from tests.app.drill import Drill
from tests.app.processes import LOOPBACK, until
from tests.app.stack import App
from tests.app.stores import PASSWORD
from tests.app.toxiproxy import toxiproxy

pytestmark = pytest.mark.xdist_group("drill")

_LONG = "word " * 60


@contextmanager
def said_as_events(api: App, session: str) -> Iterator[Iterator[tuple[str, Any]]]:
    body = {"message": _LONG, "agent": "assistant", "session_id": session, "stream": True}
    with httpx.stream("POST", f"{api.url}/v1/chat", json=body, timeout=30) as answer:
        assert answer.status_code == 200

        def events() -> Iterator[tuple[str, Any]]:
            name = ""
            for line in answer.iter_lines():
                kind, _, rest = line.partition(": ")
                if kind == "event":
                    name = rest
                elif kind == "data":
                    yield name, json.loads(rest)

        yield events()


def turns(api: App, session: str) -> int:
    answer = api.get(f"/v1/sessions/{session}")
    return len(answer.json()["messages"]) // 2 if answer.status_code == 200 else 0


def test_a_stream_that_the_vendor_cuts_ends_with_an_error_and_is_not_kept(fleet: Drill) -> None:
    api, session = fleet.apis[0], uuid.uuid4().hex
    fleet.llm_faults({"kind": "cut", "after": 0.5, "next": 1})
    with said_as_events(api, session) as events:
        names = [name for name, _ in events]
    assert names[0] == "delta"
    assert names[-1] == "error"
    assert turns(api, session) == 0
    with said_as_events(api, session) as events:
        assert [name for name, _ in events][-1] == "done"
    assert turns(api, session) == 1


def test_a_stream_whose_api_dies_is_not_kept_and_another_answers(fleet: Drill) -> None:
    other, session = fleet.apis[0], uuid.uuid4().hex
    dying = fleet.start("serve")
    dying.ready()
    fleet.llm_faults({"kind": "stall", "after": 0.5, "seconds": 20, "next": 1})
    with pytest.raises(httpx.RemoteProtocolError), said_as_events(dying, session) as events:
        for _ in events:
            dying.running.kill()
    assert turns(other, session) == 0
    with said_as_events(other, session) as events:
        assert [name for name, _ in events][-1] == "done"


def test_a_client_that_leaves_takes_its_call_of_the_model_along(fleet: Drill) -> None:
    api, session = fleet.start("serve", AGENT_APP_CHAT_CONCURRENCY="1"), uuid.uuid4().hex
    api.ready()
    fleet.llm_faults({"kind": "stall", "after": 0.5, "seconds": 60, "next": 1})
    with said_as_events(api, session) as events:
        assert next(events)[0] == "delta"
        assert fleet.llm_calls()["concurrency"] == 1
    until(lambda: fleet.llm_calls()["concurrency"] == 0, 20, what="the end of the call")
    answer = api.post("/v1/chat", {"message": "hello", "agent": "assistant"})
    assert answer.status_code == 200  # the only place for a request is free again
    assert turns(api, session) == 0


def test_sigterm_under_load_breaks_no_request_that_was_accepted(fleet: Drill) -> None:
    api = fleet.start("serve")
    api.ready()
    outcomes: list[str] = []
    broken: list[str] = []

    def ask(_: int) -> None:
        body = {"message": "hi", "agent": "assistant"}
        while True:
            id = uuid.uuid4().hex
            try:
                answer = httpx.post(f"{api.url}/v1/chat", json=body, timeout=30, headers={"X-Request-ID": id})
                outcomes.append(str(answer.status_code))
            except httpx.ConnectError:
                return  # it accepts no more
            except httpx.HTTPError:
                broken.append(id)  # Linux had let it in, and ended it with the socket that listens

    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(ask, number) for number in range(8)]
        until(lambda: len(outcomes) > 20, what="some answers")
        api.running.send_signal(signal.SIGTERM)
        for each in asking:
            each.result(60)
    assert api.running.wait(60) == 0
    assert set(outcomes) == {"200"}
    log = api.log.read_text()
    assert [id for id in broken if id in log] == []


def test_a_task_whose_api_died_before_it_was_sent_is_sent_by_a_worker(fleet: Drill) -> None:
    api, key = fleet.start("serve"), uuid.uuid4().hex
    api.ready()
    fleet.sqs_faults({"kind": "delay", "match": "SendMessage ", "seconds": 20})
    body = {"agent": "drill", "input": {"name": "unsent"}, "idempotency_key": key}

    def ids() -> list[str]:
        found = fleet.rows("select id::text from tasks where idempotency_key = %s", key)
        return [id for (id,) in found]

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(httpx.post, f"{api.url}/v1/tasks", json=body, timeout=60)
        until(ids, what="the task")
        api.running.kill()
        with pytest.raises(httpx.HTTPError):
            asking.result(60)
    fleet.sqs_faults()
    once_each(fleet, ids())


def test_a_network_that_swallows_what_goes_to_postgres_is_survived(fleet: Drill) -> None:
    with toxiproxy(fleet.directory) as proxies:
        proxy = proxies.proxy("swallowing", fleet.postgres.port)
        url = f"postgresql://postgres:{PASSWORD}@{LOOPBACK}:{proxy.port}/postgres?sslmode=disable"
        api = fleet.start("serve", AGENT_APP_DATABASE_URL=url)
        worker = fleet.start("work", AGENT_APP_DATABASE_URL=url)
        api.ready()
        fleet.is_healthy(api)
        with proxy.toxic("timeout", timeout=0):
            answer = api.post("/v1/chat", {"message": "hello", "agent": "assistant"})
            assert answer.status_code == 503
            assert api.get("/readyz").status_code == 503
            time.sleep(5)
        fleet.is_healthy(api)
        for app in (worker, api):
            app.running.send_signal(signal.SIGTERM)
            assert app.running.wait(90) == 0

"""How many tasks a worker holds at once, and the memory of the roles: `python -m benchmarks.worker`.

The vendor takes 1 s for a call. The queue is the tests' stand-in for SQS (moto's own is too slow for this),
Postgres and Redis are real; limits, metrics and traces are on. All tasks wait in the queue when the worker
starts; what it has in hand is read from its metrics four times a second.
"""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack
from typing import Any

import boto3
import httpx

from benchmarks import results, running
from tests.app.processes import tool
from tests.app.stack import AWS, App, Stack

TASKS, CONCURRENCY, ROUNDS = 1500, 256, 2


def main() -> None:
    with ExitStack() as parts:
        ground = parts.enter_context(running.ground(1))
        stack = ground.stack
        queues = parts.enter_context(tool("sqs_fake", stack.directory))
        variables = {
            **ground.everything,
            "AWS_ENDPOINT_URL_SQS": queues,
            "AGENT_APP_QUEUE_URL": _queue(queues),
            "AGENT_APP_WORKER_CONCURRENCY": str(CONCURRENCY),
        }
        api = parts.enter_context(stack.app(**variables))
        rounds = [_round(stack, api, variables) for _ in range(ROUNDS)]
        rounds[0]["serve_mib"] = running.memory(api)
    found: dict[str, Any] = {
        name: results.spread([round_[name] for round_ in rounds])
        for name in ("in_flight", "most_in_flight", "tasks_a_second", "work_mib")
    }
    found["serve_mib"] = rounds[0]["serve_mib"]
    for name, value in found.items():
        print(f"{name:15} {value if isinstance(value, float) else results.shown(value)}")
    results.write("worker", {"tasks": TASKS, "concurrency": CONCURRENCY, "rounds": ROUNDS, **found})


def _round(stack: Stack, api: App, variables: dict[str, str]) -> dict[str, float]:
    api.ready()
    before = _succeeded(stack)
    running.load(f"{api.url}/v1/tasks", "task", count=TASKS, at_once=16, seconds=120)
    with stack.app("work", **variables) as worker:
        worker.ready()
        held: list[float] = []
        memory = began = ended = 0.0
        deadline = time.monotonic() + 120
        while (done := _succeeded(stack) - before) < TASKS:
            assert time.monotonic() < deadline, f"{done} of {TASKS} tasks have succeeded after 120 s"
            held.append(_in_flight(worker))
            if held[-1] and not began:
                began = time.monotonic()
            # What is left then no longer fills the worker.
            if done > TASKS - 2 * CONCURRENCY and not ended:
                ended, fraction = time.monotonic(), done
                held, full = [], held
            memory = max(memory, running.memory(worker))
            time.sleep(0.25)
    busy = [value for value in full if value > CONCURRENCY / 4]
    return {
        "in_flight": statistics.median(busy),
        "most_in_flight": max(busy),
        "tasks_a_second": round(fraction / (ended - began), 1),
        "work_mib": memory,
    }


def _in_flight(worker: App) -> float:
    for line in worker.get("/metrics").text.splitlines():
        if line.startswith("agent_app_tasks_in_flight "):
            return float(line.rpartition(" ")[2])
    raise AssertionError("the worker's metrics lack agent_app_tasks_in_flight")


def _succeeded(stack: Stack) -> int:
    ((count,),) = stack.rows("select count(*) from tasks where status = 'succeeded'")
    return int(count)


def _queue(url: str) -> str:
    keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
    client = boto3.client("sqs", endpoint_url=url, region_name=AWS["AWS_REGION"], **keys)  # type: ignore[call-overload]
    name: str = client.create_queue(QueueName="bench", Attributes={"VisibilityTimeout": "60"})["QueueUrl"]
    httpx.delete(f"{url}/__stats")
    return name


if __name__ == "__main__":
    main()

"""The service as processes over real stores."""

from __future__ import annotations

import concurrent.futures
import json
import signal
import socket
import time
from pathlib import Path

import psycopg
import redis

from tests.app import stack as stacks
from tests.app.stack import LOOPBACK, PASSWORD, REDIS_PASSWORD, Stack, until


def test_a_chat_keeps_its_context_across_turns_and_processes(stack: Stack) -> None:
    with stack.app() as one, stack.app() as other:
        first = one.say("my name is Ada")
        second = other.say("who am I?", first["session_id"])
        third = one.say("sure?", first["session_id"])
        (listed,) = other.get("/v1/sessions").json()["sessions"]
    assert (listed["title"], listed["turns"]) == ("my name is Ada", 3)
    assert first["model"] == "built-in"
    assert "my name is Ada" in second["reply"]
    assert "who am I?" in third["reply"]
    assert third["usage"]["input_tokens"] > second["usage"]["input_tokens"] > first["usage"]["input_tokens"]


def test_a_chat_survives_the_loss_of_all_that_redis_holds(stack: Stack) -> None:
    with stack.app() as app:
        session = app.say("remember the milk")["session_id"]
        with redis.Redis(host=LOOPBACK, port=stack.redis_port, password=REDIS_PASSWORD) as store:
            assert store.keys(f"agent-app:{stack.database}:*")
            store.flushall()
        assert "remember the milk" in app.say("what was it?", session)["reply"]
        said = app.get(f"/v1/sessions/{session}").json()["messages"]
    assert [message["role"] for message in said] == ["user", "assistant"] * 2
    assert [message["turn"] for message in said] == [1, 1, 2, 2]


def test_without_redis_a_chat_is_answered_from_postgres_and_readyz_is_degraded(
    stack: Stack, tmp_path: Path
) -> None:
    port = stacks.free_port()
    with stack.app(AGENT_APP_REDIS_URL=f"redis://{LOOPBACK}:{port}/0") as app:
        session = app.say("remember the milk")["session_id"]
        assert "remember the milk" in app.say("what was it?", session)["reply"]
        ready = app.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert ready.json()["checks"] == {"postgres": "ok", "redis": "failed: ConnectionError", "sqs": "ok"}
        with stacks.redis(tmp_path, port):
            until(lambda: app.get("/readyz").json()["status"] == "ready", 10, what="readiness")
            assert "what was it?" in app.say("and now?", session)["reply"]


def test_readyz_names_all_that_is_down_and_tells_no_address(stack: Stack) -> None:
    nowhere = stacks.free_port()
    down = {
        "AGENT_APP_DATABASE_URL": f"postgresql://{LOOPBACK}:{nowhere}/x",
        "AGENT_APP_QUEUE_URL": stack.queue_url + "-missing",
    }
    with stack.app(**down) as app:
        ready = app.get("/readyz")
        chat = app.post("/v1/chat", {"message": "hello"})
    assert ready.status_code == 503
    assert ready.headers["content-type"] == "application/problem+json"
    assert "postgres" in ready.json()["detail"]
    assert "sqs" in ready.json()["checks"]
    assert ready.json()["checks"]["redis"] == "ok"
    assert str(nowhere) not in ready.text
    assert chat.status_code == 503
    assert chat.json()["detail"].startswith("The database cannot be reached")


def test_readyz_asks_for_the_migration(bare_stack: Stack) -> None:
    with bare_stack.app() as app:
        assert "agent-app migrate" in app.get("/readyz").json()["checks"]["postgres"]
        assert bare_stack.migrate().returncode == 0
        assert app.get("/readyz").status_code == 200


def test_a_task_goes_through_the_queue_to_a_worker_and_back(stack: Stack) -> None:
    with stack.app() as app, stack.app("work") as worker:
        id = app.submit({"input": {"prompt": "sum up the week"}})
        state = app.task_becomes(id, "succeeded")
        assert "sum up the week" in state["result"]
        assert state["attempts"] == 1
        assert worker.get("/readyz").json()["checks"] == {"postgres": "ok", "redis": "ok", "sqs": "ok"}
        assert (
            'agent_app_tasks_total{agent="assistant",outcome="succeeded"} 1.0' in worker.get("/metrics").text
        )
        assert worker.get("/v1/tasks/" + id).status_code == 404


def test_a_task_asked_for_twice_with_one_key_is_one_task(stack: Stack) -> None:
    with stack.app() as app, stack.app("work"):
        header = {"Idempotency-Key": "order-66"}
        bodies = [{"agent": "wait", "input": {"seconds": 0}}] * 8
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            ids = set(pool.map(lambda body: app.submit(body, headers=header), bodies))
        assert len(ids) == 1
        assert app.task_becomes(ids.pop(), "succeeded")["attempts"] == 1
        other = app.post("/v1/tasks", {"agent": "wait", "input": {"seconds": 1}}, headers=header)
        assert other.status_code == 422
        assert "another task" in other.json()["detail"]


def test_a_message_delivered_twice_runs_its_task_once(stack: Stack) -> None:
    with stack.app() as app:
        id = app.submit({"agent": "wait", "input": {"seconds": 1}})
        for _ in range(3):
            stack.client("sqs").send_message(
                QueueUrl=stack.queue_url, MessageBody=json.dumps({"task_id": id, "request_id": None})
            )
        with stack.app("work") as one, stack.app("work") as other:
            assert app.task_becomes(id, "succeeded")["attempts"] == 1
            until(lambda: depth(stack, stack.queue_url) == 0, 30, what="an empty queue")
            assert app.task(id)["attempts"] == 1
            started = [worker.log.read_text().count("task started") for worker in (one, other)]
    assert sum(started) == 1


def test_a_task_that_keeps_failing_ends_failed_and_is_dead_lettered(stack: Stack) -> None:
    with stack.app() as app, stack.app("work", AGENT_APP_TASK_TIMEOUT="0.2"):
        id = app.submit({"agent": "wait", "input": {"seconds": 5}})
        state = app.task_becomes(id, "failed")
        assert state["attempts"] == 3
        assert "longer than 0.2 s" in state["error"]
        until(lambda: depth(stack, stack.dead_letters_url) == 1, 30, what="a dead letter")


def test_a_dead_letter_that_is_sent_again_is_tried_again(stack: Stack) -> None:
    sqs = stack.client("sqs")
    with stack.app() as app:
        with stack.app("work", AGENT_APP_TASK_TIMEOUT="0.2"):
            id = app.submit({"agent": "wait", "input": {"seconds": 1}})
            app.task_becomes(id, "failed")
            until(lambda: depth(stack, stack.dead_letters_url) == 1, 30, what="a dead letter")
        (letter,) = sqs.receive_message(QueueUrl=stack.dead_letters_url)["Messages"]
        with stack.app("work"):
            sqs.send_message(QueueUrl=stack.queue_url, MessageBody=letter["Body"])
            state = app.task_becomes(id, "succeeded")
    assert (state["attempts"], state["error"]) == (4, None)


def test_a_task_longer_than_the_visibility_is_kept_by_the_heartbeat(stack: Stack) -> None:
    short = {"AGENT_APP_VISIBILITY_SECONDS": "2"}
    with stack.app() as app, stack.app("work", **short) as one, stack.app("work", **short) as two:
        one.ready()
        two.ready()
        id = app.submit({"agent": "wait", "input": {"seconds": 6}})
        assert app.task_becomes(id, "succeeded")["attempts"] == 1
        assert sum(worker.log.read_text().count("task started") for worker in (one, two)) == 1


def test_sigterm_amid_a_task_finishes_it_and_exits_with_0(stack: Stack) -> None:
    with stack.app() as app, stack.app("work") as worker:
        id = app.submit({"agent": "wait", "input": {"seconds": 3}})
        app.task_becomes(id, "running")
        worker.running.send_signal(signal.SIGTERM)
        time.sleep(1)
        assert worker.get("/healthz").status_code == 200  # it answers while it drains
        assert worker.running.wait(30) == 0
        state = app.task(id)
        assert (state["status"], state["attempts"]) == ("succeeded", 1)
        assert depth(stack, stack.queue_url) == 0


def test_sigterm_amid_the_start_ends_it_with_0(stack: Stack) -> None:
    with socket.create_server((LOOPBACK, 0)) as silent:
        port = silent.getsockname()[1]
        with stack.app("work", AWS_ENDPOINT_URL=f"http://{LOOPBACK}:{port}") as worker:
            silent.settimeout(60)
            asking, _ = silent.accept()  # for a secret
            with asking:
                worker.running.send_signal(signal.SIGTERM)
                assert worker.running.wait(30) == 0


def test_a_task_that_outlasts_the_drain_is_handed_to_another_worker(stack: Stack) -> None:
    with stack.app() as app:
        with stack.app("work", AGENT_APP_DRAIN_SECONDS="0.5") as worker:
            id = app.submit({"agent": "wait", "input": {"seconds": 4}})
            app.task_becomes(id, "running")
            assert worker.stop() == 0
            assert app.task(id)["status"] == "queued"
        with stack.app("work"):
            assert app.task_becomes(id, "succeeded")["attempts"] == 2


def test_a_task_whose_worker_was_killed_is_run_by_another(stack: Stack) -> None:
    with stack.app() as app:
        with stack.app("work", AGENT_APP_VISIBILITY_SECONDS="3") as worker:
            id = app.submit({"agent": "wait", "input": {"seconds": 2}})
            app.task_becomes(id, "running")
            worker.running.kill()
            worker.running.wait()
        with stack.app("work"):
            assert app.task_becomes(id, "succeeded")["attempts"] == 2


def test_sigterm_lets_a_request_in_hand_finish(stack: Stack) -> None:
    with stack.app() as app:
        app.ready()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            lock = psycopg.connect(stacks.admin_url(stack.postgres_port, stack.database))
            lock.execute("lock table sessions")
            answer = pool.submit(app.say, "hello")
            time.sleep(1)
            app.running.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            lock.close()
            assert "hello" in answer.result(30)["reply"]
        assert app.running.wait(30) == 0


def test_migrations_run_at_once_and_again_change_nothing(bare_stack: Stack) -> None:
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda _: bare_stack.migrate(), range(3)))
    assert [result.returncode for result in results] == [0, 0, 0], results
    assert bare_stack.migrate().returncode == 0
    assert bare_stack.rows("select version_num from alembic_version") == [("0004",)]


def test_the_migrations_make_the_tables_that_the_service_declares(stack: Stack) -> None:
    from agent_app.state.tables import metadata
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlalchemy import create_engine

    url = stacks.admin_url(stack.postgres_port, stack.database).replace("postgresql:", "postgresql+psycopg:")
    engine = create_engine(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_a_rotated_password_is_read_again(stack: Stack) -> None:
    with stack.app(AGENT_APP_DATABASE_POOL_SIZE="0") as app:
        session = app.say("before")["session_id"]
        with psycopg.connect(stacks.admin_url(stack.postgres_port), autocommit=True) as connection:
            connection.execute(f"alter role {stack.role} password '{PASSWORD}-rotated'")
        assert app.post("/v1/chat", {"message": "between"}).status_code == 503
        value = {"username": stack.role, "password": f"{PASSWORD}-rotated"}
        stack.client("secretsmanager").put_secret_value(
            SecretId=stack.secret_arn, SecretString=json.dumps(value)
        )
        assert "before" in app.say("after", session)["reply"]


def test_logs_hold_neither_secrets_nor_what_was_said(stack: Stack) -> None:
    key = "sk-ant-very-secret-" + PASSWORD
    secret_variables = {"AGENT_APP_LOG_LEVEL": "debug", "AGENT_APP_MODEL": "built-in", "LLM_API_KEY": key}
    with stack.app(**secret_variables) as app, stack.app("work", **secret_variables) as worker:
        app.say("whisper-in-the-chat")
        app.task_becomes(app.submit({"input": "whisper-in-the-task"}), "succeeded")
        app.post("/v1/chat", {"message": "whisper-in-a-mistake", "wrong": "whisper"})
        logs = app.log.read_text() + worker.log.read_text()
    assert "task ended" in logs
    for secret in (PASSWORD, REDIS_PASSWORD, "sk-ant", "whisper"):
        assert secret not in logs
    for line in logs.splitlines():
        assert json.loads(line)["fleet"] == stack.database


def test_a_replica_is_small(stack: Stack) -> None:
    with stack.app() as app, stack.app("work") as worker:
        app.task_becomes(app.submit({"input": "x"}), "succeeded")
        app.say("hello")
        for role, replica in (("serve", app), ("work", worker)):
            status = Path(f"/proc/{replica.running.pid}/status").read_text()
            resident = int(status.split("VmRSS:")[1].split()[0]) // 1024
            # 150 measured; pydantic-ai, which every agent is made of, is 60 of them.
            assert resident < 165, role


def depth(stack: Stack, url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = stack.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(value) for value in attributes.values())

"""moto, Redis and Postgres as real processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from agent_infra.local import services
from agent_infra.local.environment import LocalEnvironment, LocalError
from agent_infra.local.services import ServiceState

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("services")]


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[LocalEnvironment]:
    made = LocalEnvironment(tmp_path / "local")
    try:
        yield made
    finally:
        services.stop(made)


def pids(environment: LocalEnvironment) -> dict[str, int]:
    return {name: environment.service(name)["pid"] for name in services.NAMES}


def kill(environment: LocalEnvironment, *names: str) -> None:
    for name in names:
        process = psutil.Process(environment.service(name)["pid"])
        os.kill(process.pid, signal.SIGKILL)
        process.wait(5)


def states(environment: LocalEnvironment) -> dict[str, str]:
    return {service.name: str(service.state) for service in services.status(environment)}


def redis_client(environment: LocalEnvironment) -> redis.Redis:
    entry = environment.service("redis")
    return redis.Redis(port=entry["port"], password=entry["admin_password"], decode_responses=True)


def postgres(environment: LocalEnvironment) -> psycopg.Connection[tuple[str]]:
    entry = environment.service("postgres")
    return psycopg.connect(
        host="127.0.0.1",
        port=entry["port"],
        user=entry["user"],
        password=entry["password"],
        dbname="postgres",
        autocommit=True,
    )


def test_what_runs_is_left_alone_and_what_stopped_starts_with_its_data(environment: LocalEnvironment) -> None:
    services.start(environment)
    assert set(states(environment).values()) == {"running"}
    before, generation = pids(environment), services.generation(environment)
    services.start(environment)
    assert pids(environment) == before
    assert services.generation(environment) == generation

    client = redis_client(environment)
    client.set("kept", "yes")
    client.close()
    with postgres(environment) as connection:
        connection.execute("create table kept (word text)")
        connection.execute("insert into kept values ('yes')")

    services.stop(environment)
    assert set(states(environment).values()) == {"stopped"}
    assert not [pid for pid in before.values() if psutil.pid_exists(pid)]
    services.start(environment)
    assert services.generation(environment) != generation
    client = redis_client(environment)
    assert client.get("kept") == "yes"
    client.close()
    with postgres(environment) as connection:
        assert connection.execute("select word from kept").fetchone() == ("yes",)


def test_only_what_crashed_is_started_again(environment: LocalEnvironment) -> None:
    services.start(environment)
    before, generation = pids(environment), services.generation(environment)
    kill(environment, "redis", "postgres")
    assert states(environment) == {"moto": "running", "redis": "crashed", "postgres": "crashed"}
    services.start(environment)
    after = pids(environment)
    assert after["moto"] == before["moto"]
    assert services.generation(environment) == generation
    assert after["redis"] != before["redis"] and after["postgres"] != before["postgres"]
    kill(environment, "moto")
    services.start(environment)
    assert services.generation(environment) != generation


def test_one_that_hangs_is_started_again(environment: LocalEnvironment) -> None:
    services.start(environment)
    hung = environment.service("redis")["pid"]
    os.kill(hung, signal.SIGSTOP)
    assert states(environment)["redis"] == ServiceState.HUNG
    services.start(environment)
    assert environment.service("redis")["pid"] != hung
    assert states(environment)["redis"] == "running"


def test_two_starts_at_once_start_each_service_once(environment: LocalEnvironment) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: services.start(environment), range(2)))
    mine = str(environment.root)
    servers = [
        process
        for process in psutil.process_iter(["cmdline"])
        if mine in " ".join(process.info["cmdline"] or []) and process.ppid() != os.getpid()
    ]
    starts = [log.read_text().count("--- started") for log in environment.logs_dir.glob("*.log")]
    assert starts == [1, 1, 1], servers


def test_what_was_written_down_wrongly_is_set_aside_and_the_data_stays(environment: LocalEnvironment) -> None:
    services.start(environment)
    running = pids(environment)
    environment.services_file.write_text('{"services": ')
    try:
        assert set(states(environment).values()) == {"stopped"}
        assert environment.services_file.with_name("services.json.corrupt-1").exists()
    finally:
        for pid in running.values():
            process = psutil.Process(pid)
            process.terminate()
            process.wait(10)


def test_a_database_directory_that_is_none_is_an_error_with_the_way_out(
    environment: LocalEnvironment,
) -> None:
    stray = environment.services_dir / "postgres"
    stray.mkdir(parents=True)
    (stray / "diary.txt").write_text("mine")
    with pytest.raises(LocalError, match=r"not a Postgres data directory.*move it aside"):
        services.start(environment)
    assert (stray / "diary.txt").read_text() == "mine"


def test_a_reused_process_id_is_not_taken_for_a_service(environment: LocalEnvironment) -> None:
    services.start(environment)
    text = environment.services_file.read_text()
    pid = environment.service("moto")["pid"]
    kill(environment, "moto")
    environment.services_file.write_text(text.replace(f'"pid": {pid}', f'"pid": {os.getpid()}'))
    assert states(environment)["moto"] == "crashed"
    services.stop(environment)
    assert time.monotonic() > 0, "this very process was not ended"


def test_no_password_is_in_an_argument_or_a_log(environment: LocalEnvironment) -> None:
    services.start(environment)
    secret = {environment.service("redis")["admin_password"], environment.service("postgres")["password"]}
    told = [" ".join(psutil.Process(pid).cmdline()) for pid in pids(environment).values()]
    told += [log.read_text() for log in environment.logs_dir.glob("*.log")]
    assert not [text for text in told for word in secret if word in text]
    assert environment.services_file.stat().st_mode & 0o077 == 0

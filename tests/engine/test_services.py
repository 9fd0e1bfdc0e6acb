"""moto, Redis and Postgres as real processes."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import redis

from agent_infra.local import services
from agent_infra.local.environment import LocalEnvironment, LocalError
from agent_infra.local.services import ServiceState, record
from agent_infra.local.services.process import Identity, free_port, living_in, start
from agent_infra.local.services.service import SERVICES
from agent_infra.local.services.starting import Starting

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("services")]

STARTER = """
import sys
from pathlib import Path
from agent_infra.local import services
from agent_infra.local.environment import LocalEnvironment
services.start(LocalEnvironment(Path(sys.argv[1])), report=lambda *_: print("starting", flush=True))
"""


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[LocalEnvironment]:
    made = LocalEnvironment(tmp_path / "a place" / "local")  # as people name their folders
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


def servers(environment: LocalEnvironment) -> dict[str, list[int]]:
    """The processes that there really are, whatever is written down."""
    return {
        name: [process.pid for process in living_in(service.directory(environment), service.is_server)]
        for name, service in SERVICES.items()
    }


def one_each(environment: LocalEnvironment) -> dict[str, list[int]]:
    return {name: [pid] for name, pid in pids(environment).items()}


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


def keep(environment: LocalEnvironment, word: str) -> None:
    client = redis_client(environment)
    client.set("kept", word)
    client.close()
    with postgres(environment) as connection:
        connection.execute("create table kept as select %s::text as word", (word,))


def kept(environment: LocalEnvironment) -> list[str]:
    client = redis_client(environment)
    cached = client.get("kept")
    client.close()
    with postgres(environment) as connection:
        row = connection.execute("select word from kept").fetchone()
    assert row is not None
    return [str(cached), row[0]]


def test_what_runs_is_left_alone_and_what_stopped_starts_with_its_data(environment: LocalEnvironment) -> None:
    services.start(environment)
    assert set(states(environment).values()) == {"running"}
    before, generation = pids(environment), services.generation(environment)
    ports = [environment.service(name)["port"] for name in services.NAMES]
    services.start(environment)
    assert pids(environment) == before
    assert services.generation(environment) == generation
    keep(environment, "yes")

    services.stop(environment)
    assert set(states(environment).values()) == {"stopped"}
    assert services.generation(environment) is None
    assert not [pid for pid in before.values() if psutil.pid_exists(pid)]
    services.start(environment)
    assert services.generation(environment) not in {generation, None}
    assert [environment.service(name)["port"] for name in services.NAMES] == ports
    assert kept(environment) == ["yes", "yes"]


def test_a_stop_does_not_wait_for_the_clients_and_leaves_the_database_in_order(
    environment: LocalEnvironment,
) -> None:
    services.start(environment)
    connection = postgres(environment)
    began = time.monotonic()
    services.stop(environment)
    assert time.monotonic() - began < 5
    connection.close()
    services.start(environment)
    assert "not properly shut down" not in (environment.logs_dir / "postgres.log").read_text()


def test_only_what_crashed_is_started_again(environment: LocalEnvironment) -> None:
    services.start(environment)
    keep(environment, "yes")
    before, generation = pids(environment), services.generation(environment)
    kill(environment, "redis", "postgres")
    assert states(environment) == {"moto": "running", "redis": "crashed", "postgres": "crashed"}
    services.start(environment)
    after = pids(environment)
    assert after["moto"] == before["moto"]
    assert services.generation(environment) == generation
    assert after["redis"] != before["redis"]
    assert after["postgres"] != before["postgres"]
    assert kept(environment) == ["yes", "yes"]
    kill(environment, "moto")
    services.start(environment)
    assert services.generation(environment) != generation
    assert pids(environment) | {"moto": 0} == after | {"moto": 0}


def test_a_postgres_that_crashed_under_work_leaves_nothing_in_the_way(environment: LocalEnvironment) -> None:
    services.start(environment)
    connection = postgres(environment)
    backend = Identity.of(psutil.Process(connection.info.backend_pid))

    def work() -> None:
        with suppress(psycopg.Error):
            connection.execute("select sum(sqrt(n)) from generate_series(1, 1000000000) n")

    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(work)
        time.sleep(0.3)
        kill(environment, "postgres")
        services.start(environment)
        busy.result(30)
    connection.close()
    assert backend.process() is None
    assert states(environment)["postgres"] == "running"


def test_what_hangs_is_started_again(environment: LocalEnvironment) -> None:
    services.start(environment)
    keep(environment, "yes")
    hung = pids(environment)
    for pid in hung.values():
        os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    assert set(states(environment).values()) == {ServiceState.HUNG}
    assert time.monotonic() - began < 6
    services.start(environment)
    assert time.monotonic() - began < 40
    assert not set(hung.values()) & set(pids(environment).values())
    assert set(states(environment).values()) == {"running"}
    assert kept(environment) == ["yes", "yes"]


def test_two_starts_at_once_start_each_service_once(environment: LocalEnvironment) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: services.start(environment), range(2)))
    starts = [log.read_text().count("--- started") for log in environment.logs_dir.glob("*.log")]
    assert starts == [1, 1, 1]
    assert servers(environment) == one_each(environment)


def test_two_environments_share_nothing(environment: LocalEnvironment, tmp_path: Path) -> None:
    other = LocalEnvironment(tmp_path / "other")
    try:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(services.start, (environment, other)))
        used = [made.service(name)["port"] for made in (environment, other) for name in services.NAMES]
        assert len(set(used)) == 6
        keep(environment, "mine")
        keep(other, "theirs")
        services.stop(other)
        assert set(states(environment).values()) == {"running"}
        assert kept(environment) == ["mine", "mine"]
    finally:
        services.stop(other)


def test_a_damaged_record_is_set_aside_and_the_data_stays(environment: LocalEnvironment) -> None:
    services.start(environment)
    keep(environment, "yes")
    environment.services_file.write_text('{"services": ')
    said: list[str] = []
    running = servers(environment)
    assert {service.detail for service in services.status(environment)} == {
        f"{environment.services_file} is damaged "
        "(not JSON: Expecting value: line 1 column 14 (char 13)); the next `up` mends it"
    }
    assert servers(environment) == running

    services.start(environment, report=lambda message, seconds=None: said.append(message))
    assert "was damaged" in said[0]
    assert "services.json.corrupt-1" in said[0]
    assert environment.services_file.with_name("services.json.corrupt-1").read_text() == '{"services": '
    assert servers(environment) == one_each(environment)
    assert kept(environment) == ["yes", "yes"]


def test_a_stop_finds_what_nothing_written_down_leads_to(environment: LocalEnvironment) -> None:
    services.start(environment)
    environment.services_file.unlink()
    services.stop(environment)
    assert servers(environment) == {"moto": [], "redis": [], "postgres": []}


@pytest.mark.parametrize("interruption", [signal.SIGINT, signal.SIGKILL])
def test_a_start_that_is_interrupted_leaves_no_second_server(
    environment: LocalEnvironment, interruption: signal.Signals
) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(environment.root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert starter.stdout is not None
    try:
        assert starter.stdout.readline() == b"starting\n"
        deadline = time.monotonic() + 20
        while not servers(environment)["redis"] and time.monotonic() < deadline:
            time.sleep(0.01)
        starter.send_signal(interruption)
        interrupted = starter.wait(30) != 0  # on a slow machine it may be done before
    finally:
        starter.kill()
        starter.wait()
        starter.stdout.close()
    if interrupted and interruption is signal.SIGINT:
        assert servers(environment) == {"moto": [], "redis": [], "postgres": []}
    services.start(environment)
    assert servers(environment) == one_each(environment)


def test_a_server_that_a_killed_start_had_only_just_begun_is_ended(
    environment: LocalEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Starting.run

    def begun_before(self: Starting, *arguments: Any) -> None:
        run(self, *arguments)
        service, entry = SERVICES["moto"], {**self.entries["moto"], "port": free_port()}
        start(
            service.command(environment, entry),
            log=environment.logs_dir / "moto.log",
            variables=service.variables(entry),
            directory=service.directory(environment),
        )
        deadline = time.monotonic() + 20
        while len(servers(environment)["moto"]) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    monkeypatch.setattr(Starting, "run", begun_before)
    services.start(environment)
    assert servers(environment) == one_each(environment)


def test_what_cannot_be_written_down_does_not_run_on(
    environment: LocalEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(record, "write", full)
    with pytest.raises(LocalError, match=r"disk that has .* is full: free some space"):
        services.start(environment)
    assert servers(environment) == {"moto": [], "redis": [], "postgres": []}


def test_a_port_that_another_program_took_is_left_to_it(environment: LocalEnvironment) -> None:
    services.start(environment)
    services.stop(environment)
    port = environment.service("moto")["port"]
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        services.start(environment)
        assert environment.service("moto")["port"] != port
        assert states(environment)["moto"] == "running"


def test_a_database_directory_that_is_none_is_an_error_with_the_way_out(
    environment: LocalEnvironment,
) -> None:
    stray = environment.services_dir / "postgres"
    stray.mkdir(parents=True)
    (stray / "diary.txt").write_text("mine")
    with pytest.raises(LocalError, match=r"not a Postgres data directory.*move it aside"):
        services.start(environment)
    assert (stray / "diary.txt").read_text() == "mine"
    assert states(environment) == {"moto": "running", "redis": "running", "postgres": "stopped"}


def test_a_damaged_database_is_an_error_that_quotes_it_and_names_the_way_out(
    environment: LocalEnvironment,
) -> None:
    services.start(environment)
    services.stop(environment)
    data = environment.services_dir / "postgres"
    (data / "global" / "pg_control").unlink()
    with pytest.raises(LocalError, match=r"(?s)could not find the database system.*move .* aside.*destroy"):
        services.start(environment)
    shutil.move(data, data.with_name("postgres.aside"))
    services.start(environment)
    assert set(states(environment).values()) == {"running"}


def test_a_reused_process_id_is_not_taken_for_a_service(environment: LocalEnvironment) -> None:
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        time.sleep(1.1)  # a start is known to a second: the system's clock may be set meanwhile
        services.start(environment)
        text = environment.services_file.read_text()
        running = pids(environment)
        kill(environment, "moto", "postgres")
        for name in ("moto", "postgres"):
            text = text.replace(f'"pid": {running[name]}', f'"pid": {bystander.pid}')
        environment.services_file.write_text(text)
        pid_file = environment.services_dir / "postgres" / "postmaster.pid"
        pid_file.write_text(pid_file.read_text().replace(str(running["postgres"]), str(bystander.pid), 1))
        assert states(environment) == {"moto": "crashed", "redis": "running", "postgres": "crashed"}
        services.start(environment)
        assert set(states(environment).values()) == {"running"}
        services.stop(environment)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_redis_that_was_opened_to_all_is_so_after_a_restart(environment: LocalEnvironment) -> None:
    services.start(environment)
    client = redis_client(environment)
    client.acl_setuser("default", enabled=True, nopass=True)
    client.acl_save()
    client.close()
    services.stop(environment)
    services.start(environment)
    anyone = redis.Redis(port=environment.service("redis")["port"])
    assert anyone.ping()
    anyone.close()


def test_no_password_is_in_an_argument_or_a_log(environment: LocalEnvironment) -> None:
    services.start(environment)
    secret = {environment.service("redis")["admin_password"], environment.service("postgres")["password"]}
    told = [" ".join(psutil.Process(pid).cmdline()) for pid in pids(environment).values()]
    told += [log.read_text() for log in environment.logs_dir.glob("*.log")]
    assert not [text for text in told for word in secret if word in text]
    assert environment.services_file.stat().st_mode & 0o077 == 0

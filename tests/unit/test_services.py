"""The parts of the data services that need no process."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent_infra.local.environment import LocalEnvironment, LocalError
from agent_infra.local.services import moto, postgres, process, record, redis
from agent_infra.local.services.record import UnreadableError
from agent_infra.local.services.service import TEXTS

ENTRY: dict[str, Any] = {"pid": 1, "created": 1.5, "port": 4000, "url": "http://127.0.0.1:4000"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ([], "no `services`"),
        ({"services": []}, "no `services`"),
        ({"services": {}, "generation": 3}, "`generation` is not a text"),
        ({"services": {"moto": "gone"}}, "moto is incomplete"),
        ({"services": {"moto": {**ENTRY, "created": "now"}}}, "moto is incomplete"),
        ({"services": {"moto": {**ENTRY, "pid": "1"}}}, "moto has no valid pid"),
        ({"services": {"redis": ENTRY}}, "redis has no valid admin_password"),
        ({"services": {"postgres": {**ENTRY, "user": "u"}}}, "postgres has no valid password"),
    ],
)
def test_a_damaged_record_is_told_from_a_sound_one(content: Any, problem: str) -> None:
    with pytest.raises(UnreadableError, match=problem):
        record.parse(content, TEXTS)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    environment = LocalEnvironment(tmp_path)
    assert record.read(environment, TEXTS) == record.Record()
    written = record.Record("a", {"moto": ENTRY})
    record.write(environment, written)
    assert record.read(environment, TEXTS) == written
    assert environment.services_file.stat().st_mode & 0o077 == 0


def test_damaged_records_are_set_aside_under_names_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "services.json"
    for number in (1, 2):
        file.write_text(str(number))
        assert record.set_aside(file).name == f"services.json.corrupt-{number}"
    assert (tmp_path / "services.json.corrupt-1").read_text() == "1"


def test_a_process_is_known_by_its_id_and_the_moment_it_began() -> None:
    me = process.Identity.of(psutil.Process())
    assert me.process() is not None
    assert process.Identity(me.pid, me.created - 60).process() is None
    assert process.Identity(0, 0).process() is None


def test_a_port_that_was_taken_meanwhile_is_replaced() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert process.free_port(port) != port
    assert process.free_port(port) == port


def test_another_programs_listener_is_not_taken_for_the_services() -> None:
    with socket.socket() as mine:
        mine.bind(("127.0.0.1", 0))
        mine.listen()
        port = mine.getsockname()[1]
        process.must_listen(psutil.Process(), port, name="moto")
        other = psutil.Process(os.getppid())
        with pytest.raises(LocalError, match=f"Port {port}, picked for moto, is in use"):
            process.must_listen(other, port, name="moto")


def test_a_process_that_ignores_the_request_is_killed_with_its_children(tmp_path: Path) -> None:
    deaf = "trap '' TERM; sleep 60 & echo ready; wait; wait"
    parent = subprocess.Popen(["sh", "-c", deaf], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ready\n"
    started = psutil.Process(parent.pid)
    (child,) = map(process.Identity.of, started.children())
    process.end(started, seconds=0.3)
    parent.wait(5)
    parent.stdout.close()
    assert child.process() is None
    assert parent.returncode in {0, -signal.SIGKILL}


def test_an_ended_process_that_its_parent_takes_no_note_of_is_not_waited_for() -> None:
    careless = (
        "import subprocess, sys; child = subprocess.Popen(['sleep', '60'], stdout=subprocess.DEVNULL); "
        "print(child.pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", careless], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdin is not None and parent.stdout is not None
    try:
        orphan = psutil.Process(int(parent.stdout.readline()))
        began = time.monotonic()
        process.end(orphan)
        assert time.monotonic() - began < 5
        assert orphan.status() == psutil.STATUS_ZOMBIE
    finally:
        parent.stdin.close()
        parent.wait(10)
        parent.stdout.close()


def test_a_server_is_found_by_where_it_stands(tmp_path: Path) -> None:
    standing = subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert standing.stdin is not None and standing.stdout is not None
    try:
        standing.stdout.readline()
        link = tmp_path.parent / f"{tmp_path.name}.link"
        link.symlink_to(tmp_path)
        assert [found.pid for found in process.living_in(link, lambda _: True)] == [standing.pid]
        assert process.living_in(tmp_path, redis.is_server) == []
        assert process.living_in(tmp_path / "absent", lambda _: True) == []
    finally:
        standing.stdin.close()
        standing.wait(10)
        standing.stdout.close()


def test_a_log_is_quoted_from_its_last_start_only(tmp_path: Path) -> None:
    log = tmp_path / "redis.log"
    log.write_text("--- started 1\nold\n--- started 2\nOut of luck\nNo space left on device\n")
    words = process.last_words(log)
    assert "old" not in words
    assert "Out of luck" in words
    assert "The disk is full" in words
    assert "(nothing)" in process.last_words(tmp_path / "absent.log")


def test_a_log_that_grew_large_is_set_aside(tmp_path: Path) -> None:
    log = tmp_path / "moto.log"
    with log.open("wb") as file:
        file.truncate(11 * 2**20)
    process.rotate(log)
    assert not log.exists()
    assert (tmp_path / "moto.log.1").exists()


def digest(password: str) -> str:
    return "#" + hashlib.sha256(password.encode()).hexdigest()


def test_redis_first_knows_its_administrator_alone() -> None:
    assert redis.users_file("", "pw") == "user default on >pw ~* &* +@all\n"


@pytest.mark.parametrize(
    "kept",
    [
        "user default on >pw ~* &* +@all\n",
        f"user default on {digest('pw')} {digest('token')} ~* &* +@all\n",
        "user default on nopass ~* &* +@all\n",
    ],
)
def test_what_redis_saved_of_its_users_is_kept_at_a_restart(kept: str) -> None:
    assert redis.users_file(kept, "pw") == kept


def test_a_new_administrator_leaves_every_users_access() -> None:
    kept = f"user default on {digest('token')} ~* &* +@all\nuser reader on {digest('x')} ~* +@read\n"
    assert redis.users_file(kept, "pw").splitlines() == [
        f"user default on {digest('token')} >pw ~* &* +@all",
        f"user reader on {digest('x')} ~* +@read",
    ]


def test_the_users_own_aws_and_postgres_settings_reach_no_service(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "MOTO_ACCOUNT_ID", "PGDATESTYLE"):
        monkeypatch.setenv(name, "theirs")
    variables = moto.variables({})
    assert [variables[name] for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "MOTO_ACCOUNT_ID")] == [None] * 3
    assert variables["AWS_ACCESS_KEY_ID"] == "local"
    assert postgres.variables({})["PGDATESTYLE"] is None


def test_a_password_once_given_stays_and_is_in_no_url(tmp_path: Path) -> None:
    environment = LocalEnvironment(tmp_path)
    first = postgres.settings(environment, {}, 5000)
    assert postgres.settings(environment, first, 5001)["password"] == first["password"]
    assert first["password"] not in first["url"]
    cache = redis.settings(environment, {}, 6000)
    assert redis.settings(environment, cache, 6001)["admin_password"] == cache["admin_password"]
    assert cache["admin_password"] not in cache["url"]


def test_a_missing_system_server_is_an_error_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalError, match=r"redis-server is not on PATH.*apt install redis-server"):
        redis.command(LocalEnvironment(tmp_path), {"system": True})


def test_a_missing_package_is_an_error_with_the_way_out() -> None:
    with pytest.raises(LocalError, match=r"'no_such_package' is missing.*agent-infra\[local\]"):
        process.bundled("no_such_package", "bin")

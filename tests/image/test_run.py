"""The image's own commands, as its user and on a read-only root, over real stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.stack import Stack
from tests.image.container import Container

pytestmark = [pytest.mark.image, pytest.mark.timeout(1200)]


def files(root: Path) -> dict[str, tuple[int, int, int]]:
    """Every file's size, mode and time of change."""
    found = {}
    for path in root.rglob("*"):
        if path.relative_to(root).parts[0] not in {"proc", "dev", "sys"}:
            about = path.lstat()
            found[str(path)] = (about.st_size, about.st_mode, about.st_mtime_ns)
    return found


def migrate(container: Container, stack: Stack, *, read_only: bool = True) -> None:
    done = container.run(["agent-app", "migrate"], stack.variables, read_only=read_only)
    assert done.returncode == 0, done.stderr + done.stdout


def use(container: Container, stack: Stack, *, read_only: bool = True) -> None:
    """A chat, and a task that another container runs; both end with 0."""
    work = ["agent-app", "work"]
    with (
        container.replica(stack, read_only=read_only) as serve,
        container.replica(stack, work, read_only=read_only) as worker,
    ):
        assert serve.app.get("/healthz").status_code == 200
        ready = serve.app.get("/readyz")
        assert ready.status_code == 200, ready.text
        assert serve.app.get("/").is_success
        assert serve.app.get("/page/main.js").is_success
        assert "hello" in serve.app.say("hello")["reply"]
        serve.app.task_becomes(serve.app.submit({"input": "sum it up"}), "succeeded")
        assert worker.terminate() == 0
        assert serve.terminate() == 0


def test_the_command_tells_its_version(container: Container) -> None:
    done = container.run(["agent-app", "--version"])
    assert done.stdout == "agent-app 0.1.0\n", done.stderr


def test_the_root_is_read_only_even_where_all_may_write(container: Container) -> None:
    done = container.run(["sh", "-c", "touch /tmp/x /opt/agent-app/x /x"])
    assert done.returncode == 1
    assert done.stderr.count("Read-only file system") == 3


def test_the_packages_fit_together(container: Container) -> None:
    """Every library that the service declares can be imported, and so can every module of its own."""
    script = (
        "import importlib, pkgutil, agent_app\n"
        "for module in pkgutil.walk_packages(agent_app.__path__, 'agent_app.'):\n"
        "    if module.name != 'agent_app.state.migrations.env': importlib.import_module(module.name)\n"
        "import anthropic, openai, psycopg; assert psycopg.pq.__impl__ == 'binary'\n"
    )
    done = container.run(["python3", "-c", script])
    assert (done.returncode, done.stderr) == (0, "")


def test_wrong_settings_end_it_with_2(container: Container) -> None:
    done = container.run(container.image.settings["Cmd"], {"AGENT_APP_PORT": "http"})
    assert done.returncode == 2
    assert "AGENT_APP_PORT" in done.stderr


def test_it_migrates_chats_and_works_on_a_read_only_root(container: Container, bare_stack: Stack) -> None:
    migrate(container, bare_stack)
    use(container, bare_stack)


def test_where_it_could_write_it_writes_nothing(container: Container, bare_stack: Stack) -> None:
    before = files(container.root)
    migrate(container, bare_stack, read_only=False)
    use(container, bare_stack, read_only=False)
    assert files(container.root) == before


def test_it_runs_as_process_1_without_any_privilege(container: Container, bare_stack: Stack) -> None:
    migrate(container, bare_stack)
    with container.replica(bare_stack) as replica:
        status = replica.status
    assert status["NSpid"].split()[-1] == "1"
    assert status["Uid"] == " ".join(["10001"] * 4)
    assert status["Gid"] == " ".join(["10001"] * 4)
    assert status["Groups"] == ""
    assert int(status["CapEff"], 16) == 0
    assert int(status["CapPrm"], 16) == 0
    assert status["NoNewPrivs"] == "1"


def test_sigterm_amid_a_task_finishes_it(container: Container, bare_stack: Stack) -> None:
    migrate(container, bare_stack)
    with (
        container.replica(bare_stack) as serve,
        container.replica(bare_stack, ["agent-app", "work"]) as worker,
    ):
        id = serve.app.submit({"agent": "wait", "input": {"seconds": 3}})
        serve.app.task_becomes(id, "running")
        assert worker.terminate() == 0
        assert serve.app.task(id)["status"] == "succeeded"

"""The stores, started once; each test that asks for `stack` has a fleet of its own in them. A stub vendor."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from agent_app.agents.runs import Runs
from agent_app.secrets import LlmKeys
from agent_app.settings import Settings
from agent_app.state import migrate
from agent_app.telemetry.metrics import Metrics
from pydantic import SecretStr

from tests.app import stack as stacks
from tests.app.drill import Drill, drill
from tests.app.stack import LOOPBACK, PASSWORD, App, Stack
from tests.app.stub_llm import StubLlm

#: Seconds for which `served` waits for a request to come in.
PATIENCE = 2

KEYS = LlmKeys(openai=SecretStr("sk-o"), anthropic=SecretStr("sk-ant-a"))
GPT = "openai:gpt-x"


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("stores")
    with (
        stacks.postgres(directory) as postgres_port,
        stacks.redis(directory) as redis_port,
        stacks.moto(directory) as moto_url,
    ):
        yield Stack(directory, postgres_port, redis_port, moto_url)


@pytest.fixture
def bare_stack(stores: Stack, tmp_path: Path) -> Stack:
    """A fleet whose database has no tables yet."""
    stack = replace(stores, directory=tmp_path)
    stack.fleet()
    return stack


@pytest.fixture
def stack(bare_stack: Stack) -> Stack:
    url = f"postgresql://{bare_stack.role}:{PASSWORD}-role@{LOOPBACK}:{bare_stack.postgres_port}/{bare_stack.database}"
    migrate.run(Settings(database_url=SecretStr(url)), wait_seconds=10)
    return bare_stack


@pytest.fixture
async def stub() -> AsyncIterator[StubLlm]:
    yield StubLlm(delay=0)


@pytest.fixture
async def runs(stub: StubLlm) -> AsyncIterator[Callable[..., Runs]]:
    """Makes them over the stub vendor, with some settings and stores; they are closed at the end."""
    made: list[Runs] = []
    async with stub.running() as url:

        def make(
            *, redis: Any = None, engine: Any = None, metrics: Metrics | None = None, **settings: Any
        ) -> Runs:
            urls = {"OPENAI_BASE_URL": f"{url}/v1", "ANTHROPIC_BASE_URL": url}
            values = {"model": GPT, "model_backoff_seconds": 0.01, **urls, **settings}
            made.append(Runs(Settings.model_validate(values), KEYS, metrics or Metrics(), redis, engine))
            return made[-1]

        yield make
        for each in made:
            await each.close()


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drill]:
    """An API and two workers that each test breaks, and finds well again."""
    with drill(tmp_path_factory.mktemp("drill")) as made:
        made.start("serve").ready()
        for _ in range(2):
            made.start("work").ready()
        yield made


@pytest.fixture(scope="module")
def served(stores: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A replica over real stores; whatever is sent, it has no defect to log and goes on answering."""
    stack = replace(stores, directory=tmp_path_factory.mktemp("served"))
    stack.fleet()
    assert stack.migrate().returncode == 0
    with stack.app(AGENT_APP_RECEIVE_SECONDS=str(PATIENCE)) as running:
        running.ready()
        yield running
        assert running.get("/readyz").json()["status"] == "ready"
        assert '"level": "error"' not in running.log.read_text()

"""The stores, started once; each test that asks for `stack` has a fleet of its own in them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from agent_app.settings import Settings
from agent_app.state import migrate
from pydantic import SecretStr

from tests.app import stack as stacks
from tests.app.stack import LOOPBACK, PASSWORD, Stack


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

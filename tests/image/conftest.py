"""The image, built once for the lane, and the real stores that it runs against."""

from collections.abc import Iterator

import pytest

from tests.app.conftest import bare_stack, stores
from tests.image.builder import SOURCE, Builder, Image
from tests.image.container import Container

__all__ = ["bare_stack", "stores"]

NAME = "localhost/agent-app:lane"


@pytest.fixture(scope="session")
def builder() -> Iterator[Builder]:
    with Builder.of_this_machine() as builder:
        yield builder


@pytest.fixture(scope="session")
def image(builder: Builder, tmp_path_factory: pytest.TempPathFactory) -> Image:
    builder.build(SOURCE, NAME)
    return builder.export(NAME, tmp_path_factory.mktemp("image") / "layout")


@pytest.fixture
def container(builder: Builder, image: Image) -> Iterator[Container]:
    with builder.mounted(NAME) as root:
        yield Container(root, image)

"""What the unit tests share."""

from pathlib import Path

import pytest

from tests.unit import image_builders


def pytest_configure(config: pytest.Config) -> None:
    # The AWS SDK warns of its own deprecated classes when a module is imported, whether they are used or not.
    config.addinivalue_line(
        "filterwarnings", r"ignore:[a-z0-9]+[./].* has been deprecated in favor of:DeprecationWarning"
    )


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> image_builders.Install:
    """Puts builders on a PATH that has no other."""
    return image_builders.install(tmp_path, monkeypatch)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A directory that an image can be built from."""
    folder = tmp_path / "app"
    (folder / "src").mkdir(parents=True)
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY src /src\n")
    (folder / "src" / "main.py").write_text("print(1)\n")
    return folder

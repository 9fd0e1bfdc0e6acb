"""What the unit tests share."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    # The AWS SDK warns of its own deprecated classes when a module is imported, whether they are used or not.
    config.addinivalue_line(
        "filterwarnings", r"ignore:[a-z0-9]+[./].* has been deprecated in favor of:DeprecationWarning"
    )

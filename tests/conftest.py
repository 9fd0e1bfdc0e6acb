"""For every process of tests."""

import asyncio


def pytest_configure() -> None:
    # Else asyncio makes a loop for whoever first asks whether there is one, and nobody closes it: which test
    # then fails for it is chance.
    asyncio.set_event_loop(None)

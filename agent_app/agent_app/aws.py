"""AWS clients. AWS_ENDPOINT_URL and the credentials' chain are botocore's own."""

from __future__ import annotations

import functools
from contextlib import AbstractAsyncContextManager
from typing import Any


@functools.cache
def _session() -> Any:
    # One for all clients: each would hold the service models and endpoint data, 8 MB, for itself.
    from aiobotocore.session import get_session  # type: ignore[import-untyped]  # nor here

    return get_session()


def client(
    service: str, region: str | None, *, read_timeout: float = 10, connections: int = 20
) -> AbstractAsyncContextManager[Any]:
    """A client of one service; imported here, since a replica without AWS need not carry botocore."""
    from aiobotocore.config import AioConfig  # type: ignore[import-untyped]  # it ships no types

    config = AioConfig(
        connect_timeout=3,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": 3},
        max_pool_connections=connections,
    )
    opened: AbstractAsyncContextManager[Any] = _session().create_client(
        service, region_name=region, config=config
    )
    return opened

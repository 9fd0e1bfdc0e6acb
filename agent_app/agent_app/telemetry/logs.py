"""Structured logs on stderr: JSON, or text for a reader at a terminal.

What people and models say never goes into them, nor do a stack's local variables, which may hold secrets.
"""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Any

import structlog

from agent_app.settings import Settings


def configure(settings: Settings, role: str) -> None:
    """Sends this process's logs, the libraries' included, to stderr in one form."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        _without_color,
    ]
    renderer: list[Any]
    if sys.stderr.isatty():
        renderer = [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    else:
        renderer = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # At info they tell of every request, at debug some show headers and bodies.
    for noisy in ("botocore", "aiobotocore", "httpx", "httpx2", "httpcore", "openai", "anthropic", "urllib3"):
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING))
    for name in ("sqlalchemy", "psycopg", "asyncio", "aiohttp"):
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared[:-2],
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(fleet=settings.fleet, environment=settings.environment, role=role)


def _without_color(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event.pop("color_message", None)  # uvicorn's own text once more, with escape sequences
    return event


def failure(log: Any, event: str, error: BaseException) -> None:
    """Logs an unforeseen error without its own text, which may hold what was said, or a secret."""
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    log.error(event, error=name, where="".join(traceback.format_tb(error.__traceback__)[-5:]))

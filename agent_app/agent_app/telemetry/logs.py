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
from agent_app.telemetry.traces import current_ids


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
    if settings.traces_endpoint is not None:
        shared.insert(0, _trace_ids)
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
    for name in ("sqlalchemy", "psycopg", "asyncio", "aiohttp", "opentelemetry"):
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    # They show the receiver's URL and its headers; export.py says what is worth saying.
    for name in ("opentelemetry.exporter", "opentelemetry.util.re"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
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


def _trace_ids(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    ids = current_ids()
    if ids is not None:
        event["trace_id"], event["span_id"] = ids
    return event


def _without_color(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event.pop("color_message", None)  # uvicorn's own text once more, with escape sequences
    return event


def failure(log: Any, event: str, error: BaseException) -> None:
    """Logs an unforeseen error without its own text, which may hold what was said, or a secret."""
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    log.error(event, error=name, where="".join(traceback.format_tb(error.__traceback__)[-5:]))

"""The HTTP application."""

from __future__ import annotations

import functools

from fastapi import FastAPI

from agent_app import __version__, problems
from agent_app.http import agents, chat, openapi, page, probes, sessions, tasks, usage
from agent_app.http.auth import Authenticated
from agent_app.http.middleware import Limited, Observed
from agent_app.http.request_limits import RateLimited
from agent_app.http.traced import Traced
from agent_app.service import Service


def create(service: Service, *, probes_only: bool = False) -> FastAPI:
    """The application over a service; `probes_only` leaves out all but /healthz, /readyz and /metrics."""
    app = FastAPI(
        title="agent-app",
        version=__version__,
        openapi_url=None if probes_only else "/openapi.json",
        docs_url=None,  # the pages load their scripts from somebody else's server
        redoc_url=None,
        generate_unique_id_function=openapi.operation_id,
    )
    problems.register(app)
    app.include_router(probes.router(service.settings.fleet, service.health, service.metrics))
    if not probes_only:
        app.include_router(chat.router(service.chat))
        app.include_router(agents.router(service.policies, service.runs))
        app.include_router(sessions.router(service.history))
        app.include_router(tasks.router(service.submission))
        access = service.runs.access
        app.include_router(usage.router(service.settings, access.ledger, access.budget, service.policies))
        if service.settings.page:
            page.add(app)
        guarded = service.guard is not None
        app.openapi = functools.cache(  # type: ignore[method-assign]  # as FastAPI's docs say
            lambda: openapi.document(app, guarded=guarded)
        )
    if service.request_limits is not None:
        app.add_middleware(RateLimited, limits=service.request_limits, metrics=service.metrics)
    if service.guard is not None:
        app.add_middleware(Authenticated, guard=service.guard)
    app.add_middleware(Limited, limit=service.settings.max_body_bytes)
    app.add_middleware(Observed, metrics=service.metrics)
    if service.traces.on:
        app.add_middleware(Traced, traces=service.traces)
    return app

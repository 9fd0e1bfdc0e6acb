"""The HTTP application."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, Response

from agent_app import __version__, problems
from agent_app.http import agents, chat, page, sessions, tasks, usage
from agent_app.http.auth import Authenticated
from agent_app.http.middleware import Limited, Observed
from agent_app.problems import Problem, ProblemDocument, answer
from agent_app.service import Service


def create(service: Service, *, probes_only: bool = False) -> FastAPI:
    """The application over a service; `probes_only` leaves out all but /healthz, /readyz and /metrics."""
    app = FastAPI(
        title="agent-app",
        version=__version__,
        openapi_url=None if probes_only else "/openapi.json",
        docs_url=None,  # the pages load their scripts from somebody else's server
        redoc_url=None,
    )
    problems.register(app)
    _probes(app, service)
    if not probes_only:
        app.include_router(chat.router(service.chat))
        app.include_router(agents.router(service.policies, service.runs))
        app.include_router(sessions.router(service.history))
        app.include_router(tasks.router(service.submission))
        access = service.runs.access
        app.include_router(usage.router(service.settings, access.ledger, access.budget, service.policies))
        if service.settings.page:
            page.add(app)
        app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # as FastAPI's docs say
    if service.api_keys is not None:
        app.add_middleware(Authenticated, keys=service.api_keys)
    app.add_middleware(Limited, limit=service.settings.max_body_bytes)
    app.add_middleware(Observed, metrics=service.metrics)
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
        document = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
        schema["components"]["schemas"]["ProblemDocument"] = document
        app.openapi_schema = schema
    return app.openapi_schema


def _probes(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", tags=["probes"])
    async def healthz() -> dict[str, str]:
        """The process is alive; says nothing of what it depends on."""
        return {"status": "ok", "fleet": service.settings.fleet, "version": __version__}

    @app.get("/readyz", tags=["probes"], responses={503: problems.PROBLEMS[503]})
    async def readyz() -> Response:
        """Whether requests can be answered; `degraded` where something is away that they can do without."""
        checks = await service.health.run()
        wrong = service.health.fatal(checks)
        if wrong:
            return answer(Problem(503, f"Not ready: {'; '.join(wrong)}.", checks=checks))
        status = "ready" if set(checks.values()) <= {"ok"} else "degraded"
        return JSONResponse({"status": status, "checks": checks})

    @app.get("/metrics", tags=["probes"])
    async def metrics() -> Response:
        """For Prometheus."""
        return Response(service.metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

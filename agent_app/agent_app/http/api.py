"""The HTTP application."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response

from agent_app import __version__, problems
from agent_app.http import chat, tasks
from agent_app.http.middleware import Limited, Observed
from agent_app.problems import Problem, answer
from agent_app.service import Service


def create(service: Service, *, probes_only: bool = False) -> FastAPI:
    """The application over a service; `probes_only` leaves out all but /healthz, /readyz and /metrics."""
    app = FastAPI(
        title="agent-app",
        version=__version__,
        openapi_url=None if probes_only else "/openapi.json",
        redoc_url=None,
    )
    problems.register(app)
    _probes(app, service)
    if not probes_only:
        app.include_router(chat.router(service.chat))
        app.include_router(tasks.router(service.submission))
    app.add_middleware(Limited, limit=service.settings.max_body_bytes)
    app.add_middleware(Observed, metrics=service.metrics)
    return app


def _probes(app: FastAPI, service: Service) -> None:
    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """The process is alive; says nothing of what it depends on."""
        return {"status": "ok", "fleet": service.settings.fleet, "version": __version__}

    @app.get("/readyz")
    async def readyz() -> Response:
        """What it depends on answers."""
        checks = await service.health.run()
        wrong = [f"{name}: {result}" for name, result in checks.items() if result != "ok"]
        if wrong:
            return answer(Problem(503, f"Not ready: {'; '.join(wrong)}.", checks=checks))
        return JSONResponse({"status": "ready", "checks": checks})

    @app.get("/metrics")
    async def metrics() -> Response:
        """For Prometheus."""
        return Response(service.metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

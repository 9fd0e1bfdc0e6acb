"""What Kubernetes and Prometheus ask."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict

from agent_app import __version__
from agent_app.http.health import Health
from agent_app.problems import PROBLEMS, Problem, answer
from agent_app.telemetry.metrics import Metrics

_EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
_METRICS = """\
# HELP agent_app_http_requests_total HTTP requests answered
# TYPE agent_app_http_requests_total counter
agent_app_http_requests_total{method="POST",route="/v1/chat",status="200"} 42.0
"""


class Alive(BaseModel):
    """The process answers."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"status": "ok", "fleet": "support", "version": "0.1.0"}]}
    )
    status: str
    fleet: str
    version: str


class Readiness(BaseModel):
    """`ready`, or `degraded` where something is away; each check is `ok` or says what is wrong."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"status": "degraded", "checks": {"postgres": "ok", "redis": "failed: ConnectionError"}}
            ]
        }
    )
    status: str
    checks: dict[str, str]


def router(fleet: str, health: Health, metrics: Metrics) -> APIRouter:
    """/healthz, /readyz and /metrics."""
    routes = APIRouter(tags=["probes"])

    @routes.get("/healthz")
    async def healthz() -> Alive:
        """The process is alive; says nothing of what it depends on."""
        return Alive(status="ok", fleet=fleet, version=__version__)

    @routes.get("/readyz", response_model=Readiness, responses={503: PROBLEMS[503]})
    async def readyz() -> Response:
        """Whether requests can be answered; `degraded` where something is away that they can do without."""
        checks = await health.run()
        wrong = health.fatal(checks)
        if wrong:
            return answer(Problem(503, f"Not ready: {'; '.join(wrong)}.", checks=checks))
        status = "ready" if set(checks.values()) <= {"ok"} else "degraded"
        return JSONResponse({"status": status, "checks": checks})

    @routes.get(
        "/metrics",
        name="metrics",
        response_class=_Exposition,
        responses={200: {"content": {_EXPOSITION: {"example": _METRICS}}}},
    )
    async def exposition() -> Response:
        """For Prometheus."""
        return _Exposition(metrics.exposition())

    return routes


class _Exposition(Response):
    media_type = _EXPOSITION

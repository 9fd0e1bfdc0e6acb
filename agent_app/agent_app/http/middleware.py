"""Around every request: its id, size limit, log line and metrics. Plain ASGI, so nothing is buffered."""

from __future__ import annotations

import re
import time
import uuid

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_app.problems import Problem, answer, translated
from agent_app.telemetry import logs
from agent_app.telemetry.metrics import Metrics

log = structlog.get_logger("agent_app.access")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
#: Asked for every few seconds by Kubernetes and Prometheus: logged at debug, and not traced.
QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


class Observed:
    """Gives a request its id, counts it, logs it, and answers for what nobody caught."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        began = time.perf_counter()
        with (
            structlog.contextvars.bound_contextvars(request_id=request_id),
            self._metrics.requests_in_flight.track_inprogress(),
        ):
            try:
                await self._app(scope, receive, noting)
            except Exception as error:
                if status:
                    raise
                problem = translated(error)
                if problem.status == 500:
                    logs.failure(log, "a request failed", error)
                await answer(problem)(scope, receive, noting)
            finally:
                self._tell(scope, status, time.perf_counter() - began)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        # The route's pattern, not the path: a path's ids would make a time series each.
        route = getattr(scope.get("route"), "path", None) or "unmatched"
        method = scope["method"] if route != "unmatched" else "any"
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.request_seconds.labels(method, route).observe(seconds)
        tell = log.debug if route in QUIET else log.info
        tell("answered", method=scope["method"], route=route, status=status, seconds=round(seconds, 4))


class Limited:
    """Refuses bodies beyond a size, whether they say their length or not, and those that say it twice."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if "content-length" in headers and "transfer-encoding" in headers:
            # A proxy that goes by the one and we by the other would not agree where the next request begins.
            response = answer(
                Problem(400, "There are Content-Length and Transfer-Encoding: send one of them.")
            )
            response.headers["Connection"] = "close"
            await response(scope, receive, send)
            return
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._limit:
            raise self._problem()
        taken = 0

        async def counting() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._limit:
                # Of all that is raised while it reads a body, FastAPI lets this class alone through.
                raise HTTPException(413, self._problem().detail)
            return message

        await self._app(scope, counting, send)

    def _problem(self) -> Problem:
        return Problem(413, f"The body is longer than {self._limit} bytes, the most this service takes.")

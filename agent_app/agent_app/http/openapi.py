"""The OpenAPI document: what FastAPI makes of the routes, and what it cannot know."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel

from agent_app.http.chat import Delta
from agent_app.problems import ProblemDocument

_DESCRIPTION = (
    "Chat with agents and give them tasks. Every error is `application/problem+json` (RFC 9457) with a "
    "`detail` for a reader and the `request_id` that the log has. What is made with a key belongs to it."
)
_TAGS = {
    "chat": "A turn of a conversation, whole or as it is being said",
    "agents": "Which agents there are",
    "sessions": "What was said",
    "tasks": "Work that outlasts a request",
    "usage": "What calls of models took and cost",
    "probes": "For Kubernetes and Prometheus; without a key",
}
_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "`Authorization: Bearer <API key or token>`",
    },
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same API key"},
}
#: What is described beside the routes' own models.
_FURTHER: tuple[type[BaseModel], ...] = (ProblemDocument, Delta)


def operation_id(route: APIRoute) -> str:
    """The endpoint's name, where a route names none: generated clients call their methods so."""
    return route.name


def document(app: FastAPI, *, guarded: bool) -> dict[str, Any]:
    """The document; with `guarded` its operations under /v1/ ask for a key."""
    schema = get_openapi(
        title=app.title,
        version=app.version,
        description=_DESCRIPTION,
        routes=app.routes,
        tags=[{"name": name, "description": text} for name, text in _TAGS.items()],
        servers=[{"url": "/"}],
    )
    components = schema["components"]
    for model in _FURTHER:
        described = model.model_json_schema(ref_template="#/components/schemas/{model}")
        components["schemas"][model.__name__] = described
    components["schemas"].pop("HTTPValidationError", None)
    if guarded:
        components["securitySchemes"] = _SCHEMES
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            if path.startswith("/v1/"):
                operation["security"] = [{name: []} for name in _SCHEMES] if guarded else []
            if not guarded:
                for status in ("401", "403"):
                    operation["responses"].pop(status, None)
    return schema

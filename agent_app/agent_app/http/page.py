"""The page at `/`: chat and tasks for a person, over the same API that programs use."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from importlib import resources

from fastapi import FastAPI, Request
from fastapi.responses import Response

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
#: Scripts, styles and requests of this origin alone, and no markup from strings.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # Kept, but asked after each time: its files must be of one version, also after an upgrade.
    "Cache-Control": "no-cache",
}


def add(app: FastAPI) -> None:
    """Serves `/`, and what it loads below `/page/`; it holds nothing, so that it needs no key."""
    for file in (resources.files("agent_app.http") / "static").iterdir():
        path = "/" if file.name == "index.html" else f"/page/{file.name}"
        serve = _serving(file.name, file.read_bytes())
        app.add_api_route(path, serve, methods=["GET", "HEAD"], include_in_schema=False)


def _serving(name: str, content: bytes) -> Callable[[Request], Awaitable[Response]]:
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {**_HEADERS, "ETag": etag}
    media_type = _TYPES[name.rpartition(".")[2]]

    async def serve(request: Request) -> Response:
        known = {
            tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")
        }
        if known & {etag, "*"}:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=media_type)

    return serve

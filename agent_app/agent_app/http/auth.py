"""Lets in who has an API key or a token, and tells whose the request is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from agent_app.http.api_keys import ApiKeys
from agent_app.problems import Problem, answer

if TYPE_CHECKING:
    from agent_app.http.oidc import Tokens

#: What needs no key: probes, metrics and the OpenAPI document say nothing of what anybody said.
GUARDED = "/v1/"


class Guard:
    """Knows the owner of a request by its API key, its token, or either."""

    def __init__(self, keys: ApiKeys | None = None, tokens: Tokens | None = None) -> None:
        self._keys = keys
        self._tokens = tokens
        kinds = (("API key", "<key>", keys), ("token", "<token>", tokens))
        self._wanted = " or ".join(kind for kind, _, used in kinds if used)
        self._send = " or ".join(f"`Authorization: Bearer {what}`" for _, what, used in kinds if used)

    async def owner(self, headers: Headers) -> str:
        """Whose request it is.

        Raises:
            Problem: 401 without a key or token that holds, 403 without the scope, 503 without the issuer.
        """
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        bearer = bearer.strip() if scheme.lower() == "bearer" else ""
        if bearer and self._tokens is not None:
            if self._keys is None:
                return await self._tokens.owner(bearer)
            if _is_like_a_token(bearer):
                # A key that looks so is one that is known: others would have the secret read in vain.
                return await self._keys.known(bearer) or await self._tokens.owner(bearer)
        key = bearer or headers.get("x-api-key")
        if not key or self._keys is None:
            raise Problem(
                401,
                f"There is no {self._wanted} in the request: send {self._send}.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        owner = await self._keys.owner(key)
        if owner is None:
            raise invalid("The API key does not hold")
        return owner


class Authenticated:
    """Refuses requests under /v1/ whose owner is not known; tells the others whose they are."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(GUARDED):
            await self._app(scope, receive, send)
            return
        try:
            owner = await self._guard.owner(Headers(scope=scope))
        except Problem as problem:
            await answer(problem)(scope, receive, send)
            return
        scope.setdefault("state", {})["owner"] = owner
        with structlog.contextvars.bound_contextvars(owner=owner):
            await self._app(scope, receive, send)


def invalid(reason: str) -> Problem:
    """401 for a key or token that does not hold."""
    return Problem(
        401,
        f"{reason}: get a new one.",
        headers={"WWW-Authenticate": f'Bearer error="invalid_token", error_description="{reason}"'},
    )


def _is_like_a_token(text: str) -> bool:
    return text.startswith("eyJ") and text.count(".") == 2

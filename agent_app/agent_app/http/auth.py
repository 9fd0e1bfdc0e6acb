"""Lets in who has an API key; the key's name owns what is made with it."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping

import structlog
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from agent_app.problems import Problem, answer
from agent_app.settings import SettingsError

log = structlog.get_logger(__name__)

#: What needs no key: probes, metrics and the OpenAPI document say nothing of what anybody said.
_GUARDED = "/v1/"
SHORTEST_KEY = 20
#: An unknown key makes the secret be read again, but no more often than this: it may be a new one.
_SOONEST_SECONDS = 10.0

Read = Callable[[], Awaitable[Mapping[str, SecretStr]]]


class ApiKeys:
    """The keys by their SHA-256, read from the secret again now and then, so that it can be rotated."""

    def __init__(self, read: Read, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._seconds = seconds
        self._clock = clock
        self._names: dict[bytes, str] = {}
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def load(self) -> None:
        """Reads the keys.

        Raises:
            SettingsError: there is none, or one is too short to be safe.
            SecretError: the secret cannot be read.
        """
        keys = await self._read()
        short = sorted(name for name, key in keys.items() if len(key.get_secret_value()) < SHORTEST_KEY)
        if not keys or short:
            wrong = f"the keys of {', '.join(short)} are shorter" if short else "it holds no key"
            raise SettingsError(
                f"AGENT_APP_API_KEYS_SECRET_ARN names the API keys, but {wrong}: it must be a "
                f"JSON object of names and keys of {SHORTEST_KEY} characters or more."
            )
        self._names = {_digest(key.get_secret_value()): name for name, key in keys.items()}
        self._read_at = self._clock()

    async def owner(self, key: str) -> str | None:
        """The name of the key; None if there is no such key."""
        digest = _digest(key)
        found = self._names.get(digest)
        age = self._clock() - self._read_at
        if age < (_SOONEST_SECONDS if found is None else self._seconds):
            return found
        async with self._reading:
            if self._clock() - self._read_at >= _SOONEST_SECONDS:
                self._read_at = self._clock()
                try:
                    await self.load()
                except Exception as error:  # noqa: BLE001 (the keys that are known go on holding)
                    log.warning("the API keys could not be read again", reason=type(error).__name__)
        return self._names.get(digest)


class Authenticated:
    """Refuses requests under /v1/ without a key that holds; tells the others whose they are."""

    def __init__(self, app: ASGIApp, keys: ApiKeys) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(_GUARDED):
            await self._app(scope, receive, send)
            return
        key = _presented(Headers(scope=scope))
        owner = None if key is None else await self._keys.owner(key)
        if owner is None:
            said = "There is no API key in the request" if key is None else "The API key does not hold"
            response = answer(Problem(401, f"{said}: send one as `Authorization: Bearer <key>`."))
            response.headers["WWW-Authenticate"] = "Bearer"
            await response(scope, receive, send)
            return
        scope.setdefault("state", {})["owner"] = owner
        with structlog.contextvars.bound_contextvars(owner=owner):
            await self._app(scope, receive, send)


def _presented(headers: Headers) -> str | None:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    return headers.get("x-api-key") or None


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()

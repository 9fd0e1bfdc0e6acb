"""What an OIDC issuer publishes: where its keys are, and the keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from pydantic import BaseModel, TypeAdapter

from agent_app.http.kept import Kept, Unusable
from agent_app.settings.auth import AuthSettings
from agent_app.settings.kinds import IssuerUrl, is_loopback

#: Of both documents together.
FETCH_SECONDS = 5.0
#: An issuer has a handful of keys, of about 2 KB each where certificates come with them.
_LARGEST_BYTES = 262_144
#: https://www.rfc-editor.org/rfc/rfc7518#section-3.3
_SHORTEST_RSA_BITS = 2048
_OF_KEY_TYPE: Mapping[tuple[str, str | None], frozenset[str]] = {
    ("RSA", None): frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    ("OKP", "Ed25519"): frozenset({"EdDSA"}),
    ("OKP", "Ed448"): frozenset({"EdDSA"}),
}


class _Discovery(BaseModel):
    issuer: str
    jwks_uri: IssuerUrl


class IssuerError(Unusable):
    """The issuer cannot be reached, or answers with something that cannot be used."""


@dataclass(frozen=True)
class Key:
    """A public key, and the algorithms of tokens that it may verify."""

    public: Any
    algorithms: frozenset[str]


class Issuer:
    """An issuer's keys by their ids, fetched when they are first needed."""

    def __init__(self, settings: AuthSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = settings.oidc_issuer or ""
        self._keys_url = settings.oidc_jwks_url
        self._keys: Kept[Mapping[str | None, Key]] = Kept(
            "the OIDC issuer's keys", self._fetch, settings.oidc_jwks_seconds, clock
        )

    async def key(self, id: str | None) -> Key | None:
        """The key of that id. An issuer with one key may leave ids out.

        Raises:
            IssuerError: no key was ever known, and the issuer cannot be reached.
        """
        found = _of(await self._keys.get(), id)
        # An unknown id is a new key's, or made up.
        return found or _of(await self._keys.again(), id)

    async def check(self) -> None:
        """Raises where there are no keys."""
        _of(await self._keys.get(), None)

    async def _fetch(self) -> Mapping[str | None, Key]:
        async with asyncio.timeout(FETCH_SECONDS):
            return _keys(await _document(self._keys_url or await self._discovered()))

    async def _discovered(self) -> str:
        found = await _document(f"{self._url.rstrip('/')}/.well-known/openid-configuration")
        try:
            discovery = _Discovery.model_validate(found)
        except ValueError:
            raise IssuerError("its discovery document has no issuer and jwks_uri with https") from None
        if discovery.issuer != self._url:
            raise IssuerError("its discovery document is another issuer's")
        return discovery.jwks_uri


def _of(keys: Mapping[str | None, Key] | None, id: str | None) -> Key | None:
    if keys is None:
        raise IssuerError("it was never reached")
    if id in keys:
        return keys[id]
    (only, *others) = keys
    return keys[only] if not others and (id is None or only is None) else None


async def _document(url: str) -> Any:
    """A JSON document, of which no more is read than it may have; redirections are not followed."""
    # A proxy is not asked for this machine's own addresses.
    direct = is_loopback(urlsplit(url).hostname or "")
    body = bytearray()
    async with (
        httpx.AsyncClient(timeout=FETCH_SECONDS, trust_env=not direct) as client,
        client.stream("GET", url, headers={"accept": "application/json"}) as response,
    ):
        if response.status_code != httpx.codes.OK:
            raise IssuerError(f"it answered {response.status_code}")
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > _LARGEST_BYTES:
                raise IssuerError(f"its answer is longer than {_LARGEST_BYTES} bytes")
    return TypeAdapter(dict[str, Any]).validate_json(bytes(body))


def _keys(document: Any) -> Mapping[str | None, Key]:
    found = {}
    for item in document.get("keys") or ():
        if (key := _key(item)) is not None:
            found[item.get("kid")] = key
    if not found:
        raise IssuerError("it publishes no key that verifies signatures")
    return found


def _key(item: Any) -> Key | None:
    """A key of the document; None for one that is of no use here: secret, short, or for encryption."""
    if not isinstance(item, dict) or item.get("use", "sig") != "sig":
        return None
    algorithms = _OF_KEY_TYPE.get((item.get("kty", ""), item.get("crv")))
    if algorithms is None:
        return None
    if said := item.get("alg"):
        algorithms &= {said}
    try:
        public = jwt.PyJWK(item, algorithm=next(iter(algorithms), None)).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    short = isinstance(public, RSAPublicKey) and public.key_size < _SHORTEST_RSA_BITS
    return None if short or not algorithms else Key(public, algorithms)

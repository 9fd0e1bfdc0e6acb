"""An OIDC issuer on loopback: discovery and keys, which it can change, hide and spoil; and its tokens."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.app.serving import serving

AUDIENCE = "agents"


@cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """One of that name; making one takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def jwk(
    id: str | None, private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, **more: Any
) -> dict[str, Any]:
    """What an issuer publishes of a key."""
    public: Any = private.public_key()
    algorithm: Any = RSAAlgorithm if isinstance(private, rsa.RSAPrivateKey) else ECAlgorithm
    return {**algorithm.to_jwk(public, as_dict=True), **({"kid": id} if id else {}), **more}


@dataclass
class OidcIssuer:
    """What it answers with, and how often it was asked for its keys."""

    url: str = ""
    keys: list[dict[str, Any]] = field(default_factory=lambda: [jwk("one", rsa_key("one"), use="sig")])
    discovery: dict[str, Any] = field(default_factory=dict)
    away: bool = False
    body: bytes | None = None
    asked: int = 0

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if self.away:
            return web.Response(status=503)
        if request.path == "/.well-known/openid-configuration":
            said = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.discovery}
            return web.json_response(said)
        if request.path == "/moved":
            return web.Response(status=302, headers={"location": f"{self.url}/keys"})
        self.asked += 1
        if self.body is not None:
            return web.Response(body=self.body)
        return web.json_response({"keys": self.keys})

    def claims(self, **claims: Any) -> dict[str, Any]:
        now = int(time.time())
        said = {"iss": self.url, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 300, **claims}
        return {name: value for name, value in said.items() if value is not None}

    def token(self, *, by: str = "one", kid: str | None = "", alg: str = "RS256", **claims: Any) -> str:
        """A token signed by the key of that name; `kid=None` says not which, None leaves a claim out."""
        headers = {} if kid is None else {"kid": kid or by}
        return jwt.encode(self.claims(**claims), rsa_key(by), alg, headers)


@contextlib.asynccontextmanager
async def issuing() -> AsyncIterator[OidcIssuer]:
    issuer = OidcIssuer()
    async with serving(issuer.answer) as url:
        issuer.url = url
        yield issuer

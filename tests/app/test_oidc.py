"""Tokens of an OIDC issuer: which hold, which do not, and what an issuer may do in between."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import jwt
import pytest
import structlog
from agent_app.http.api import create
from agent_app.http.issuer import Issuer
from agent_app.settings import Settings
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import SecretStr

from agent_app import service
from tests.app.oidc_issuer import AUDIENCE, OidcIssuer, issuing, jwk, rsa_key

KEY = "program-0123456789abcdefghij"
ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:keys"


@pytest.fixture
async def issuer() -> AsyncIterator[OidcIssuer]:
    async with issuing() as opened:
        yield opened


@asynccontextmanager
async def asking(issuer: OidcIssuer, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    said = Settings(
        environment="prod", **{"oidc_issuer": issuer.url, "oidc_audience": (AUDIENCE,), **settings}
    )
    async with service.opened(said) as parts:
        transport = httpx.ASGITransport(create(parts))
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as opened:
            yield opened


@pytest.fixture
async def client(issuer: OidcIssuer) -> AsyncIterator[httpx.AsyncClient]:
    async with asking(issuer) as opened:
        yield opened


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def ask(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.get("/v1/sessions", headers=bearer(token))


async def test_a_token_of_the_issuer_lets_its_subject_in(
    issuer: OidcIssuer, client: httpx.AsyncClient
) -> None:
    body = {"message": "I am Ada", "session_id": "mine"}
    said = await client.post("/v1/chat", json=body, headers=bearer(issuer.token()))
    assert said.status_code == 200
    later = bearer(issuer.token(exp=time.time() + 600, aud=["others", AUDIENCE]))
    assert (await client.get("/v1/sessions/mine", headers=later)).status_code == 200
    somebody = bearer(issuer.token(sub="bob"))
    assert (await client.get("/v1/sessions/mine", headers=somebody)).status_code == 404
    assert issuer.asked == 1


async def test_without_a_token_the_answer_asks_for_one(client: httpx.AsyncClient) -> None:
    for headers in ({}, {"authorization": "Basic x"}, {"x-api-key": KEY}):
        refused = await client.get("/v1/sessions", headers=headers)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert "no token" in refused.json()["detail"]
    assert (await client.get("/healthz")).status_code == 200


def _part(value: object) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def _public_pem() -> bytes:
    return rsa_key("one").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _by_public_key(issuer: OidcIssuer) -> str:
    """HS256 with what everybody can read as its secret; PyJWT itself would not sign so."""
    import hashlib
    import hmac

    signed = f"{_part({'alg': 'HS256', 'kid': 'one'})}.{_part(issuer.claims())}"
    return f"{signed}.{_part(hmac.digest(_public_pem(), signed.encode(), hashlib.sha256))}"


def _changed(issuer: OidcIssuer) -> str:
    header, _, signature = issuer.token().split(".")
    return f"{header}.{_part(issuer.claims(sub='root'))}.{signature}"


WRONG: dict[str, tuple[Callable[[OidcIssuer], str], str]] = {
    "expired": (lambda issuer: issuer.token(exp=time.time() - 60), "has expired"),
    "not valid yet": (lambda issuer: issuer.token(nbf=time.time() + 90), "not valid yet"),
    "for another audience": (lambda issuer: issuer.token(aud="others"), "for another audience"),
    "without an audience": (lambda issuer: issuer.token(aud=None), "lacks the claim 'aud'"),
    "of another issuer": (lambda issuer: issuer.token(iss="https://evil.example"), "of another issuer"),
    "of almost this issuer": (lambda issuer: issuer.token(iss=issuer.url + "/"), "of another issuer"),
    "without an end": (lambda issuer: issuer.token(exp=None), "lacks the claim 'exp'"),
    "without a subject": (lambda issuer: issuer.token(sub=None), "lacks the claim 'sub'"),
    "with an empty subject": (lambda issuer: issuer.token(sub=""), "is no text"),
    "with a NUL in its subject": (lambda issuer: issuer.token(sub="a\0"), "is no text"),
    "with a long subject": (lambda issuer: issuer.token(sub="a" * 256), "is no text"),
    "alg none": (lambda issuer: jwt.encode(issuer.claims(), None, "none"), "not allowed"),
    "alg None": (lambda issuer: f"{_part({'alg': 'None'})}.{_part(issuer.claims())}.", "not allowed"),
    "HS256 by the public key": (_by_public_key, "not allowed"),
    "another claim under the signature": (_changed, "does not hold"),
    "of an unknown key": (lambda issuer: issuer.token(by="two"), "does not publish"),
    "by another key under a known id": (lambda issuer: issuer.token(by="two", kid="one"), "does not hold"),
    "huge": (lambda issuer: issuer.token(more="x" * 20_000), "longer than 16384"),
    "garbage": (lambda _: "not-a-token", "no JSON Web Token"),
    "garbage in three parts": (lambda _: "eyJ.\xff.x", "no JSON Web Token"),
    "nested without end": (lambda _: f"{_part(b'[' * 9000)}.e30.e30", "no JSON Web Token"),
    "a number for a header": (lambda _: f"{_part(7)}.e30.e30", "no JSON Web Token"),
    "a list for a key's id": (
        lambda _: f"{_part({'alg': 'RS256', 'kid': [1]})}.e30.e30",
        "no JSON Web Token",
    ),
    "an unknown critical header": (
        lambda issuer: f"{_part({'alg': 'RS256', 'kid': 'one', 'crit': ['x'], 'x': 1})}.e30.e30",
        "no JSON Web Token",
    ),
}


@pytest.mark.parametrize(("made", "says"), WRONG.values(), ids=list(WRONG))
async def test_a_token_that_does_not_hold_is_refused_and_not_repeated(
    issuer: OidcIssuer, client: httpx.AsyncClient, made: Callable[[OidcIssuer], str], says: str
) -> None:
    token = made(issuer)
    refused = await client.get(
        "/v1/sessions", headers=[(b"authorization", b"Bearer " + token.encode("latin-1"))]
    )
    assert refused.status_code == 401, refused.text
    assert says in refused.json()["detail"]
    assert refused.headers["www-authenticate"].startswith('Bearer error="invalid_token", error_description="')
    told = refused.text + str(refused.headers)
    assert not any(part in told for part in token.split(".") if len(part) > 3)


async def test_the_leeway_is_for_clocks_that_differ(issuer: OidcIssuer) -> None:
    token = issuer.token(exp=time.time() - 10)
    async with asking(issuer) as client:
        assert (await ask(client, token)).status_code == 200
    async with asking(issuer, oidc_leeway_seconds=0) as client:
        assert (await ask(client, token)).status_code == 401


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"scope": "openid agents:use"}, 200),
        ({"scp": ["agents:use"]}, 200),
        ({"scope": "agents:user"}, 403),
        ({"scope": 7, "scp": [7]}, 403),
        ({}, 403),
    ],
)
async def test_a_scope_can_be_asked_for(issuer: OidcIssuer, claims: Mapping[str, Any], status: int) -> None:
    async with asking(issuer, oidc_scope="agents:use") as client:
        answer = await ask(client, issuer.token(**claims))
    assert answer.status_code == status
    if status == 403:
        challenge = 'Bearer error="insufficient_scope", scope="agents:use"'
        assert answer.headers["www-authenticate"] == challenge


async def test_another_claim_can_be_the_owner(issuer: OidcIssuer) -> None:
    async with asking(issuer, oidc_owner_claim="email") as client:
        assert (await ask(client, issuer.token())).status_code == 401
        assert (await ask(client, issuer.token(email="ada@example.com"))).status_code == 200


async def test_an_elliptic_key_holds_and_an_algorithm_can_be_ruled_out(issuer: OidcIssuer) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    issuer.keys = [jwk("curve", private)]
    token = jwt.encode(issuer.claims(), private, "ES256", {"kid": "curve"})
    async with asking(issuer) as client:
        assert (await ask(client, token)).status_code == 200
    async with asking(issuer, oidc_algorithms=("RS256",)) as client:
        assert "not allowed" in (await ask(client, token)).json()["detail"]


@pytest.mark.parametrize(
    "key",
    [
        jwk("one", rsa_key("one"), use="enc"),
        jwk("one", rsa_key("one"), alg="PS256"),
        jwk("one", rsa_key("short", 1024)),
        {"kty": "oct", "kid": "one", "k": _part(_public_pem())},
        {"kty": "RSA", "kid": "one", "n": "!", "e": "AQAB"},
        "text",
    ],
)
async def test_a_key_of_no_use_verifies_nothing(issuer: OidcIssuer, key: dict[str, Any]) -> None:
    issuer.keys = [key, jwk("two", rsa_key("two"))]
    by = "short" if isinstance(key, dict) and len(key.get("n", "")) == 171 else "one"
    async with asking(issuer) as client:
        assert (await ask(client, issuer.token(by=by, kid="one"))).status_code == 401
        assert (await ask(client, issuer.token(by="two"))).status_code == 200


async def test_the_id_of_an_only_key_may_be_left_out(issuer: OidcIssuer, client: httpx.AsyncClient) -> None:
    issuer.keys = [jwk(None, rsa_key("one"))]
    assert (await ask(client, issuer.token(kid=None))).status_code == 200
    assert (await ask(client, issuer.token(kid="any"))).status_code == 200


async def test_a_rotated_key_is_fetched_but_not_for_every_unknown_one(issuer: OidcIssuer) -> None:
    now = 0.0
    settings = Settings(oidc_issuer=issuer.url, oidc_audience=(AUDIENCE,))
    held = Issuer(settings, clock=lambda: now)
    assert await held.key("one") is not None
    issuer.keys = [jwk("two", rsa_key("two"))]
    assert await held.key("two") is None  # too soon after the last fetch
    now = 11
    assert await held.key("two") is not None
    for made_up in range(50):
        assert await held.key(f"made-up-{made_up}") is None
    assert issuer.asked == 2
    now = 700
    issuer.keys = [jwk("one", rsa_key("one"))]
    assert await held.key("two") is None  # withdrawn, and noticed when the keys are old


async def test_an_issuer_that_is_away_leaves_the_known_keys_holding(issuer: OidcIssuer) -> None:
    now = 0.0
    held = Issuer(Settings(oidc_issuer=issuer.url, oidc_audience=(AUDIENCE,)), clock=lambda: now)
    assert await held.key("one") is not None
    issuer.away = True
    now = 10_000
    assert await held.key("one") is not None


@pytest.mark.parametrize(
    "spoilt",
    [
        {"away": True},
        {"body": b"[" * 300_000},
        {"body": b'{"keys": [' + b" " * 300_000 + b"]}"},
        {"body": b'{"keys": 7}'},
        {"body": b"no JSON"},
        {"keys": []},
        {"discovery": {"issuer": "https://evil.example"}},
        {"discovery": {"jwks_uri": "http://keys.example/keys"}},
        {"discovery": {"jwks_uri": "file:///etc/passwd"}},
    ],
)
async def test_an_issuer_that_was_never_reached_is_no_fault_of_the_token(
    issuer: OidcIssuer, client: httpx.AsyncClient, spoilt: dict[str, Any]
) -> None:
    for name, value in spoilt.items():
        setattr(issuer, name, value)
    answer = await ask(client, issuer.token())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    ready = (await client.get("/readyz")).json()
    assert (ready["status"], ready["checks"]["oidc"]) == ("degraded", "failed: IssuerError")


async def test_the_log_says_what_is_wrong_with_the_issuer(issuer: OidcIssuer) -> None:
    issuer.discovery = {"issuer": "https://evil.example"}
    async with asking(issuer) as client:
        with structlog.testing.capture_logs() as said:
            await ask(client, issuer.token())
    assert {"its discovery document is another issuer's"} <= {entry.get("reason") for entry in said}


async def test_redirections_are_not_followed(issuer: OidcIssuer) -> None:
    async with asking(issuer, oidc_jwks_url=f"{issuer.url}/moved") as client:
        assert (await ask(client, issuer.token())).status_code == 503
    assert issuer.asked == 0


async def test_keys_and_tokens_can_both_let_in_and_are_never_the_same_owner(
    issuer: OidcIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shaped_like_a_token = "eyJ" + "k" * 20 + ".k.k"

    async def read(settings: Settings, setting: str) -> Mapping[str, SecretStr]:
        keys = {"ada": SecretStr(KEY), "odd": SecretStr(shaped_like_a_token)}
        return keys if setting == "api_keys_secret_arn" else {}

    monkeypatch.setattr("agent_app.secrets.read", read)
    async with asking(issuer, api_keys_secret_arn=ARN, auth=("api-key", "oidc")) as client:
        body = {"message": "by key", "session_id": "mine"}
        for headers in (bearer(KEY), {"x-api-key": KEY}, bearer(shaped_like_a_token)):
            assert (await client.post("/v1/chat", json=body, headers=headers)).status_code == 200
        token = bearer(issuer.token(sub="ada"))
        assert (await client.get("/v1/sessions/mine", headers=token)).status_code == 404
        assert (await client.get("/v1/sessions", headers=bearer("x" * 30))).status_code == 401
        assert "API key or token" in (await client.get("/v1/sessions")).json()["detail"]

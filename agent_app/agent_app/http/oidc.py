"""Lets in who has a token of the OIDC issuer; the subject owns what is made with it."""

from __future__ import annotations

from typing import Any

import jwt

from agent_app.http.auth import invalid
from agent_app.http.issuer import Issuer, IssuerError
from agent_app.problems import Problem, Unavailable
from agent_app.settings.auth import AuthSettings

#: Before a subject's name, so that it is nobody's who has an API key: their names have no colon.
OWNER_PREFIX = "oidc:"
LONGEST_TOKEN = 16_384
_LONGEST_OWNER = 255


class Tokens:
    """Verifies a token's signature, issuer, audience, times and scope."""

    def __init__(self, settings: AuthSettings, issuer: Issuer | None = None) -> None:
        self._settings = settings
        self.issuer = issuer or Issuer(settings)

    async def owner(self, token: str) -> str:
        """Whose token it is.

        Raises:
            Problem: 401 for a token that does not hold, 403 for one without the scope, 503 where the issuer's
                keys were never reached. None repeats the token.
        """
        claims = await self._verified(token)
        name = claims.get(self._settings.oidc_owner_claim)
        if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_OWNER or not name.isprintable():
            raise invalid(
                f"The token's claim {self._settings.oidc_owner_claim!r} is no text of up to {_LONGEST_OWNER} "
                "printable characters"
            )
        scope = self._settings.oidc_scope
        if scope is not None and scope not in _scopes(claims):
            challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
            raise Problem(
                403,
                f"The token lacks the scope {scope!r}: ask the issuer for one with it.",
                headers={"WWW-Authenticate": challenge},
            )
        return f"{OWNER_PREFIX}{name}"

    async def _verified(self, token: str) -> dict[str, Any]:
        if len(token) > LONGEST_TOKEN:
            raise invalid(f"The token is longer than {LONGEST_TOKEN} characters")
        settings = self._settings
        try:
            header = jwt.get_unverified_header(token)
        # What nobody has signed yet may be anything, such as JSON that is nested without end.
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise invalid("The token is no JSON Web Token that can be read") from None
        if header.get("alg") not in settings.oidc_algorithms:
            raise invalid("The token is signed by an algorithm that is not allowed")
        try:
            key = await self.issuer.key(header.get("kid"))
        except IssuerError:
            raise Unavailable("The OIDC issuer") from None
        if key is None:
            raise invalid("The token is signed with a key that its issuer does not publish")
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.public,
                algorithms=sorted(key.algorithms.intersection(settings.oidc_algorithms)),
                audience=settings.oidc_audience,
                issuer=settings.oidc_issuer,
                leeway=settings.oidc_leeway_seconds,
                options={"require": ["exp", "iss", "aud", settings.oidc_owner_claim]},
            )
        except jwt.PyJWTError as error:
            raise invalid(_reason(error)) from None
        except (ValueError, TypeError, OverflowError, RecursionError):
            raise invalid("The token does not hold") from None
        return claims


def _reason(error: jwt.PyJWTError) -> str:
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"The token lacks the claim {error.claim!r}"
    known: dict[type[jwt.PyJWTError], str] = {
        jwt.ExpiredSignatureError: "The token has expired",
        jwt.ImmatureSignatureError: "The token is not valid yet",
        jwt.InvalidAudienceError: "The token is for another audience",
        jwt.InvalidIssuerError: "The token is of another issuer",
    }
    return known.get(type(error), "The token does not hold")


def _scopes(claims: dict[str, Any]) -> set[str]:
    """`scope` is RFC 8693's text with spaces, `scp` what Entra and Okta say."""
    found: set[str] = set()
    for name in ("scope", "scp"):
        value = claims.get(name)
        parts = value.split() if isinstance(value, str) else value
        found.update(part for part in (parts if isinstance(parts, list) else ()) if isinstance(part, str))
    return found

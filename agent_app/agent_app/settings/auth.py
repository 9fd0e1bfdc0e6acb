"""Who may ask, and how often."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode

from agent_app.settings.kinds import IssuerUrl, Listed, SecretArn, listed

Method = Literal["none", "api-key", "oidc"]
#: Asymmetric ones alone: with HS256 the issuer's public key, which everybody has, would be the secret.
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
ALGORITHMS: tuple[Algorithm, ...] = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
)  # fmt: skip


class AuthSettings(BaseSettings):
    """API keys live in Secrets Manager, as a JSON object of each one's name and the key; tokens are checked
    against the keys that their issuer publishes."""

    auth: Annotated[tuple[Method, ...] | None, NoDecode, BeforeValidator(listed)] = Field(
        None, description="api-key, oidc, both with a comma, or none, in local alone; default: what is set"
    )
    api_keys_secret_arn: SecretArn | None = None
    usage_readers: Listed = Field(
        (), description="Whose GET /v1/usage shows everybody's: names of keys, or oidc:<subject>"
    )
    api_keys_seconds: int = Field(300, ge=1, le=86_400, description="How long a revoked key may still hold")

    oidc_issuer: IssuerUrl | None = Field(None, description="A token's `iss`, to the letter")
    oidc_audience: Listed = Field((), description="A token's `aud` must be one of them")
    oidc_jwks_url: IssuerUrl | None = Field(None, description="Default: what the issuer's discovery says")
    oidc_jwks_seconds: int = Field(600, ge=10, le=86_400, description="How old the issuer's keys may get")
    oidc_owner_claim: str = Field("sub", pattern=r"^[A-Za-z0-9_./:-]{1,100}$")
    oidc_scope: str | None = Field(None, pattern=r"^[\x21\x23-\x5b\x5d-\x7e]{1,200}$")
    oidc_algorithms: Annotated[tuple[Algorithm, ...], NoDecode, BeforeValidator(listed)] = Field(
        ALGORITHMS, min_length=1
    )
    oidc_leeway_seconds: int = Field(30, ge=0, le=300, description="How far clocks may be apart")

    requests_per_minute: int | None = Field(
        None, ge=1, le=1_000_000, description="Of each key or subject, replicas together"
    )

    def auth_conflicts(self) -> Iterator[str]:
        """What does not fit together, a sentence each, without its full stop."""
        if self.auth is not None and "none" in self.auth and len(self.auth) > 1:
            yield "AGENT_APP_AUTH is 'none' and something else: say one of the two"
        if self.checks_keys and self.api_keys_secret_arn is None:
            yield "AGENT_APP_AUTH is 'api-key' without AGENT_APP_API_KEYS_SECRET_ARN: name the keys' secret"
        if self.checks_tokens:
            for name, value in (("ISSUER", self.oidc_issuer), ("AUDIENCE", self.oidc_audience)):
                if not value:
                    yield (
                        f"tokens are to be checked (AGENT_APP_AUTH or AGENT_APP_OIDC_*) without "
                        f"AGENT_APP_OIDC_{name}: set both AGENT_APP_OIDC_ISSUER and AGENT_APP_OIDC_AUDIENCE"
                    )

    @property
    def checks_keys(self) -> bool:
        """Whether an API key lets a request in."""
        return self.api_keys_secret_arn is not None if self.auth is None else "api-key" in self.auth

    @property
    def checks_tokens(self) -> bool:
        """Whether a token of the OIDC issuer lets a request in."""
        if self.auth is None:
            return self.oidc_issuer is not None or bool(self.oidc_audience)
        return "oidc" in self.auth

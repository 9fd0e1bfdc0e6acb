"""Who may ask."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings

from agent_app.settings.kinds import Listed, SecretArn


class AuthSettings(BaseSettings):
    """API keys live in Secrets Manager, as a JSON object of each one's name and the key."""

    auth: Literal["none", "api-key"] | None = Field(
        None, description="Default: api-key where there is a secret with keys; none is for local alone"
    )
    api_keys_secret_arn: SecretArn | None = None
    usage_readers: Listed = Field((), description="Whose GET /v1/usage shows everybody's; names of keys")
    api_keys_seconds: int = Field(300, ge=1, le=86_400, description="How long a revoked key may still hold")

    @property
    def checks_keys(self) -> bool:
        """Whether a request needs an API key."""
        return self.auth == "api-key" or (self.auth is None and self.api_keys_secret_arn is not None)

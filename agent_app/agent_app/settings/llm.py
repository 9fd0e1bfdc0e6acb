"""How the service reaches language models, and what it may spend on them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode

from agent_app.settings.kinds import FromJson, HttpUrl, Listed, ModelName, Name, SecretArn


class ModelLimits(BaseModel):
    """What a vendor lets this environment use of one model in any 60 s; None is without a limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    requests_per_minute: int | None = Field(None, ge=1)
    tokens_per_minute: int | None = Field(None, ge=1)


class ModelPrice(BaseModel):
    """USD for a million tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    input: Decimal = Field(ge=0)
    output: Decimal = Field(ge=0)
    cached_input: Decimal | None = Field(None, ge=0, description="Default: as input")


class LlmSettings(BaseSettings):
    """Times are seconds, money is USD."""

    model: ModelName | None = Field(None, description="Default: by the key that is there, else built-in")
    fallback_models: Listed = Field((), description="Tried in this order when the model fails")
    embedding_model: ModelName | None = Field(None, description="Such as openai:text-embedding-3-small")
    model_timeout: float = Field(60, gt=0, le=3600, description="One attempt, its whole answer included")
    model_attempts: int = Field(3, ge=1, le=20, description="Of each model, before the next one is tried")
    model_backoff_seconds: float = Field(0.5, gt=0, le=60, description="Doubles; full jitter is taken of it")
    model_backoff_limit: float = Field(20, gt=0, le=600, description="The longest pause between attempts")
    breaker_failures: int = Field(5, ge=1, le=1000, description="In a row, until a model is left alone")
    breaker_seconds: float = Field(15, gt=0, le=3600, description="For how long, before one call tries it")

    max_prompt_tokens: int = Field(100_000, ge=1, description="Estimated; a longer prompt is refused")
    max_output_tokens: int = Field(4096, ge=1, description="What one answer may take")

    llm_requests_per_minute: int | None = Field(None, ge=1, description="Of each model, replicas together")
    llm_tokens_per_minute: int | None = Field(None, ge=1, description="Of each model, replicas together")
    llm_limits: Annotated[Mapping[str, ModelLimits], NoDecode, FromJson] = Field(
        {}, description='Of one model: {"openai:gpt-5-mini": {...}}'
    )
    llm_quota: Name | None = Field(
        None,
        description="Fleets of an environment that say the same share their limits; default: all of them",
    )
    llm_wait_seconds: float = Field(30, ge=0, le=3600, description="The longest a call waits for its limits")

    response_cache_seconds: int = Field(0, ge=0, description="0: off; an agent may say its own")
    semantic_cache_similarity: float | None = Field(
        None,
        gt=0.5,
        le=1,
        description="Cosine from which another prompt's answer is taken; None: exact",
    )
    embedding_cache_seconds: int = Field(604_800, ge=0, description="0: off")

    monthly_budget_usd: Decimal | None = Field(None, gt=0, description="Of the fleet, by calendar month, UTC")
    monthly_budget_usd_per_key: Decimal | None = Field(None, gt=0, description="Of each API key or subject")
    model_prices: Annotated[Mapping[str, ModelPrice], NoDecode, FromJson] = Field(
        {}, description="Where the known ones are not yours"
    )

    llm_secret_arn: SecretArn | None = None
    openai_api_key: SecretStr | None = Field(None, validation_alias="OPENAI_API_KEY")
    anthropic_api_key: SecretStr | None = Field(None, validation_alias="ANTHROPIC_API_KEY")
    llm_api_key: SecretStr | None = Field(None, validation_alias="LLM_API_KEY")
    openai_base_url: HttpUrl | None = Field(None, validation_alias="OPENAI_BASE_URL")
    anthropic_base_url: HttpUrl | None = Field(None, validation_alias="ANTHROPIC_BASE_URL")

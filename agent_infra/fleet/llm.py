"""What the service's variables say of its language models."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from agent_infra.fleet.llm_args import LlmAccess

#: Each field's variable.
VARIABLES = {
    "model": "AGENT_APP_MODEL",
    "fallback_models": "AGENT_APP_FALLBACK_MODELS",
    "embedding_model": "AGENT_APP_EMBEDDING_MODEL",
    "openai_base_url": "OPENAI_BASE_URL",
    "anthropic_base_url": "ANTHROPIC_BASE_URL",
    "requests_per_minute": "AGENT_APP_LLM_REQUESTS_PER_MINUTE",
    "tokens_per_minute": "AGENT_APP_LLM_TOKENS_PER_MINUTE",
    "limits": "AGENT_APP_LLM_LIMITS",
    "quota": "AGENT_APP_LLM_QUOTA",
    "wait_seconds": "AGENT_APP_LLM_WAIT_SECONDS",
    "monthly_budget_usd": "AGENT_APP_MONTHLY_BUDGET_USD",
    "monthly_budget_usd_per_key": "AGENT_APP_MONTHLY_BUDGET_USD_PER_KEY",
    "prices": "AGENT_APP_MODEL_PRICES",
    "max_prompt_tokens": "AGENT_APP_MAX_PROMPT_TOKENS",
    "max_output_tokens": "AGENT_APP_MAX_OUTPUT_TOKENS",
    "timeout": "AGENT_APP_MODEL_TIMEOUT",
    "attempts": "AGENT_APP_MODEL_ATTEMPTS",
    "backoff_seconds": "AGENT_APP_MODEL_BACKOFF_SECONDS",
    "backoff_limit": "AGENT_APP_MODEL_BACKOFF_LIMIT",
    "breaker_failures": "AGENT_APP_BREAKER_FAILURES",
    "breaker_seconds": "AGENT_APP_BREAKER_SECONDS",
    "response_cache_seconds": "AGENT_APP_RESPONSE_CACHE_SECONDS",
    "semantic_cache_similarity": "AGENT_APP_SEMANTIC_CACHE_SIMILARITY",
    "embedding_cache_seconds": "AGENT_APP_EMBEDDING_CACHE_SECONDS",
}


def variables(llm: LlmAccess) -> dict[str, str]:
    """The variables of what is said."""
    said = {variable: getattr(llm, field) for field, variable in VARIABLES.items()}
    return {variable: as_text(value) for variable, value in said.items() if value not in (None, (), [], {})}


def as_text(value: Any) -> str:
    """A value as the service reads it: lists with commas, mappings as JSON."""
    if isinstance(value, Mapping):
        return json.dumps(plain(value))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(value)
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def plain(value: Any) -> Any:
    """What JSON takes; money as text, which loses nothing."""
    if isinstance(value, BaseModel):
        said = {name: getattr(value, name) for name in type(value).model_fields}
        return {name: plain(item) for name, item in said.items() if item is not None}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return format(value, "f") if isinstance(value, Decimal) else value

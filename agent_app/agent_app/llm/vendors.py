"""Which vendor's model answers, and the way to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr

from agent_app.llm.built_in import NAME as BUILT_IN
from agent_app.llm.built_in import BuiltInEmbedding, built_in
from agent_app.secrets import LlmKeys
from agent_app.settings import Settings, SettingsError

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from pydantic_ai.embeddings import EmbeddingModel
    from pydantic_ai.models import Model

DEFAULT_MODELS = {"openai": "gpt-5-mini", "anthropic": "claude-haiku-4-5"}


def choose(wanted: str | None, keys: LlmKeys, setting: str = "AGENT_APP_MODEL") -> tuple[str, str]:
    """The vendor and the model's name: `wanted` if it is said, else by the key that is there.

    Raises:
        SettingsError: `setting` names a vendor whose key is not there.
    """
    present = [vendor for vendor in DEFAULT_MODELS if getattr(keys, vendor) is not None]
    if wanted == BUILT_IN or (wanted is None and not present):
        return BUILT_IN, BUILT_IN
    if wanted is None:
        return present[0], DEFAULT_MODELS[present[0]]
    vendor, separator, name = wanted.partition(":")
    if not separator:
        name = wanted
        vendor = "anthropic" if name.startswith("claude") else "openai"
        if vendor not in present and len(present) == 1 and not name.startswith(("claude", "gpt")):
            vendor = present[0]
    if vendor not in DEFAULT_MODELS or not name:
        raise SettingsError(
            f"{setting} is {wanted!r}: allowed are 'built-in', 'openai:<model>', 'anthropic:<model>'."
        )
    if vendor not in present:
        raise SettingsError(
            f"{setting} is {wanted!r}, but there is no key for {vendor}: set {vendor.upper()}_API_KEY, "
            f"in the environment or in the secret of AGENT_APP_LLM_SECRET_ARN, or {setting}=built-in."
        )
    return vendor, name


def build(vendor: str, name: str, settings: Settings, keys: LlmKeys) -> Model:
    """The model, as `choose` found it; the vendors' SDKs try nothing again by themselves."""
    if vendor == BUILT_IN:
        return built_in()
    if vendor == "openai":
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.profiles.openai import OpenAIModelProfile
        from pydantic_ai.providers.openai import OpenAIProvider

        # OpenAI says why an answer ends; of those who only speak like it, some do not.
        ends = OpenAIModelProfile(
            openai_chat_streaming_requires_finish_reason=settings.openai_base_url is None
        )
        provider = OpenAIProvider(openai_client=_openai(settings, keys))
        return OpenAIChatModel(name, provider=provider, profile=ends)
    from anthropic import AsyncAnthropic, DefaultAioHttpClient
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    anthropic = AsyncAnthropic(
        api_key=_value(keys.anthropic),
        base_url=_value(settings.anthropic_base_url),
        max_retries=0,
        http_client=DefaultAioHttpClient(),
    )
    return AnthropicModel(name, provider=AnthropicProvider(anthropic_client=anthropic))


def build_embedding(vendor: str, name: str, settings: Settings, keys: LlmKeys) -> EmbeddingModel:
    """The model of embeddings.

    Raises:
        SettingsError: the vendor has none.
    """
    if vendor == BUILT_IN:
        return BuiltInEmbedding()
    if vendor != "openai":
        raise SettingsError(
            f"AGENT_APP_EMBEDDING_MODEL is '{vendor}:{name}', and {vendor} has no embeddings: allowed are "
            "'openai:<model>', of any vendor that OPENAI_BASE_URL names, and 'built-in'."
        )
    from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
    from pydantic_ai.providers.openai import OpenAIProvider

    return OpenAIEmbeddingModel(name, provider=OpenAIProvider(openai_client=_openai(settings, keys)))


def _openai(settings: Settings, keys: LlmKeys) -> AsyncOpenAI:
    from agent_app.llm.openai_client import openai_client

    return openai_client(_value(keys.openai), _value(settings.openai_base_url))


async def close(model: Model | EmbeddingModel) -> None:
    """Closes the connections of a model that `build` or `build_embedding` made."""
    client = getattr(model, "client", None) or getattr(model, "_client", None)
    if client is not None:
        await client.close()


def _value(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()

"""What answers: a vendor's model through pydantic-ai, or, without a key, the built-in one.

pydantic-ai and the vendors' SDKs are imported only where a key asks for them: they take 2 s and 40 to 70 MB.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from pydantic import SecretStr

from agent_app.problems import Problem
from agent_app.secrets import LlmKeys
from agent_app.settings import Settings, SettingsError
from agent_app.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from pydantic_ai import Agent

BUILT_IN = "built-in"
DEFAULT_MODELS = {"openai": "gpt-5-mini", "anthropic": "claude-haiku-4-5"}
INSTRUCTIONS = "You are a helpful assistant. Answer briefly and say so when you do not know."


@dataclass(frozen=True)
class Message:
    """One utterance of a session."""

    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True)
class Reply:
    """What a model said, and the tokens it took."""

    text: str
    model: str
    input_tokens: int
    output_tokens: int


class ModelFailed(Problem):
    """The model gave no answer; the task or the request may be tried again."""


class Model(Protocol):
    """Anything that answers."""

    name: str

    async def reply(self, history: Sequence[Message], message: str) -> Reply:
        """The answer to `message` after `history`, the oldest first."""


class BuiltInModel:
    """Says back what it was told and what came before: the same words for the same session, at no cost."""

    name = BUILT_IN

    async def reply(self, history: Sequence[Message], message: str) -> Reply:
        before = [item.content for item in history if item.role == "user"]
        words = message.split()
        text = f'You said: "{_short(message)}" ({_count(len(words), "word")}).'
        if before:
            told = "; ".join(f'"{_short(item, 60)}"' for item in before[-3:])
            text += f" Before that you told me {_count(len(before), 'message')}, lately: {told}."
        spoken = sum(len(item.content.split()) for item in history) + len(words)
        return Reply(text, self.name, input_tokens=spoken, output_tokens=len(text.split()))


class VendorModel:
    """A vendor's model behind pydantic-ai."""

    def __init__(self, agent: Agent[object, str], name: str, timeout: float) -> None:
        self.name = name
        self._agent = agent
        self._timeout = timeout

    async def reply(self, history: Sequence[Message], message: str) -> Reply:
        from pydantic_ai.exceptions import AgentRunError, ModelHTTPError
        from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, UserPromptPart

        turns: list[ModelMessage] = [
            ModelRequest(parts=[UserPromptPart(item.content)])
            if item.role == "user"
            else ModelResponse(parts=[TextPart(item.content)])
            for item in history
        ]
        try:
            async with asyncio.timeout(self._timeout):
                run = await self._agent.run(message, message_history=turns)
        except TimeoutError:
            raise ModelFailed(504, f"The model {self.name} did not answer in {self._timeout:g} s.") from None
        except ModelHTTPError as error:
            # The vendor's body may repeat the prompt or part of the key: the status is enough.
            busy = error.status_code in {429, 503, 529}
            raise ModelFailed(
                503 if busy else 502,
                f"The model {self.name} answered with HTTP status {error.status_code}.",
                retry_after=10 if busy else None,
            ) from None
        except AgentRunError as error:
            raise ModelFailed(502, f"The model {self.name} failed: {type(error).__name__}.") from None
        usage = run.usage
        return Reply(run.output, self.name, usage.input_tokens, usage.output_tokens)


class MeteredModel:
    """Counts what another model does."""

    def __init__(self, model: Model, metrics: Metrics) -> None:
        self.name = model.name
        self._model = model
        self._metrics = metrics

    async def reply(self, history: Sequence[Message], message: str) -> Reply:
        try:
            reply = await self._model.reply(history, message)
        except BaseException:
            self._metrics.llm_requests.labels(self.name, "failed").inc()
            raise
        self._metrics.llm_requests.labels(self.name, "answered").inc()
        self._metrics.llm_tokens.labels(self.name, "input").inc(reply.input_tokens)
        self._metrics.llm_tokens.labels(self.name, "output").inc(reply.output_tokens)
        return reply


def choose(settings: Settings, keys: LlmKeys) -> tuple[str, str]:
    """The vendor and the model's name: AGENT_APP_MODEL if it is set, else by the key that is there.

    Raises:
        SettingsError: AGENT_APP_MODEL names a vendor whose key is not there.
    """
    present = [vendor for vendor in DEFAULT_MODELS if getattr(keys, vendor) is not None]
    wanted = settings.model
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
            f"AGENT_APP_MODEL is {wanted!r}: allowed are 'built-in', 'openai:<model>', 'anthropic:<model>'."
        )
    if vendor not in present:
        raise SettingsError(
            f"AGENT_APP_MODEL is {wanted!r}, but there is no key for {vendor}: set {vendor.upper()}_API_KEY, "
            f"in the environment or in the secret of AGENT_APP_LLM_SECRET_ARN, or AGENT_APP_MODEL=built-in."
        )
    return vendor, name


def build(settings: Settings, keys: LlmKeys) -> Model:
    """The model this process answers with.

    Raises:
        SettingsError: AGENT_APP_MODEL names what cannot be used.
    """
    vendor, name = choose(settings, keys)
    if vendor == BUILT_IN:
        return BuiltInModel()
    from pydantic_ai import Agent

    if vendor == "openai":
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.openai import OpenAIProvider

        url = _value(settings.openai_base_url)
        openai = OpenAIProvider(api_key=_value(keys.openai), base_url=url)
        agent = Agent(OpenAIChatModel(name, provider=openai), instructions=INSTRUCTIONS)
    else:
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider

        url = _value(settings.anthropic_base_url)
        anthropic = AnthropicProvider(api_key=_value(keys.anthropic), base_url=url)
        agent = Agent(AnthropicModel(name, provider=anthropic), instructions=INSTRUCTIONS)
    return VendorModel(agent, name, settings.model_timeout)


def _value(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _short(text: str, limit: int = 200) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

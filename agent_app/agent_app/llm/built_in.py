"""The models that answer without a vendor, at no cost: the same words for the same session, and vectors."""

from __future__ import annotations

import asyncio
import math
import re
import zlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from pydantic_ai.embeddings import EmbeddingModel, EmbeddingResult
from pydantic_ai.embeddings.result import EmbedInputType
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.usage import RequestUsage

NAME = "built-in"
_DIMENSIONS = 256


def built_in() -> FunctionModel:
    """Says back what it was told and what came before; an output type gets its smallest valid value."""
    return FunctionModel(_answer, stream_function=_stream, model_name=NAME)


async def _answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    if info.output_tools:
        return await _smallest(messages, info)
    said = _said(messages)
    text = echo(said)
    spoken = sum(len(item.split()) for item in said) + sum(len(item.split()) for item in _replies(messages))
    usage = RequestUsage(input_tokens=spoken, output_tokens=len(text.split()))
    return ModelResponse(parts=[TextPart(text)], usage=usage, model_name=NAME)


async def _stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
    response = await _answer(messages, info)
    for place, part in enumerate(response.parts):
        if isinstance(part, TextPart):
            words = part.content.split(" ")
            for number, word in enumerate(words):
                yield word if number == len(words) - 1 else f"{word} "
                await asyncio.sleep(0)
        elif isinstance(part, ToolCallPart):
            yield {place: DeltaToolCall(name=part.tool_name, json_args=part.args_as_json_str())}


async def _smallest(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    model = TestModel(call_tools=[])
    response = await model.request(messages, info.model_settings, info.model_request_parameters)
    response.model_name = NAME
    return response


class BuiltInEmbedding(EmbeddingModel):
    """Places a text by its words: the same words, in whatever order, are the same vector of length 1."""

    @property
    def model_name(self) -> str:
        return NAME

    @property
    def system(self) -> str:
        return NAME

    async def embed(
        self, inputs: str | Sequence[str], *, input_type: EmbedInputType, settings: Any = None
    ) -> EmbeddingResult:
        texts, _ = self.prepare_embed(inputs, settings)
        words = sum(len(text.split()) for text in texts)
        return EmbeddingResult(
            embeddings=[_by_words(text) for text in texts],
            inputs=texts,
            input_type=input_type,
            usage=RequestUsage(input_tokens=words),
            model_name=NAME,
            provider_name=NAME,
        )


def _by_words(text: str) -> list[float]:
    vector = [0.0] * _DIMENSIONS
    for word in re.findall(r"\w+", text.lower()) or [""]:
        vector[zlib.crc32(word.encode("utf-8", "surrogatepass")) % _DIMENSIONS] += 1
    length = math.hypot(*vector)
    return [number / length for number in vector]


def echo(said: Sequence[str]) -> str:
    """What it answers to the last of `said`."""
    *before, message = said or [""]
    text = f'You said: "{_short(message)}" ({_count(len(message.split()), "word")}).'
    if before:
        told = "; ".join(f'"{_short(item, 60)}"' for item in before[-3:])
        text += f" Before that you told me {_count(len(before), 'message')}, lately: {told}."
    return text


def _said(messages: Sequence[ModelMessage]) -> list[str]:
    parts = (part for message in messages if isinstance(message, ModelRequest) for part in message.parts)
    return [str(part.content) for part in parts if isinstance(part, UserPromptPart)]


def _replies(messages: Sequence[ModelMessage]) -> list[str]:
    return [message.text or "" for message in messages if isinstance(message, ModelResponse)]


def _short(text: str, limit: int = 200) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

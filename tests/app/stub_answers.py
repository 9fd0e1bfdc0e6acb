"""A stub provider's answers, each a function of what was asked, in OpenAI's and Anthropic's forms."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tests.app.schema_instance import instance
from tests.app.stub_asked import OUTPUT_TOOL, Asked, Tool, as_utf8, tokens

_CREATED = 1_767_225_600
_PIECE = 16
"""Characters of a streamed answer's pieces; more where there would be over 64 of them."""


class ToolUse(BaseModel):
    """A call of a tool that the model asks for."""

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class Script(BaseModel):
    """What to answer in place of the echo: a text, calls of tools, or both."""

    model_config = ConfigDict(extra="forbid")

    says: str = ""
    """A part of the last user message; empty for any."""
    model: str = ""
    """A part of the model's name."""
    next: int | None = None
    """How often; None for always."""
    text: str = ""
    tools: list[ToolUse] = Field(default_factory=list)


@dataclass(slots=True)
class Answer:
    """What the model says."""

    text: str = ""
    tools: list[ToolUse] = field(default_factory=list)
    is_cut_short: bool = False
    """At the most tokens that were asked for."""

    @property
    def output_tokens(self) -> int:
        return tokens(self.text, *(json.dumps(use.arguments) for use in self.tools))


def answer(asked: Asked, scripts: Sequence[Script] = (), *, tools_first: bool = False) -> Answer:
    """The first script that applies; else the least value of the schema asked for; else the echo.

    Of the tools, the one that must be called is called; else pydantic-ai's output tool, if there is one; else
    any where one must be. With `tools_first`, all others are called once before that.
    """
    for script in scripts:
        if script.next != 0 and script.says in asked.said and script.model in asked.model:
            if script.next is not None:
                script.next -= 1
            return Answer(script.text, list(script.tools))
    if asked.output_schema is not None:
        return Answer(json.dumps(instance(asked.output_schema)))
    if chosen := _chosen(asked, tools_first=tools_first):
        return Answer(tools=[ToolUse(name=tool.name, arguments=instance(tool.schema)) for tool in chosen])
    text = asked.said
    if asked.max_tokens is not None and tokens(text) > asked.max_tokens:
        return Answer(as_utf8(text)[: 4 * asked.max_tokens].decode(errors="ignore"), is_cut_short=True)
    return Answer(text)


def _chosen(asked: Asked, *, tools_first: bool) -> list[Tool]:
    if asked.forced:
        return [tool for tool in asked.tools if tool.name == asked.forced]
    outputs = [tool for tool in asked.tools if tool.name.startswith(OUTPUT_TOOL)]
    others = [tool for tool in asked.tools if tool not in outputs]
    if tools_first and others and not asked.has_tool_results:
        return others
    if outputs:
        return outputs[:1]
    return others[:1] if asked.forced == "" else []


def openai_body(asked: Asked, given: Answer, id: str, *, is_empty: bool = False) -> dict[str, Any]:
    """A chat completion; without choices where `is_empty`."""
    message: dict[str, Any] = {"role": "assistant", "content": given.text or None, "refusal": None}
    if given.tools:
        message["tool_calls"] = _openai_tools(given, id)
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _openai_finish(given)}
    return {
        "id": f"chatcmpl-{id}",
        "object": "chat.completion",
        "created": _CREATED,
        "model": asked.model,
        "choices": [] if is_empty else [choice],
        "usage": _openai_usage(asked, given),
    }


def openai_events(
    asked: Asked, given: Answer, id: str, *, has_usage: bool, is_empty: bool = False
) -> Iterator[bytes]:
    """The events of a streamed chat completion; usage comes in one of its own, if it was asked for."""
    chunk: dict[str, Any] = {
        "id": f"chatcmpl-{id}",
        "object": "chat.completion.chunk",
        "created": _CREATED,
        "model": asked.model,
    }
    if has_usage:
        chunk["usage"] = None

    def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return _data({**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    if not is_empty:
        yield event({"role": "assistant", "content": ""})
        for piece in _pieces(given.text):
            yield event({"content": piece})
        for index, call in enumerate(_openai_tools(given, id)):
            arguments = call["function"]["arguments"]
            opening = {**call, "index": index, "function": {**call["function"], "arguments": ""}}
            yield event({"tool_calls": [opening]})
            for piece in _pieces(arguments):
                yield event({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
        yield event({}, _openai_finish(given))
    if has_usage:
        yield _data({**chunk, "choices": [], "usage": _openai_usage(asked, given)})
    yield b"data: [DONE]\n\n"


def _openai_tools(given: Answer, id: str) -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_{id}_{number}",
            "type": "function",
            "function": {"name": use.name, "arguments": json.dumps(use.arguments)},
        }
        for number, use in enumerate(given.tools)
    ]


def _openai_finish(given: Answer) -> str:
    return "tool_calls" if given.tools else "length" if given.is_cut_short else "stop"


def _openai_usage(asked: Asked, given: Answer) -> dict[str, int]:
    input, output = asked.input_tokens, given.output_tokens
    return {"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output}


def anthropic_body(asked: Asked, given: Answer, id: str, *, is_empty: bool = False) -> dict[str, Any]:
    """A message; without content where `is_empty`."""
    return {
        "id": f"msg_{id}",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": [] if is_empty else _anthropic_content(given, id),
        "stop_reason": _anthropic_stop(given),
        "stop_sequence": None,
        "usage": {"input_tokens": asked.input_tokens, "output_tokens": given.output_tokens},
    }


def anthropic_events(asked: Asked, given: Answer, id: str, *, is_empty: bool = False) -> Iterator[bytes]:
    """The events of a streamed message."""
    message = anthropic_body(asked, given, id, is_empty=True)
    usage = {"input_tokens": asked.input_tokens, "output_tokens": 1}
    opening = {**message, "stop_reason": None, "usage": usage}
    yield _event("message_start", {"message": opening})
    for index, block in enumerate([] if is_empty else _anthropic_content(given, id)):
        if block["type"] == "text":
            empty, form, key, whole = {"text": ""}, "text_delta", "text", block["text"]
        else:
            whole = json.dumps(block["input"])
            empty, form, key = {"input": {}}, "input_json_delta", "partial_json"
        yield _event("content_block_start", {"index": index, "content_block": {**block, **empty}})
        for piece in _pieces(whole):
            yield _event("content_block_delta", {"index": index, "delta": {"type": form, key: piece}})
        yield _event("content_block_stop", {"index": index})
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield _event("message_delta", {"delta": delta, "usage": {"output_tokens": given.output_tokens}})
    yield _event("message_stop", {})


def _anthropic_content(given: Answer, id: str) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = [{"type": "text", "text": given.text}] if given.text else []
    content += [
        {"type": "tool_use", "id": f"toolu_{id}_{number}", "name": use.name, "input": use.arguments}
        for number, use in enumerate(given.tools)
    ]
    return content


def _anthropic_stop(given: Answer) -> str:
    return "tool_use" if given.tools else "max_tokens" if given.is_cut_short else "end_turn"


def embeddings_body(model: str, texts: list[str], dimensions: int, encoding: str) -> dict[str, Any]:
    """Vectors of length 1, the same for the same text: from its SHA-256, so that unlike texts lie apart."""

    def vector(text: str) -> list[float]:
        raw = hashlib.shake_256(as_utf8(text)).digest(2 * dimensions)
        values = [number / 32768 for number in struct.unpack(f"<{dimensions}h", raw)]
        length = sum(value * value for value in values) ** 0.5 or 1
        return [value / length for value in values]

    def encoded(values: list[float]) -> list[float] | str:
        if encoding != "base64":
            return values
        return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()

    used = tokens(*texts)
    return {
        "object": "list",
        "model": model,
        "data": [
            {"object": "embedding", "index": index, "embedding": encoded(vector(text))}
            for index, text in enumerate(texts)
        ],
        "usage": {"prompt_tokens": used, "total_tokens": used},
    }


def _pieces(text: str) -> Iterator[str]:
    size = max(_PIECE, -(-len(text) // 64))
    return (text[start : start + size] for start in range(0, len(text), size))


def _data(body: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def _event(name: str, body: dict[str, Any]) -> bytes:
    return f"event: {name}\n".encode() + _data({"type": name, **body})

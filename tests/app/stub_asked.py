"""What a request to a provider asks, in one shape for OpenAI's and Anthropic's forms of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

#: What pydantic-ai names the tool that carries an agent's structured output.
OUTPUT_TOOL = "final_result"


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    schema: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, read."""

    model: str
    texts: list[str]
    """Of all messages and the system prompt, in order."""
    said: str
    """The last user message's text."""
    stream: bool = False
    tools: list[Tool] = field(default_factory=list)
    forced: str | None = None
    """The tool that must be called; empty for any of them."""
    has_tool_results: bool = False
    """Whether results of tools come after the last user message."""
    output_schema: dict[str, Any] | None = None
    max_tokens: int | None = None

    @property
    def input_tokens(self) -> int:
        return tokens(*self.texts)


def tokens(*texts: str) -> int:
    """What a stub provider charges: a token for every 4 bytes of UTF-8, rounded up once."""
    return math.ceil(sum(len(as_utf8(text)) for text in texts) / 4)


def as_utf8(text: str) -> bytes:
    """JSON may hold half a surrogate pair, which a stub must not fall over."""
    return text.encode("utf-8", "surrogatepass")


def from_openai(body: dict[str, Any]) -> Asked:
    """Reads a request to `/v1/chat/completions`.

    Raises:
        KeyError, TypeError, AttributeError: it is none.
    """
    texts, said, has_results = [], "", False
    for message in body["messages"]:
        text = "".join(_texts(message.get("content")))
        texts.append(text)
        if message["role"] == "user":
            said, has_results = text, False
        elif message["role"] == "tool":
            has_results = True
    choice = body.get("tool_choice")
    forced = choice["function"]["name"] if isinstance(choice, dict) else None
    wanted = body.get("response_format") or {}
    return Asked(
        model=body["model"],
        texts=texts,
        said=said,
        stream=bool(body.get("stream")),
        tools=[
            Tool(tool["function"]["name"], tool["function"].get("parameters") or {})
            for tool in body.get("tools") or []
            if choice != "none"
        ],
        forced="" if choice == "required" else forced,
        has_tool_results=has_results,
        output_schema=wanted["json_schema"]["schema"] if wanted.get("type") == "json_schema" else None,
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
    )


def from_anthropic(body: dict[str, Any]) -> Asked:
    """Reads a request to `/v1/messages`.

    Raises:
        KeyError, TypeError, AttributeError: it is none.
    """
    texts, said, has_results = ["".join(_texts(body.get("system")))], "", False
    for message in body["messages"]:
        text = "".join(_texts(message["content"]))
        texts.append(text)
        content = message["content"]
        results = isinstance(content, list) and any(block["type"] == "tool_result" for block in content)
        if results:
            has_results = True
        elif message["role"] == "user":
            said, has_results = text, False
    choice = body.get("tool_choice") or {}
    forced = {"any": "", "tool": choice.get("name")}.get(choice.get("type", "auto"))
    output = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    return Asked(
        model=body["model"],
        texts=texts,
        said=said,
        stream=bool(body.get("stream")),
        tools=[
            Tool(tool["name"], tool.get("input_schema") or {})
            for tool in body.get("tools") or []
            if choice.get("type") != "none"
        ],
        forced=forced,
        has_tool_results=has_results,
        output_schema=output.get("schema"),
        max_tokens=body["max_tokens"],
    )


def _texts(content: Any) -> Iterator[str]:
    """The texts of a message's content: plain, or in parts that may hold parts."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            if isinstance(part, str):
                yield part
            elif "text" in part:
                yield part["text"]
            elif "content" in part:
                yield from _texts(part["content"])

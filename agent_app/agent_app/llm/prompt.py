"""What a model is asked, as text: how long it is, and by what a repeated question is known."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic_ai.messages import (
    MULTI_MODAL_CONTENT_TYPES,
    BaseToolReturnPart,
    BinaryContent,
    FilePart,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_core import to_json

from agent_app.llm import tokens

#: Differs from run to run, and the vendor is not told it.
_PASSING: Final[dict[str, Any]] = {
    "__all__": {
        **dict.fromkeys(("timestamp", "run_id", "conversation_id", "metadata", "usage"), True),
        **dict.fromkeys(("provider_response_id", "model_name", "model_id"), True),
        "parts": {"__all__": {"timestamp"}},
    }
}
#: A large picture's: at Anthropic 1,600, at OpenAI mostly less.
#: https://docs.claude.com/en/docs/build-with-claude/vision
_FILE_TOKENS: Final = 2_000
_PARAMETERS: Final = TypeAdapter(ModelRequestParameters)
_PLAIN: Final = ModelRequestParameters()


class Prompt:
    """One question with its history, instructions and tools."""

    def __init__(
        self, messages: Sequence[ModelMessage], settings: ModelSettings, parameters: ModelRequestParameters
    ) -> None:
        self._messages = list(messages)
        said = ModelMessagesTypeAdapter.dump_json(self._messages, exclude=_PASSING)
        # Tools and an output's schema are sent with every call; a plain one has neither.
        tools = b"" if parameters == _PLAIN else _PARAMETERS.dump_json(parameters)
        self._asked = tools + to_json(dict(settings), fallback=str)
        self._text = said + tools
        files = list(_files(self._messages))
        #: Of the text alone.
        self._bytes = len(self._text) - sum(
            len(file.base64) for file in files if isinstance(file, BinaryContent)
        )
        self._files = len(files)
        #: Whether the vendor reads more than is told here, of which it alone knows how much it is.
        self.reads_more = bool(files or parameters.native_tools)

    @property
    def estimate(self) -> int:
        """About how many tokens it takes."""
        return tokens.of_bytes(self._bytes) + self._files * _FILE_TOKENS

    @property
    def most(self) -> int:
        """No fewer tokens than its text takes: JSON's signs make up for what vendors put between messages."""
        return self._bytes

    @cached_property
    def key(self) -> str:
        """The same for the same question."""
        return hashlib.sha256(self._text + self._asked).hexdigest()

    @cached_property
    def question(self) -> str:
        """The last thing the user said, where that is all that is new; else ''."""
        parts = self._messages[-1].parts if self._messages else ()
        if len(parts) == 1 and isinstance(parts[0], UserPromptPart) and isinstance(parts[0].content, str):
            return parts[0].content
        return ""

    @cached_property
    def setting(self) -> str:
        """The same for questions that differ in `question` alone."""
        last = self._messages[-1]
        assert isinstance(last, ModelRequest)  # noqa: S101 (there is a question)
        others = [*self._messages[:-1], replace(last, parts=[])]
        said = ModelMessagesTypeAdapter.dump_json(others, exclude=_PASSING)
        return hashlib.sha256(said + self._asked).hexdigest()


def _base64(file: BinaryContent) -> int:
    return -(-len(file.data) // 3) * 4


def _files(messages: Sequence[ModelMessage]) -> Iterator[object]:
    """Pictures, sounds, documents: by what they hold, or by where they are."""
    for part in (part for message in messages for part in message.parts):
        if isinstance(part, UserPromptPart) and not isinstance(part.content, str):
            yield from (item for item in part.content if isinstance(item, MULTI_MODAL_CONTENT_TYPES))
        elif isinstance(part, BaseToolReturnPart) and not isinstance(part.content, str):
            yield from part.files
        elif isinstance(part, FilePart):
            yield part.content

"""Answers that are given again: to the same question, or by choice to one that means the same."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Final

from pydantic import TypeAdapter, ValidationError
from pydantic_ai.messages import ModelResponse
from pydantic_ai.usage import RequestUsage

from agent_app.llm import vectors
from agent_app.llm.call import Caller, LlmProblem
from agent_app.llm.embeddings import Embeddings
from agent_app.llm.prompt import Prompt
from agent_app.llm.usage import Ledger
from agent_app.state.cache import Cache
from agent_app.telemetry.metrics import Metrics

#: A longer answer is not kept.
LONGEST: Final = 262_144
#: Of the questions in one setting, the newest are compared.
COMPARED: Final = 100
_ANSWER: Final = TypeAdapter(ModelResponse)
_PASSING: Final = {"usage", "timestamp", "metadata", "run_id", "conversation_id", "failed_attempts"}
_WHOLE: Final = frozenset({None, "stop", "tool_call"})


class ResponseCache:
    """Of one agent type.

    The same question is the same to the letter: its instructions, history, tools and settings, for the same
    model. Who asks does not matter then. A question that only means the same must come from the same caller,
    and all but the user's last words be the same to the letter: what one person was told of their own
    account is not told to another.

    Args:
        cache: where answers are kept.
        place: which fleet's and agent's they are.
        seconds: for how long.
        similarity: the least cosine of the questions' embeddings; None: only the same question.
        embeddings: needed for that.
        ledger: has answers from here counted, at no cost.
        metrics: has hits and misses counted.
    """

    def __init__(
        self,
        cache: Cache,
        *,
        place: str,
        seconds: int,
        ledger: Ledger,
        metrics: Metrics,
        similarity: float | None = None,
        embeddings: Embeddings | None = None,
    ) -> None:
        self.cache = cache
        self.seconds = seconds
        self._place = place
        self._similarity = similarity
        self._embeddings = embeddings
        self._ledger = ledger
        self._metrics = metrics

    async def look(self, prompt: Prompt, caller: Caller, model: str) -> Lookup:
        """What is known of this question."""
        found = Lookup(self, self._key("answer", model, prompt.key))
        found.answer = await self._kept(found.key)
        how = "hit"
        if found.answer is None and self._similarity is not None:
            await self._compare(found, prompt, caller, model, self._similarity)
            how = "similar"
        self._metrics.cache_requests.labels("response", "miss" if found.answer is None else how).inc()
        if found.answer is not None:
            self._ledger.record(caller, model, RequestUsage(), 0, "cached")
        return found

    async def _compare(
        self, found: Lookup, prompt: Prompt, caller: Caller, model: str, similarity: float
    ) -> None:
        """Takes the answer of the nearest question, if it is near enough."""
        if self._embeddings is None or not prompt.question:
            return
        try:
            (vector,) = await self._embeddings.embed([prompt.question], caller)
        except LlmProblem:
            return  # to compare is a saving, and not worth failing for
        found.vector = vectors.packed(vector)
        found.near = self._key("near", model, caller.key, prompt.setting)
        best, key = similarity, ""
        for item in await self.cache.listed(found.near):
            other, other_key = json.loads(item)
            alike = vectors.cosine(vector, vectors.unpacked(other))
            if alike >= best:
                best, key = alike, other_key
        if key:
            found.answer = await self._kept(key)

    async def _kept(self, key: str) -> ModelResponse | None:
        (text,) = await self.cache.get([key])
        try:
            return None if text is None else _ANSWER.validate_json(text)
        except ValidationError:
            return None  # of another version

    def _key(self, kind: str, *parts: str) -> str:
        name = json.dumps([self._place, *parts])
        return f"{kind}:{hashlib.sha256(name.encode()).hexdigest()}"


@dataclass
class Lookup:
    """One question's."""

    source: ResponseCache
    key: str
    answer: ModelResponse | None = field(default=None, repr=False)
    #: Where questions in the same setting are listed, and this one's meaning.
    near: str = ""
    vector: str = field(default="", repr=False)

    async def keep(self, response: ModelResponse) -> None:
        """Keeps the answer, if it is whole."""
        if response.state != "complete" or response.finish_reason not in _WHOLE:
            return
        # A stream without its last event may have no end either.
        if response.usage.unmeasured_requests:
            return
        # Whose it is stays with it: what thinking is signed by is sent back to the same vendor alone.
        text = _ANSWER.dump_json(response, exclude=_PASSING).decode()
        if len(text) > LONGEST:
            return
        await self.source.cache.put({self.key: text}, seconds=self.source.seconds)
        if self.near:
            entry = json.dumps([self.vector, self.key])
            await self.source.cache.push(self.near, entry, keep=COMPARED, seconds=self.source.seconds)

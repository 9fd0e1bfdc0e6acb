"""Texts as vectors: from the cache, else from the vendor in one call, managed as any call of a model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from pydantic_ai.usage import RequestUsage

from agent_app.llm import tokens, vectors
from agent_app.llm.call import Caller
from agent_app.llm.calls import Calls, Candidate, Size
from agent_app.llm.usage import Ledger
from agent_app.state.cache import Cache
from agent_app.telemetry.metrics import Metrics

#: Texts of one call: OpenAI's bound is 2,048.
_BATCH = 500


class Embeddings:
    """Of one model.

    Args:
        candidate: the model.
        calls: what manages its calls.
        cache: where vectors are kept.
        seconds: for how long; 0 keeps none.
        ledger: has texts from the cache counted, at no cost.
        metrics: has hits and misses counted.
    """

    def __init__(
        self,
        candidate: Candidate,
        *,
        calls: Calls,
        cache: Cache,
        seconds: int,
        ledger: Ledger,
        metrics: Metrics,
    ) -> None:
        self._candidate = candidate
        self._calls = calls
        self._cache = cache
        self._seconds = seconds
        self._ledger = ledger
        self._metrics = metrics

    async def embed(self, texts: Sequence[str], caller: Caller) -> list[list[float]]:
        """The vector of each text, in their order; the same text is asked for once.

        Raises:
            LlmProblem: the model failed, or quota or budget did not let it be asked.
        """
        keys = {text: self._key(text) for text in texts}
        known = await self._kept(keys, caller)
        missing = [text for text in keys if text not in known]
        for start in range(0, len(missing), _BATCH):
            part = missing[start : start + _BATCH]
            made = dict(zip(part, await self._asked(part, caller), strict=True))
            known |= made
            if self._seconds:
                packed = {keys[text]: vectors.packed(vector) for text, vector in made.items()}
                await self._cache.put(packed, seconds=self._seconds)
        return [known[text] for text in texts]

    async def _kept(self, keys: dict[str, str], caller: Caller) -> dict[str, list[float]]:
        if not self._seconds:
            return {}
        found = await self._cache.get(list(keys.values()))
        known = {
            text: vectors.unpacked(item) for text, item in zip(keys, found, strict=True) if item is not None
        }
        self._metrics.cache_requests.labels("embedding", "hit").inc(len(known))
        self._metrics.cache_requests.labels("embedding", "miss").inc(len(keys) - len(known))
        if known and len(known) == len(keys):
            self._ledger.record(caller, self._candidate.name, RequestUsage(), 0, "cached")
        return known

    async def _asked(self, texts: list[str], caller: Caller) -> list[list[float]]:
        async def ask(model: Any, _stack: AsyncExitStack) -> Any:
            result = await model.embed(texts, input_type="document")
            if len(result.embeddings) != len(texts):
                raise ValueError("an embedding is missing")
            return result

        size = Size(
            estimate=sum(map(tokens.estimate, texts)), most=sum(tokens.at_most(text) + 2 for text in texts)
        )
        async with AsyncExitStack() as stack:
            charge, result = await self._calls.first([self._candidate], caller, size, ask, stack)
        self._calls.settle(charge, result.usage)
        return [list(map(float, vector)) for vector in result.embeddings]

    def _key(self, text: str) -> str:
        name = f"{self._candidate.name}\n{text}"
        return f"embedding:{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}"

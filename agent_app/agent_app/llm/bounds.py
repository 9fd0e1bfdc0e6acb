"""What an agent may ask of a call, within what can be reckoned before it."""

from __future__ import annotations

from typing import Any, Final, cast

from pydantic_ai.settings import ModelSettings

from agent_app.problems import Problem

#: A body's own members that say how long an answer is, how many there are, or what they cost.
_BODY: Final = frozenset(
    {
        *("max_tokens", "max_completion_tokens", "max_output_tokens", "n", "best_of"),
        *("model", "models", "fallbacks", "service_tier", "speed", "stream", "stream_options"),
    }
)
#: They cost more than a model's known price.
_DEAR: Final = frozenset({"priority", "ultrafast", "fast"})


def bounded(given: ModelSettings | None, most: int) -> ModelSettings:
    """The settings with an answer of `most` tokens at the longest, and tried again by nobody but `Calls`.

    Raises:
        Problem: 501, they ask for what cannot be paid for before it is known.
    """
    asked: dict[str, Any] = dict(given or {})
    asked.pop("max_retries", None)
    asked["max_tokens"] = min(asked.get("max_tokens") or most, most)
    body = asked.get("extra_body")
    if isinstance(body, dict) and (own := sorted(_BODY & body.keys())):
        raise _refused(f"{own} in extra_body", "the service bounds what a call may take")
    for name in ("service_tier", "openai_service_tier", "anthropic_speed"):
        if asked.get(name) in _DEAR:
            raise _refused(f"{name}={asked[name]!r}", "its price is not known before the call")
    return cast("ModelSettings", asked)


def _refused(what: str, why: str) -> Problem:
    return Problem(501, f"The agent's model settings have {what}, but {why}: leave it out.")

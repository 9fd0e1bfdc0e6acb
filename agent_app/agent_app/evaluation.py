"""`agent-app evaluate`: asks an agent what it is to be judged by, and prints the score.

A canary runs it before it sends any traffic to a new revision. Nothing is kept of what was said.
"""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from collections.abc import Sequence
from typing import Final

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent_app import service
from agent_app.settings import Settings, SettingsError
from agent_app.tasks.policy import Policy
from agent_app.telemetry import logs

#: The environment variable with the cases, as JSON.
CASES: Final = "AGENT_APP_EVALUATION_CASES"
#: Cases that are asked at once: a model's limits are shared with those who do real work.
_AT_ONCE: Final = 4

log = structlog.get_logger(__name__)


class Case(BaseModel):
    """One thing that is asked, and what the answer must and must not have in it, whatever its case."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    prompt: str = Field(min_length=1)
    contains: Sequence[str] = ()
    excludes: Sequence[str] = ()

    def passes(self, answer: str) -> bool:
        text = answer.casefold()
        return all(part.casefold() in text for part in self.contains) and not any(
            part.casefold() in text for part in self.excludes
        )


class Cases(BaseModel):
    """Whom they are asked, and what."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    agent: str | None = None
    cases: Sequence[Case] = Field(min_length=1)
    min_score: float = Field(0, ge=0, le=1)
    """Below it the command ends with status 3."""


def read() -> Cases:
    """Those of the environment.

    Raises:
        SettingsError: there are none, or they are no such JSON.
    """
    try:
        return Cases.model_validate_json(os.environ.get(CASES, ""))
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "it"
        raise SettingsError(
            f'{CASES} is not {{"cases": [{{"prompt": "...", "contains": ["..."]}}]}}: {where}: '
            f"{error.errors()[0]['msg']}"
        ) from None


async def evaluate(settings: Settings, wanted: Cases) -> float:
    """The share of the cases that pass; one whose agent fails does not.

    Raises:
        SettingsError: there is no such agent, or it or its model cannot be used.
    """
    async with service.opened(settings) as parts:
        name = wanted.agent or next(iter(parts.policies))
        if name not in parts.policies:
            raise SettingsError(f"{CASES}: there is no agent {name!r}; known: {', '.join(parts.policies)}")
        free = asyncio.Semaphore(_AT_ONCE)

        async def ask(number: int, case: Case) -> bool:
            async with free:
                passed = await _passes(parts, parts.policies[name], case)
            log.info("asked", case=number, passed=passed)
            return passed

        results = await asyncio.gather(*(ask(number, case) for number, case in enumerate(wanted.cases)))
    return sum(results) / len(results)


async def _passes(parts: service.Service, policy: Policy, case: Case) -> bool:
    context = parts.runs.context(policy.name, "evaluation", uuid.uuid4().hex)
    try:
        policy.agent.check(case.prompt)
        async with asyncio.timeout(policy.timeout):
            output = await policy.agent.run(case.prompt, context)
    except Exception as error:  # noqa: BLE001 - an agent is somebody's own code: whatever it raises, it failed
        logs.failure(log, "a case has no answer", error)
        return False
    return case.passes(output if isinstance(output, str) else json.dumps(output, ensure_ascii=False))

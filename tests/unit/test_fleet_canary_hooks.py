"""When the engine's hook tries a new revision, and how often."""

from __future__ import annotations

import asyncio
from typing import Any

import pulumi
import pytest

from agent_infra.fleet.canary.drive import CanaryFailed
from agent_infra.fleet.canary.hooks import Trial


def update(before: str | None, after: str) -> pulumi.ResourceHookArgs:
    def inputs(revision: str | None) -> dict[str, Any]:
        return {"metadata": {"annotations": {"agent-infra/revision": revision} if revision else {}}}

    return pulumi.ResourceHookArgs(
        "urn", "id", "support", "type", new_inputs=inputs(after), old_inputs=inputs(before)
    )


class Tried:
    """Stands for a canary; counts its runs."""

    def __init__(self, error: Exception | None = None) -> None:
        self.inputs: list[Any] = []
        self._error = error

    def begin(self, inputs: Any) -> Any:
        self.inputs.append(inputs)
        return self

    def run(self) -> None:
        if self._error:
            raise self._error


def hooked(tried: Tried, *updates: pulumi.ResourceHookArgs) -> list[BaseException | None]:
    async def run() -> list[BaseException | None]:
        trial = Trial(tried.begin, {"namespace": "agents"})
        return await asyncio.gather(*(trial.before_update(each) for each in updates), return_exceptions=True)

    return asyncio.run(run())


def test_other_replicas_or_labels_of_the_same_revision_are_not_tried() -> None:
    tried = Tried()
    assert hooked(tried, update("one", "one")) == [None]
    assert not tried.inputs


@pytest.mark.parametrize("before", ["one", None])
def test_a_new_revision_is_tried_once_for_all_its_deployments(before: str | None) -> None:
    tried = Tried()
    assert hooked(tried, update(before, "two"), update(before, "two")) == [None, None]
    assert tried.inputs == [{"namespace": "agents"}]


def test_a_failed_trial_keeps_every_deployment_as_it_is() -> None:
    tried = Tried(CanaryFailed("too slow"))
    assert [str(error) for error in hooked(tried, update("one", "two"), update("one", "two"))] == [
        "too slow",
        "too slow",
    ]

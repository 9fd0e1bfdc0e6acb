"""How `up` comes to run a canary: a hook of the stable Deployments; docs/adr/0013."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pulumi
from pulumi.runtime import mocks, settings

from agent_infra.fleet.canary.cluster import ClusterError
from agent_infra.fleet.canary.drive import Canary
from agent_infra.fleet.canary.manifests import REVISION


class Trial:
    """One run's trial of a fleet's new revision: once, however many Deployments wait for it."""

    def __init__(self, begin: Callable[[Any], Canary], inputs: Any) -> None:
        """`begin` opens the cluster, and is given `inputs` when they are known."""
        self._begin = begin
        self._inputs = pulumi.Output.from_input(inputs)
        self._done: asyncio.Future[None] | None = None

    async def before_update(self, args: pulumi.ResourceHookArgs) -> None:
        """What the engine runs before it updates a stable Deployment: an error keeps it as it is.

        Raises:
            CanaryFailed: the new revision is not good enough.
            ClusterError: that could not be found out.
        """
        if revision_of(args.old_inputs) == revision_of(args.new_inputs) is not None:
            return
        if self._done is None:
            self._done = asyncio.ensure_future(self._run())
        await asyncio.shield(self._done)

    async def _run(self) -> None:
        inputs = await self._inputs.future()
        canary = await asyncio.to_thread(self._begin, inputs)
        await asyncio.to_thread(canary.run)

    def guard(self, name: str) -> pulumi.ResourceHookBinding | None:
        """The stable Deployments' hooks; none under Pulumi's mocks, which cannot call back."""
        if _mocked():
            return None
        return pulumi.ResourceHookBinding(
            before_update=[pulumi.ResourceHook(f"{name}-canary", self.before_update)]
        )

    def retire_after(self, stable: list[Any]) -> None:
        """Ends the canary's pods when every stable Deployment is of the new revision.

        Looked after in every `up`, so that one which was interrupted leaves nothing behind for long.
        """
        if _mocked() or pulumi.runtime.is_dry_run():
            return

        def retire(known: list[Any]) -> Any:
            return self._retire(known[0])

        pulumi.Output.all(self._inputs, *(each.id for each in stable)).apply(retire)

    async def _retire(self, inputs: Any) -> None:
        try:
            canary = await asyncio.to_thread(self._begin, inputs)
            await asyncio.to_thread(canary.retire)
        except ClusterError as error:
            pulumi.log.warn(
                f"the canary's pods, if there are any, were not ended; the next `up` does it: {error}"
            )


def revision_of(inputs: Mapping[str, Any] | None) -> str | None:
    """The revision that a Deployment's inputs say; None where they say none that can be read."""
    found: Any = inputs
    for name in ("metadata", "annotations", REVISION):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) else None


def _mocked() -> bool:
    return isinstance(settings.get_monitor(), mocks.MockMonitor)

"""`Environment`: everything that can be done with one environment."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pulumi.automation.errors import CommandError

from agent_infra.automation import session, simulated
from agent_infra.automation.errors import AutomationError, ProtectedEnvironment, from_command
from agent_infra.automation.events import Listener, Phase
from agent_infra.automation.project import Project
from agent_infra.automation.results import UpdateResult
from agent_infra.automation.runs import Run
from agent_infra.automation.session import Session
from agent_infra.local import fleets, services, workspace
from agent_infra.local.environment import LocalEnvironment, LocalError
from agent_infra.local.lock import command_line, locked
from agent_infra.local.mode import KubernetesMode
from agent_infra.local.state import State

if TYPE_CHECKING:
    from agent_infra.automation.rollbacks import RolledBack


def _ignore(_event: object) -> None:
    """The listener of those who want none."""


@dataclass(frozen=True)
class Environment:
    """One environment of a project: in the real cloud, on this machine, or rehearsed on this machine.

    An environment named `local` (or `local-...`) lives on this machine. Any other one can be
    rehearsed there, with a state of its own and without credentials.
    """

    name: str
    project: Project
    rehearse: bool = False
    kubernetes: KubernetesMode | None = None
    """On this machine: in place of what the settings say, or of how it runs already."""

    @classmethod
    def open(
        cls,
        name: str = "local",
        *,
        project: Project | None = None,
        rehearse: bool = False,
        kubernetes: Literal["files", "simulated"] | None = None,
    ) -> Environment:
        """An environment of a project (default: the one the current directory is in).

        Raises:
            AutomationError: there is no such project or environment, `local` was to be rehearsed, or a
                cluster was to be simulated for what does not run on this machine.
        """
        project = project or Project.find()
        project.settings_file(name)
        environment = cls(name, project, rehearse, KubernetesMode(kubernetes) if kubernetes else None)
        if rehearse and environment._is_local_name:
            raise AutomationError(f"{name!r} already runs on this machine: leave --rehearse out.")
        if kubernetes and environment.local is None:
            raise AutomationError(
                f"{name!r} has a cluster of its own in the cloud: leave --kubernetes out, or add --rehearse."
            )
        return environment

    @property
    def _is_local_name(self) -> bool:
        return self.name == "local" or self.name.startswith("local-")

    @property
    def local(self) -> LocalEnvironment | None:
        """Its directory on this machine, or None for an environment in the real cloud."""
        if self._is_local_name:
            return LocalEnvironment(self.project.root / ".agent-infra" / self.name)
        if self.rehearse:
            return LocalEnvironment(self.project.root / ".agent-infra" / f"{self.name}.rehearsal")
        return None

    @property
    def _state(self) -> State:
        local = self.local
        if local is None:
            raise AutomationError(f"{self.name!r} is not on this machine.")
        return State(local, self.project.name, self.name)

    def _session(self, listener: Listener) -> AbstractContextManager[Session]:
        if self.local is None:
            return session.cloud_session(self.project, self.name, listener=listener)
        kubernetes = self.kubernetes or simulated.chosen(self.project, self.name, self.local)
        return session.local_session(
            self.project,
            self.name,
            self.local,
            rehearsal=self.rehearse,
            kubernetes=kubernetes,
            listener=listener,
        )

    @contextmanager
    def _translated(self, action: str, run: Run) -> Iterator[None]:
        try:
            yield
        except CommandError as error:
            raise from_command(error, action=action, problems=run.problems) from None

    def up(self, *, listener: Listener = _ignore) -> UpdateResult:
        """Deploys the environment, and on this machine waits until every fleet answers.

        Raises:
            UpdateFailed: the engine reported errors; what had been made is kept.
            EnvironmentLocked: another run holds the state.
            AutomationError: something else stands in the way; the message says the way out.
        """
        started = time.monotonic()
        run = Run(listener)
        with self._session(listener) as ready, self._translated("up", run):
            forgotten = self._forgotten(ready, listener)
            ready.stack.up(
                on_event=run.on_event,
                refresh=forgotten,
                show_secrets=False,
                color="never",
                suppress_progress=True,
            )
            if self.local:
                self._state.remember(ready.generation)
            outputs = _outputs(ready)
            endpoints = self._apply_fleets(ready, listener)
        return UpdateResult(
            environment=self.name,
            action="up",
            changes=run.changes,
            seconds=time.monotonic() - started,
            outputs=outputs,
            endpoints=endpoints,
            reconciled=forgotten,
        )

    def _forgotten(self, ready: Session, listener: Listener) -> bool:
        if self.local is None:
            return False
        if self._state.forgotten_by(ready.generation):
            listener(Phase("The local cloud was started anew: filling it again from the state"))
            return True
        return False

    def _apply_fleets(self, ready: Session, listener: Listener) -> dict[str, str]:
        if self.local is None:
            return {}
        listener(Phase("Starting the fleets", 5))
        status = fleets.apply(self.local, kubeconfig=ready.kubeconfig)
        return {name: service.address for name, service in status.services.items()}

    def preview(self, *, listener: Listener = _ignore) -> UpdateResult:
        """What `up` would do; nothing is changed."""
        return self._run("preview", lambda ready, options: ready.stack.preview(**options), listener)

    def refresh(self, *, listener: Listener = _ignore) -> UpdateResult:
        """Takes what is really there into the state; `changes` counts what differed."""
        return self._run("refresh", lambda ready, options: ready.stack.refresh(**options), listener)

    def _run(
        self, action: str, call: Callable[[Session, dict[str, Any]], object], listener: Listener
    ) -> UpdateResult:
        started = time.monotonic()
        run = Run(listener)
        with self._session(listener) as ready, self._translated(action, run):
            options = {
                "on_event": run.on_event,
                "color": "never",
                "suppress_progress": True,
            }
            call(ready, options)
            if action == "refresh" and self.local:
                self._state.remember(ready.generation)
        return UpdateResult(
            environment=self.name, action=action, changes=run.changes, seconds=time.monotonic() - started
        )

    def roll_back(
        self,
        fleet: str,
        *,
        context: str | None = None,
        seconds: float = 600,
        listener: Listener = _ignore,
    ) -> list[RolledBack]:
        """Puts the revision before the current one back, of all of a fleet's Deployments or of none.

        The program and the state still say the newer one. `context` is the kubeconfig's (else the current
        one), `seconds` how long the pods are waited for.

        Raises:
            AutomationError: there is no such fleet, no earlier revision, or no way to the cluster.
        """
        from agent_infra.automation.rollbacks import roll_back

        return roll_back(self, fleet, context=context, seconds=seconds, listener=listener)

    def destroy(self, *, listener: Listener = _ignore) -> UpdateResult:
        """Deletes everything the environment has; on this machine its services and processes end too.

        The environment's settings and logs stay.

        Raises:
            ProtectedEnvironment: something in it is protected; nothing was deleted.
            UpdateFailed: the engine reported errors; what could not be deleted is kept.
        """
        started = time.monotonic()
        run = Run(listener)
        local = self.local
        if local is not None and not (local.root.exists() and self._state.exists):
            self._end_services(local)
            return UpdateResult(self.name, "destroy", {}, time.monotonic() - started)
        with self._session(listener) as ready, self._translated("destroy", run):
            self._refuse_protected(ready)
            if local is not None and ready.kubeconfig is None:  # else the cluster ends its pods itself
                listener(Phase("Stopping the fleets", 3))
                fleets.stop(local)
            ready.stack.destroy(
                on_event=run.on_event,
                refresh=self._forgotten(ready, listener),
                show_secrets=False,
                color="never",
                suppress_progress=True,
            )
            if local is not None:
                ready.stack.workspace.remove_stack(self.name)
                listener(Phase("Stopping the data services", 2))
                simulated.end(local)
                services.stop(local)
                for leftover in (local.services_dir, local.manifests_dir, local.project_dir, local.pods_dir):
                    shutil.rmtree(leftover, ignore_errors=True)
                for file in (local.root / "deployed.json", local.records_file):
                    file.unlink(missing_ok=True)
        return UpdateResult(self.name, "destroy", run.changes, time.monotonic() - started)

    def _refuse_protected(self, ready: Session) -> None:
        """The engine would first delete all that is not protected, and fail on the rest."""
        resources = (ready.stack.export_stack().deployment or {}).get("resources") or []
        protected = [item["urn"].rsplit("::", 1)[-1] for item in resources if item.get("protect")]
        if protected:
            raise ProtectedEnvironment(self.name, self.project.name, sorted(set(protected)))

    def _end_services(self, local: LocalEnvironment) -> None:
        """Ends what runs for an environment that has no state (any more)."""
        if not local.root.exists():
            return
        try:
            with locked(local, action=command_line()):
                simulated.end(local)
                services.stop(local)
        except LocalError as error:
            raise AutomationError(str(error)) from None

    def outputs(self, *, listener: Listener = _ignore) -> dict[str, Any]:
        """The stack's outputs as of its last `up`; a secret one reads `[secret]`."""
        if self.local is not None and not self._state.exists:
            return {}
        with self._session(listener) as ready, self._translated("outputs", Run(listener)):
            return _outputs(ready)

    def variables(self, *, listener: Listener = _ignore) -> dict[str, str]:
        """The environment variables under which the plain `pulumi` command works on this environment.

        A local environment's cloud is started and its stack made where they are missing.
        """
        if self.local is None:
            toolset = session.ensure_tools(listener)
            path = [*map(str, toolset.bin_dirs), os.environ.get("PATH", os.defpath)]
            return {"PATH": os.pathsep.join(path)}
        with self._session(listener) as ready:
            toolset = session.ensure_tools(listener)
            return workspace.variables(
                self.local,
                tool_dirs=toolset.bin_dirs,
                rehearsal=self.rehearse,
                kubeconfig=ready.kubeconfig,
            )


def _outputs(ready: Session) -> dict[str, Any]:
    """The outputs in one call of the engine, secrets masked."""
    outputs = ready.stack.outputs()
    return {key: "[secret]" if output.secret else output.value for key, output in outputs.items()}


def as_text(outputs: dict[str, Any]) -> str:
    """Outputs as indented JSON, for people."""
    return json.dumps(outputs, indent=2, sort_keys=True, default=str)

"""What one run of the engine reported."""

from __future__ import annotations

from dataclasses import dataclass, field

from pulumi.automation.events import EngineEvent

from agent_infra.automation.events import Diagnostic, Finished, Listener, translate


@dataclass
class Run:
    """Listens to one run."""

    listener: Listener
    changes: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def on_event(self, raw: EngineEvent) -> None:
        event = translate(raw)
        if event is None:
            return
        if isinstance(event, Finished):
            self.changes = event.changes
        if isinstance(event, Diagnostic) and event.severity == "error":
            self.problems.append(event.named)
        self.listener(event)

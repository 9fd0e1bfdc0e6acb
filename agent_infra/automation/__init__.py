"""Environments from Python: preview, deploy, refresh and tear down, with typed events and results.

from agent_infra.automation import Environment

result = Environment.open("local").up()
print(result.endpoints, result.changes)
"""

from agent_infra.automation.api_keys import api_key
from agent_infra.automation.dead_letters import DeadLetter
from agent_infra.automation.environments import Environment
from agent_infra.automation.errors import (
    AutomationError,
    EnvironmentLocked,
    ProtectedEnvironment,
    UpdateCancelled,
    UpdateFailed,
)
from agent_infra.automation.events import Diagnostic, Event, Finished, Listener, Phase, Progress, Step
from agent_infra.automation.project import Project
from agent_infra.automation.queues import Queues, QueueStatus
from agent_infra.automation.redrives import Redrive
from agent_infra.automation.results import UpdateResult

__all__ = [
    "AutomationError",
    "DeadLetter",
    "Diagnostic",
    "Environment",
    "EnvironmentLocked",
    "Event",
    "Finished",
    "Listener",
    "Phase",
    "Progress",
    "Project",
    "ProtectedEnvironment",
    "QueueStatus",
    "Queues",
    "Redrive",
    "Step",
    "UpdateCancelled",
    "UpdateFailed",
    "UpdateResult",
    "api_key",
]

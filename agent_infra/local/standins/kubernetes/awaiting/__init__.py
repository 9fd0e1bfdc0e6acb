"""Waits for objects as the official plugin does: which kinds, until when, for how long, and what is told."""

from agent_infra.local.standins.kubernetes.awaiting import asked, rules
from agent_infra.local.standins.kubernetes.awaiting.verdicts import DEFAULT_SECONDS, Rule
from agent_infra.local.standins.kubernetes.awaiting.waiting import NotReady, judged, until_gone, until_ready

__all__ = [
    "DEFAULT_SECONDS",
    "NotReady",
    "Rule",
    "asked",
    "judged",
    "rules",
    "until_gone",
    "until_ready",
]

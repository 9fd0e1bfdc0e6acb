"""Jobs: done, or failed for good."""

from __future__ import annotations

from typing import Final

from agent_infra.local.standins.kubernetes.awaiting import pods
from agent_infra.local.standins.kubernetes.awaiting.verdicts import (
    Failed,
    Ready,
    Rule,
    Scene,
    Verdict,
    Waiting,
    condition,
    is_true,
    pods_of,
    section,
    told,
)


def judge(scene: Scene) -> Verdict:
    status = section(scene.object, "status")
    if is_true(scene.object, "Complete"):
        return Ready()
    problems = pods.problems_of(scene.owned("Pod"))
    if is_true(scene.object, "Failed"):
        return Failed(f"the Job has failed: {told(condition(scene.object, 'Failed'))}", problems)
    if not status.get("startTime"):
        return Waiting("[1/2] waiting for the Job to start", problems)
    active, succeeded, failed = (status.get(name, 0) for name in ("active", "succeeded", "failed"))
    wanted = section(scene.object, "spec").get("completions", 1)
    return Waiting(
        f"[2/2] {succeeded} of {wanted} pods succeeded, {active} at work, {failed} failed", problems
    )


RULE: Final = Rule(judge, pods_of)

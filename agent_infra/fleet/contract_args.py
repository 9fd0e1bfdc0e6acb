"""What can be said of a fleet's task contract in place of what follows from `task_timeout`."""

from __future__ import annotations

from pydantic import Field

from agent_infra.component import Args
from agent_infra.contract import SQS_LONGEST_VISIBILITY_SECONDS

#: As long as the service takes for a drain, and Kubernetes for nothing at all: a week.
_WEEK = 7 * 24 * 60 * 60


class ContractOverrides(Args):
    """Numbers of `TaskContract` in place of the derived ones, in seconds.

    What follows from a number that is said follows from what is said. A number that contradicts another
    is an error that names both.
    """

    pre_stop: int | None = Field(default=None, ge=0, le=3600)
    """How long an API pod goes on as it is before it is told to stop; longer where load balancers are slow
    to notice, and the longest that a `preStop` hook of one's own takes. 0 is no hook."""
    drain: int | None = Field(default=None, ge=1, le=SQS_LONGEST_VISIBILITY_SECONDS)
    grace: int | None = Field(default=None, ge=1, le=_WEEK)
    visibility: int | None = Field(default=None, ge=1, le=SQS_LONGEST_VISIBILITY_SECONDS)
    """The queue's; of an existing queue, what it is (`queue.existing.visibility` says the same)."""
    hold: int | None = Field(default=None, ge=1, le=SQS_LONGEST_VISIBILITY_SECONDS)
    """How soon a dead worker's tasks are with another one. Shorter is sooner, and more calls of SQS."""
    start: int | None = Field(default=None, ge=10, le=_WEEK)
    progress_deadline: int | None = Field(default=None, ge=1, le=_WEEK)
    rollout_timeout: int | None = Field(default=None, ge=1, le=2 * _WEEK)
    node_grace: int | None = Field(default=None, ge=1, le=_WEEK)
    """The node pool's `terminationGracePeriod`, where it is not that of EKS Auto Mode (24 hours)."""
    protect: bool | None = None
    """Whether Karpenter, EKS Auto Mode and the cluster autoscaler leave nodes with such pods alone where they
    need not go. Where it is not said: yes where `grace` is over ten minutes, after which drainers other than
    Karpenter cut pods off."""

"""The programs that a cluster runs."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

from agent_infra.local.cluster.plan import Programs
from agent_infra.local.progress import Report


def ensure(report: Report, *, argo: bool) -> Programs:
    kbin = Path(os.environ["AGENT_INFRA_KBIN"])
    names = {"keda_operator": "operator", "keda_adapter": "adapter"}
    found = {f.name: kbin / names.get(f.name, f.name.replace("_", "-")) for f in fields(Programs)}
    if not argo:
        found["rollouts_controller"] = None
    return Programs(**found)

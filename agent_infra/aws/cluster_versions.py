"""Which versions of Kubernetes EKS runs, and that a cluster goes from one to the next and never back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Final

import pulumi
from pulumi.runtime import mocks, settings
from pydantic import AfterValidator


@dataclass(frozen=True)
class Support:
    """Until when EKS supports a version; None where AWS's date was not known when this was written."""

    standard: date | None
    """After this day a cluster costs six times as much an hour, or is upgraded by EKS."""
    extended: date | None
    """After this day EKS upgrades the control plane by itself."""


#: As of 2026-11-23, oldest first: https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html
VERSIONS: Final[Mapping[str, Support]] = {
    "1.31": Support(date(2025, 11, 26), date(2026, 11, 26)),
    "1.32": Support(date(2026, 3, 23), date(2027, 3, 23)),
    "1.33": Support(date(2026, 7, 29), date(2027, 7, 29)),
    "1.34": Support(date(2026, 12, 2), date(2027, 12, 2)),
    "1.35": Support(date(2027, 3, 27), date(2028, 3, 27)),
    "1.36": Support(None, None),
}


class VersionStepError(ValueError):
    """A cluster was asked to go to a version that EKS does not go to from the one that runs."""


def _known(version: str) -> str:
    if version in VERSIONS:
        return version
    raise ValueError(f"no version that EKS runs; say one of {', '.join(VERSIONS)}, in quotes")


KubernetesVersion = Annotated[str, AfterValidator(_known)]


def check_step(*, running: str, asked: str) -> None:
    """Refuses a change of version that is not to the next minor one.

    Raises:
        VersionStepError: names the version that runs, the one that was asked for, and the next allowed one.
    """
    here, there = _minor(running), _minor(asked)
    if there in (here, here + 1):
        return
    following = f"1.{here + 1}"
    allowed = f'"{running}"' + (f' or "{following}"' if following in VERSIONS else "")
    if there < here:
        raise VersionStepError(
            f"version: {asked!r} is wrong: the cluster runs {running}, and EKS never goes back; say {allowed}"
        )
    raise VersionStepError(
        f"version: {asked!r} is wrong: the cluster runs {running}, and EKS upgrades by one minor version "
        f"at a time; say {allowed}, run `up`, and go on from there"
    )


def _minor(version: str) -> int:
    return int(version.split(".")[1])


def check_update(args: pulumi.ResourceHookArgs) -> None:
    """What the engine runs before it updates a cluster, in a preview too; docs/adr/0003.

    Raises:
        VersionStepError: the update would skip a version or go back.
    """
    running = (args.old_outputs or {}).get("version")
    asked = (args.new_inputs or {}).get("version")
    if isinstance(running, str) and isinstance(asked, str):
        check_step(running=running, asked=asked)


def guard(cluster: str) -> pulumi.ResourceHookBinding | None:
    """The hooks of a cluster's resource; none under Pulumi's mocks, which cannot call back."""
    if isinstance(settings.get_monitor(), mocks.MockMonitor):
        return None
    hook = pulumi.ResourceHook(
        f"{cluster}-one-minor-version-at-a-time", check_update, pulumi.ResourceHookOptions(on_dry_run=True)
    )
    return pulumi.ResourceHookBinding(before_update=[hook])

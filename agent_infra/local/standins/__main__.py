"""`python -m agent_infra.local.standins <package>`: started by the engine, never by hand."""

from __future__ import annotations

import os
import sys

from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.standins.server import Standin
from agent_infra.local.standins.serving import serve
from agent_infra.local.workspace import STANDINS


def _standin(name: str, environment: LocalEnvironment) -> Standin:
    if name == "aws":
        from agent_infra.local.standins.aws import AwsStandin

        for theirs in [key for key in os.environ if key.startswith("AWS_")]:
            del os.environ[theirs]  # the user's own account is not for it
        return AwsStandin(environment)
    if name == "kubernetes":
        from agent_infra.local.standins.kubernetes import KubernetesStandin

        return KubernetesStandin(environment)
    if name == "docker":
        from agent_infra.local.standins.docker import DockerStandin

        return DockerStandin(environment)
    if name == "docker-build":
        from agent_infra.local.standins.docker_build import DockerBuildStandin

        return DockerBuildStandin(environment)
    raise SystemExit(f"{name!r} is not one of {', '.join(STANDINS)}")


if __name__ == "__main__":
    # The engine's own address comes last of what it says.
    serve(
        _standin(sys.argv[1], LocalEnvironment.from_variables()),
        engine=sys.argv[-1] if len(sys.argv) > 2 else None,
    )

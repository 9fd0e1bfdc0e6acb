"""What can only be seen beside the sources: whether an image can be built from them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from agent_infra.build_context import LOCAL_STATE, ignored, stages
from agent_infra.component import Problem
from agent_infra.fleet.image_args import BuildOptions


def dockerfile_of(build: BuildOptions, context: Path) -> Path:
    """Where its Dockerfile is."""
    return context / (build.dockerfile or "Dockerfile")


def build_problems(build: BuildOptions, context: Path, *, at: str) -> list[Problem]:
    """All that would keep it from being built; `at` is where the build was said."""
    found: list[Problem] = []
    if build.builder == "docker-build" and importlib.util.find_spec("pulumi_docker_build") is None:
        say = "docker-build is not installed; pip install 'agent-infra[docker-build]', or say docker"
        found.append(Problem(f"{at}.builder", say))
    if not context.is_dir():
        return [
            *found,
            Problem(
                f"{at}.context",
                f"{context} is no directory; say one that is relative to the project's, such as agent_app",
            ),
        ]
    dockerfile = dockerfile_of(build, context)
    if not dockerfile.is_file():
        others = sorted(path.name for path in context.glob("*Dockerfile*") if path.is_file())
        hint = f"say one that is there: {', '.join(others)}" if others else "write one, or say where it is"
        return [*found, Problem(f"{at}.dockerfile", f"there is no file {dockerfile}; {hint}")]
    known = stages(dockerfile.read_text(errors="replace"))
    if build.target is not None and not _has_stage(known, build.target):
        names = ", ".join(name for name in known if name) or "none with a name"
        say = f"{dockerfile} has no stage {build.target!r}; it has {names}"
        found.append(Problem(f"{at}.target", say))
    if (context / LOCAL_STATE).is_dir() and not ignored(context, dockerfile)(LOCAL_STATE):
        say = (
            f"{context / LOCAL_STATE} holds local environments and their secrets, and would be sent to the "
            f"builder; add {LOCAL_STATE} to {context / '.dockerignore'}"
        )
        found.append(Problem(f"{at}.context", say))
    return found


def _has_stage(known: list[str | None], target: str) -> bool:
    """By its name, in any case, or by its number, as BuildKit takes it."""
    if target.isdecimal() and int(target) < len(known):
        return True
    return target.lower() in {name.lower() for name in known if name}

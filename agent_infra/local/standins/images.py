"""What the stand-ins of the docker packages share: the builder that this machine has, and checks.

Where there is no builder, an image is only recorded: its fleet runs from source, and the digest that
stands for it is that of the source, so that a changed source is a changed image.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from agent_infra.build_context import ContextError, digest
from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.standins.builders import Build, Builder, Registry, find_builder
from agent_infra.local.standins.server import UNKNOWN, Refused, StandinError

NO_BUILDER: Final = "neither docker nor podman nor buildah can build here: fleets run from source"

#: `[registry/]repository[:tag]`, as the distribution project's reference grammar has it.
NAME: Final = re.compile(
    r"^(?:(?P<server>localhost(?::\d+)?|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::\d+)?|[A-Za-z0-9-]+:\d+)/)?"
    r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*"
    r"(?P<tag>:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$"
)
_ECR: Final = re.compile(r"^\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?$")


class Images:
    """Builds images, each to its end, with the first builder that works here."""

    def __init__(self, environment: LocalEnvironment) -> None:
        self._environment = environment
        self._builder: Builder | None = None
        self._looked = False
        self._looking = threading.Lock()
        self._said: set[str] = set()

    def builder(self) -> Builder | None:
        """What builds here; it is looked for once."""
        with self._looking:
            if not self._looked:
                self._builder = find_builder()
                self._looked = True
            return self._builder

    def made(self, recipe: Build, *, source: str, login: Mapping[str, Any], push: bool) -> tuple[str, str]:
        """The image's digest and what made it; an image of the simulated ECR is built and not pushed."""
        image = recipe.image
        builder = self.builder()
        if builder is None:
            self._say_once(
                f"{image}: no image is built, as neither docker (with a daemon), buildah nor podman can be "
                "used here: fleets run from source, and the digest is the source's."
            )
            return f"sha256:{source}", "source"
        log = self._environment.logs_dir / f"image-{re.sub(r'[^A-Za-z0-9.-]+', '-', image)}.log"
        made = builder.build(recipe, log)
        server = server_of(image)
        if push and not _ECR.match(server):
            made = builder.push(image, Registry(server, login.get("username"), login.get("password")), log)
        return made, builder.name

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            print(text, file=sys.stderr, flush=True)  # noqa: T201 (the engine shows it as a diagnostic)


def server_of(image: str) -> str:
    """The registry's host: the one in the image's name, as a push goes there."""
    match = NAME.match(image)
    return (match["server"] if match else None) or "docker.io"


def repository_of(image: str) -> str:
    """An image's name without its tag."""
    return image.removesuffix((NAME.match(image) or {"tag": None})["tag"] or "")


def source_digest(context: str, dockerfile: str, options: Mapping[str, Any], *, at: str, file_at: str) -> str:
    """What stands for the sources; `at` and `file_at` are the inputs that name them."""
    folder = Path(context)
    if not folder.is_dir():
        raise Refused([(at, f"is {context!r}, and {folder.absolute()} is no directory")])
    try:
        return digest(folder, dockerfile_of(context, dockerfile, at=file_at), options)
    except ContextError as error:
        raise StandinError(str(error)) from error


def dockerfile_of(context: str, dockerfile: str, *, at: str) -> Path:
    """The Dockerfile: its path is the program's, or else the context's."""
    given = Path(dockerfile)
    tried = [given, Path(context) / given]
    for path in tried:
        if path.is_file():
            return path
    places = " or ".join(str(path) for path in dict.fromkeys(path.absolute() for path in tried))
    raise Refused([(at, f"is {dockerfile!r}; there is no file {places}")])


def known(type: str, only: str) -> None:
    """Refuses what needs a Docker daemon."""
    if type != only:
        package = only.partition(":")[0]
        raise StandinError(
            f"{type}: the local environment has no such resource; of the {package} package it has {only} "
            "alone. Keep it out of local with the stack's settings."
        )


def typed(value: Any, allowed: Mapping[str, type], at: str) -> list[tuple[str, str]]:
    """The properties that do not exist, or are of the wrong type."""
    if not isinstance(value, dict):
        return []
    wrong = []
    for key, item in value.items():
        if key not in allowed:
            wrong.append((at + key, f"is no property; allowed: {', '.join(sorted(allowed))}"))
        elif item is not None and item is not UNKNOWN and not isinstance(item, allowed[key]):
            wrong.append((at + key, f"is of the wrong type; allowed: a {allowed[key].__name__}"))
    return wrong

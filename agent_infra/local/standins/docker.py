"""The stand-in of the docker plugin: builds images with the builder that this machine has.

Where there is none, an image is only recorded: its fleet runs from source, and the digest that
stands for it is that of the source, so that a changed source is a changed image.
"""

from __future__ import annotations

import re
import sys
import threading
from pathlib import Path
from typing import Any, Final

from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.standins.builders import Build, Builder, Registry, find_builder
from agent_infra.local.standins.contexts import digest
from agent_infra.local.standins.notes import NotSimulated
from agent_infra.local.standins.paths import changes
from agent_infra.local.standins.server import (
    UNKNOWN,
    Difference,
    Found,
    Properties,
    Refused,
    StandinError,
    has_unknown,
)

IMAGE: Final = "docker:index/image:Image"

_INPUTS: Final[dict[str, type]] = {
    "build": dict,
    "buildOnPreview": bool,
    "imageName": str,
    "registry": dict,
    "skipPush": bool,
}
_BUILD: Final[dict[str, type]] = {
    "addHosts": list,
    "args": dict,
    "builderVersion": str,
    "cacheFrom": dict,
    "context": str,
    "contextDigest": str,
    "dockerfile": str,
    "network": str,
    "platform": str,
    "target": str,
}
_REGISTRY: Final[dict[str, type]] = {"password": str, "server": str, "username": str}

#: `[registry/]repository[:tag]`, as the distribution project's reference grammar has it.
_NAME: Final = re.compile(
    r"^(?:(?P<server>localhost(?::\d+)?|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::\d+)?|[A-Za-z0-9-]+:\d+)/)?"
    r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*"
    r"(?P<tag>:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$"
)
_ECR: Final = re.compile(r"^\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?$")

#: Changes that need no new build: credentials are new at every update.
_WITHOUT_EFFECT: Final = ("registry.password", "registry.username", "buildOnPreview")


class DockerStandin:
    """Images alone; the package's other resources need a Docker daemon and are refused."""

    name = "docker"
    version = "5.2.0"

    def __init__(self, environment: LocalEnvironment) -> None:
        self._environment = environment
        self._builder: Builder | None = None
        self._looked = False
        self._looking = threading.Lock()
        self._said: set[str] = set()

    def configure(self, config: Properties) -> None:
        """Takes any configuration: where the daemon is, is the builder's own to know."""

    def check(self, type: str, name: str, olds: Properties, news: Properties) -> Properties:
        _known(type)
        inputs: Properties = {key: value for key, value in news.items() if value is not None}
        wrong = [
            *_typed(inputs, _INPUTS, ""),
            *_typed(inputs.get("build"), _BUILD, "build."),
            *_typed(inputs.get("registry"), _REGISTRY, "registry."),
        ]
        image = inputs.get("imageName")
        if image is None:
            wrong.append(("imageName", "is missing, and must be given"))
        elif isinstance(image, str) and not _NAME.match(image):
            wrong.append(
                ("imageName", f"is {image!r}; allowed: [registry/]repository[:tag] in lower case, no digest")
            )
        if wrong:
            raise Refused(wrong)
        build = inputs.get("build", {})
        if isinstance(build, dict):
            build = {key: value for key, value in build.items() if value is not None}
            build.setdefault("context", ".")
            if isinstance(build["context"], str):
                build.setdefault("dockerfile", str(Path(build["context"]) / "Dockerfile"))
            build["contextDigest"] = UNKNOWN if has_unknown(build) else _digest(build)
            inputs["build"] = build
        return inputs

    def diff(self, type: str, id: str, olds: Properties, state: Properties, news: Properties) -> Difference:
        changed = [path for path in changes(olds, news) if not path.startswith(_WITHOUT_EFFECT)]
        return Difference(changed)

    def create(self, type: str, name: str, inputs: Properties, *, preview: bool) -> tuple[str, Properties]:
        if preview:
            return "", _outputs(inputs, digest=UNKNOWN, by=UNKNOWN)
        return str(inputs["imageName"]), self._built(inputs)

    def read(self, type: str, id: str, inputs: Properties, state: Properties) -> Found | None:
        _known(type)
        if not state:
            raise StandinError(f"image {id!r} cannot be imported: leave out the import option and build it.")
        return Found(id, inputs, state)

    def update(
        self, type: str, id: str, olds: Properties, state: Properties, news: Properties, *, preview: bool
    ) -> Properties:
        if preview:
            return _outputs(news, digest=UNKNOWN, by=UNKNOWN)
        return self._built(news)

    def delete(self, type: str, id: str, inputs: Properties, state: Properties) -> None:
        """Leaves the image where it is, as the official plugin does."""

    def invoke(self, token: str, args: Properties) -> Properties:
        raise StandinError(
            f"{token}: the local environment has no functions of the docker package: name the image, with "
            "its digest, in the program's settings."
        )

    def not_simulated(self) -> list[NotSimulated]:
        """What is taken without being simulated."""
        notes = [
            NotSimulated(IMAGE, "registry", "an image is not pushed to a repository of the simulated ECR"),
            NotSimulated(IMAGE, "buildOnPreview", "previews build nothing"),
            NotSimulated(IMAGE, "build.builderVersion", "the builder decides it"),
        ]
        if self._found_builder() is None:
            reason = "neither docker nor podman nor buildah can build here: fleets run from source"
            notes.append(NotSimulated(IMAGE, "build", reason))
        return notes

    def _found_builder(self) -> Builder | None:
        with self._looking:
            if not self._looked:
                self._builder = find_builder()
                self._looked = True
            return self._builder

    def _built(self, inputs: Properties) -> Properties:
        build = inputs.get("build") or {}
        image = str(inputs["imageName"])
        builder = self._found_builder()
        if builder is None:
            self._say_once(
                f"{image}: no image is built, as neither docker (with a daemon), buildah nor podman can be "
                "used here: fleets run from source, and the digest is the source's."
            )
            return _outputs(inputs, digest=f"sha256:{build['contextDigest']}", by="source")
        log = self._environment.logs_dir / f"image-{_file_name(image)}.log"
        recipe = Build(
            image=image,
            context=Path(build["context"]),
            dockerfile=_dockerfile(build),
            args=build.get("args") or {},
            options={key: build[key] for key in ("network", "platform", "target") if build.get(key)},
            add_hosts=build.get("addHosts") or [],
            cache_from=(build.get("cacheFrom") or {}).get("images") or [],
        )
        made = builder.build(recipe, log)
        server = _server(inputs)
        if not inputs.get("skipPush") and not _ECR.match(server):
            registry = inputs.get("registry") or {}
            made = builder.push(
                image, Registry(server, registry.get("username"), registry.get("password")), log
            )
        return _outputs(inputs, digest=made, by=builder.name)

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            print(text, file=sys.stderr, flush=True)  # noqa: T201 (the engine shows it as a diagnostic)


def _outputs(inputs: Properties, *, digest: Any, by: Any) -> Properties:
    image = inputs["imageName"]
    build = inputs.get("build")
    outputs = {
        "baseImageName": image,
        "builtBy": by,
        "imageName": image,
        "registryServer": _server(inputs) if isinstance(image, str) else UNKNOWN,
        "repoDigest": UNKNOWN,
    }
    if isinstance(build, dict):
        outputs |= {key: build[key] for key in ("context", "dockerfile", "platform") if key in build}
    if isinstance(image, str) and isinstance(digest, str):
        tag = (_NAME.match(image) or {"tag": None})["tag"] or ""
        outputs["repoDigest"] = f"{image.removesuffix(tag)}@{digest}"
    return outputs


def _server(inputs: Properties) -> str:
    """The registry's host: the one in the image's name, as a push goes there."""
    match = _NAME.match(str(inputs["imageName"]))
    return (match["server"] if match else None) or "docker.io"


def _digest(build: Properties) -> str:
    options = {key: build[key] for key in ("args", "platform", "target") if build.get(key)}
    context = Path(build["context"])
    if not context.is_dir():
        raise Refused(
            [("build.context", f"is {build['context']!r}, and {context.absolute()} is no directory")]
        )
    return digest(context, _dockerfile(build), options)


def _dockerfile(build: Properties) -> Path:
    """The Dockerfile: its path is the program's, or else the context's."""
    given = Path(build["dockerfile"])
    tried = [given, Path(build["context"]) / given]
    for path in tried:
        if path.is_file():
            return path
    places = " or ".join(str(path) for path in dict.fromkeys(path.absolute() for path in tried))
    raise Refused([("build.dockerfile", f"is {build['dockerfile']!r}; there is no file {places}")])


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name)


def _known(type: str) -> None:
    if type != IMAGE:
        raise StandinError(
            f"{type}: the local environment has no such resource; of the docker package it has {IMAGE} "
            "alone. Keep it out of local with the stack's settings."
        )


def _typed(value: Any, known: dict[str, type], at: str) -> list[tuple[str, str]]:
    if not isinstance(value, dict):
        return []
    wrong = []
    for key, item in value.items():
        if key not in known:
            wrong.append((at + key, f"is no property; allowed: {', '.join(sorted(known))}"))
        elif item is not None and item is not UNKNOWN and not isinstance(item, known[key]):
            wrong.append((at + key, f"is of the wrong type; allowed: a {known[key].__name__}"))
    return wrong

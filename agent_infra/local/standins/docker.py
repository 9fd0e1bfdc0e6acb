"""The stand-in of the docker plugin: builds images with the builder that this machine has.

Where there is none, an image is only recorded: its fleet runs from source, and the digest that
stands for it is that of the source, so that a changed source is a changed image.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.standins.builders import Build
from agent_infra.local.standins.images import (
    NAME,
    NO_BUILDER,
    Images,
    dockerfile_of,
    known,
    repository_of,
    server_of,
    source_digest,
    typed,
)
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

#: Changes that need no new build: credentials are new at every update.
_WITHOUT_EFFECT: Final = ("registry.password", "registry.username", "buildOnPreview")


class DockerStandin:
    """Images alone; the package's other resources need a Docker daemon and are refused."""

    name = "docker"
    version = "5.2.0"

    def __init__(self, environment: LocalEnvironment) -> None:
        self._images = Images(environment)

    def configure(self, config: Properties) -> None:
        """Takes any configuration: where the daemon is, is the builder's own to know."""

    def check(self, type: str, name: str, olds: Properties, news: Properties) -> Properties:
        known(type, IMAGE)
        inputs: Properties = {key: value for key, value in news.items() if value is not None}
        wrong = [
            *typed(inputs, _INPUTS, ""),
            *typed(inputs.get("build"), _BUILD, "build."),
            *typed(inputs.get("registry"), _REGISTRY, "registry."),
        ]
        image = inputs.get("imageName")
        if image is None:
            wrong.append(("imageName", "is missing, and must be given"))
        elif isinstance(image, str) and not NAME.match(image):
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
            if not has_unknown(build):
                options = {key: build[key] for key in ("args", "platform", "target") if build.get(key)}
                build["contextDigest"] = source_digest(
                    build["context"],
                    build["dockerfile"],
                    options,
                    at="build.context",
                    file_at="build.dockerfile",
                )
            else:
                build["contextDigest"] = UNKNOWN
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
        known(type, IMAGE)
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
        if self._images.builder() is None:
            notes.append(NotSimulated(IMAGE, "build", NO_BUILDER))
        return notes

    def _built(self, inputs: Properties) -> Properties:
        build = inputs.get("build") or {}
        image = str(inputs["imageName"])
        recipe = Build(
            image=image,
            context=Path(build["context"]),
            dockerfile=dockerfile_of(build["context"], build["dockerfile"], at="build.dockerfile"),
            args=build.get("args") or {},
            options={key: build[key] for key in ("network", "platform", "target") if build.get(key)},
            add_hosts=build.get("addHosts") or [],
            cache_from=(build.get("cacheFrom") or {}).get("images") or [],
        )
        made, by = self._images.made(
            recipe,
            source=build["contextDigest"],
            login=inputs.get("registry") or {},
            push=not inputs.get("skipPush"),
        )
        return _outputs(inputs, digest=made, by=by)


def _outputs(inputs: Properties, *, digest: Any, by: Any) -> Properties:
    image = inputs["imageName"]
    build = inputs.get("build")
    outputs = {
        "baseImageName": image,
        "builtBy": by,
        "imageName": image,
        "registryServer": server_of(image) if isinstance(image, str) else UNKNOWN,
        "repoDigest": UNKNOWN,
    }
    if isinstance(build, dict):
        outputs |= {key: build[key] for key in ("context", "dockerfile", "platform") if key in build}
    if isinstance(image, str) and isinstance(digest, str):
        outputs["repoDigest"] = f"{repository_of(image)}@{digest}"
    return outputs

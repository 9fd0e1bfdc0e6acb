"""The stand-in of the docker-build plugin: builds images for this machine alone, with the builder it has.

Other platforms, attestations and the registry's cache are taken and not simulated.
"""

from __future__ import annotations

import platform
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

IMAGE: Final = "docker-build:index:Image"

_INPUTS: Final[dict[str, type]] = {
    "addHosts": list,
    "buildArgs": dict,
    "buildOnPreview": bool,
    "builder": dict,
    "cacheFrom": list,
    "cacheTo": list,
    "context": dict,
    "dockerfile": dict,
    "exec": bool,
    "ignoreSecretsInDiffCalculation": list,
    "labels": dict,
    "network": str,
    "noCache": bool,
    "platforms": list,
    "pull": bool,
    "push": bool,
    "registries": list,
    "secrets": dict,
    "tags": list,
    "target": str,
}
_LOCATION: Final[dict[str, type]] = {"location": str}
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
#: What the outputs leave out: what may be secret, and what only the run itself needs.
_KEPT_BACK: Final = frozenset({"buildArgs", "registries", "secrets"})
#: Changes that need no new build, as in the official plugin.
_WITHOUT_EFFECT: Final = ("registries", "ignoreSecretsInDiffCalculation", "buildOnPreview")


class DockerBuildStandin:
    """Images alone."""

    name = "docker-build"
    version = "0.0.22"

    def __init__(self, environment: LocalEnvironment) -> None:
        self._images = Images(environment)

    def configure(self, config: Properties) -> None:
        """Takes any configuration: where the daemon is, is the builder's own to know."""

    def check(self, type: str, name: str, olds: Properties, news: Properties) -> Properties:
        known(type, IMAGE)
        inputs: Properties = {key: value for key, value in news.items() if value is not None}
        wrong = [
            *typed(inputs, _INPUTS, ""),
            *typed(inputs.get("context"), _LOCATION, "context."),
            *typed(inputs.get("dockerfile"), _LOCATION, "dockerfile."),
        ]
        if not inputs.get("tags"):
            wrong.append(("tags", "is missing, and must name the image at least once"))
        for number, tag in enumerate(_list(inputs, "tags")):
            if isinstance(tag, str) and not NAME.match(tag):
                wrong.append(
                    (f"tags[{number}]", f"is {tag!r}; allowed: [registry/]repository[:tag], no digest")
                )
        if wrong:
            raise Refused(wrong)
        if not has_unknown([inputs.get("context"), inputs.get("dockerfile")]):
            _digest(inputs)
        return inputs

    def diff(self, type: str, id: str, olds: Properties, state: Properties, news: Properties) -> Difference:
        left = set(_list(news, "ignoreSecretsInDiffCalculation"))
        before, after = _without(olds, left), _without(news, left)
        changed = [path for path in changes(before, after) if not path.startswith(_WITHOUT_EFFECT)]
        if not has_unknown([news.get("context"), news.get("dockerfile")]) and _digest(news) != state.get(
            "contextHash"
        ):
            changed.append("contextHash")
        return Difference(changed)

    def create(self, type: str, name: str, inputs: Properties, *, preview: bool) -> tuple[str, Properties]:
        if preview:
            return "", _outputs(inputs, digest=UNKNOWN, source=UNKNOWN)
        state = self._built(inputs)
        return state["digest"], state

    def read(self, type: str, id: str, inputs: Properties, state: Properties) -> Found | None:
        known(type, IMAGE)
        if not state:
            raise StandinError(f"image {id!r} cannot be imported: leave out the import option and build it.")
        return Found(id, inputs, state)

    def update(
        self, type: str, id: str, olds: Properties, state: Properties, news: Properties, *, preview: bool
    ) -> Properties:
        return _outputs(news, digest=UNKNOWN, source=UNKNOWN) if preview else self._built(news)

    def delete(self, type: str, id: str, inputs: Properties, state: Properties) -> None:
        """Leaves the image where it is: other fleets may run it."""

    def invoke(self, token: str, args: Properties) -> Properties:
        raise StandinError(f"{token}: the docker-build package has no functions.")

    def not_simulated(self) -> list[NotSimulated]:
        """What is taken without being simulated."""
        notes = [
            NotSimulated(IMAGE, "platforms", "only this machine's own is built, or else the first"),
            NotSimulated(IMAGE, "cacheTo", "the builder keeps its layers on this machine"),
            NotSimulated(IMAGE, "exec", "nothing is attested"),
            NotSimulated(IMAGE, "builder", "this machine's first builder is used"),
            NotSimulated(IMAGE, "registries", "an image is not pushed to a repository of the simulated ECR"),
            NotSimulated(IMAGE, "buildOnPreview", "previews build nothing"),
        ]
        if self._images.builder() is None:
            notes.append(NotSimulated(IMAGE, "context", NO_BUILDER))
        return notes

    def _built(self, inputs: Properties) -> Properties:
        tag = str(inputs["tags"][0])
        where = _places(inputs)
        options = {key: inputs[key] for key in ("network", "target") if inputs.get(key)}
        if wanted := _list(inputs, "platforms"):
            options["platform"] = _platform(wanted)
        source = _digest(inputs)
        recipe = Build(
            image=tag,
            context=Path(where[0]),
            dockerfile=dockerfile_of(*where, at="dockerfile.location"),
            args=inputs.get("buildArgs") or {},
            options=options,
            add_hosts=_list(inputs, "addHosts"),
            cache_from=[],
            secrets=inputs.get("secrets") or {},
        )
        server = server_of(tag)
        logins = [item for item in _list(inputs, "registries") if item.get("address") == server]
        made, _ = self._images.made(
            recipe, source=source, login=logins[0] if logins else {}, push=bool(inputs.get("push"))
        )
        return _outputs(inputs, digest=made, source=source)


def _platform(wanted: list[str]) -> str:
    """Of several platforms the one that this machine can build without an emulator, or else the first."""
    machine = platform.machine()
    own = f"linux/{_ARCHITECTURES.get(machine, machine)}"
    return own if own in wanted else wanted[0]


def _outputs(inputs: Properties, *, digest: Any, source: Any) -> Properties:
    outputs = {key: value for key, value in inputs.items() if key not in _KEPT_BACK}
    outputs |= {"digest": digest, "contextHash": source, "ref": UNKNOWN}
    tag = _list(inputs, "tags")[0] if _list(inputs, "tags") else UNKNOWN
    if isinstance(tag, str) and isinstance(digest, str):
        outputs["ref"] = f"{tag}@{digest}"
    return outputs


def _list(inputs: Properties, key: str) -> list[Any]:
    value = inputs.get(key)
    return value if isinstance(value, list) else []


def _without(inputs: Properties, secrets: set[str]) -> Properties:
    """The inputs without the build secrets whose values are no reason to build."""
    kept = {id: value for id, value in (inputs.get("secrets") or {}).items() if id not in secrets}
    return {**inputs, "secrets": kept}


def _places(inputs: Properties) -> tuple[str, str]:
    context = (inputs.get("context") or {}).get("location") or "."
    dockerfile = (inputs.get("dockerfile") or {}).get("location") or str(Path(context) / "Dockerfile")
    return context, dockerfile


def _digest(inputs: Properties) -> str:
    context, dockerfile = _places(inputs)
    return source_digest(context, dockerfile, {}, at="context.location", file_at="dockerfile.location")

"""A platform's images: ready ones, and those that are built, each once for all fleets that name it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

from agent_infra.aws.registry import Registry, RegistryOptions
from agent_infra.component import ArgsError, Problem
from agent_infra.fleet import image
from agent_infra.fleet.image_args import BuildOptions, ImageBuild, Platform
from agent_infra.fleet.image_checks import build_problems
from agent_infra.parts import BuildSettings
from agent_infra.settings import Settings
from agent_infra.stores import said


class PlatformImages:
    """The images of an environment; not a component, so that the repositories stay the platform's."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        project_dir: str,
        variables: Mapping[str, pulumi.Output[Any]],
        opts: pulumi.ResourceOptions,
        tags: Mapping[str, str],
    ) -> None:
        self._name = name
        self._settings = settings
        self._project_dir = project_dir
        self._variables = variables
        self._opts = opts
        self._tags = tags
        used = {spec.image for spec in settings.fleets.values() if isinstance(spec.image, str)}
        #: By their names in the settings; one that no fleet names is not built.
        self.built = {
            key: image.reference(f"{name}-{key}-image", self._build(key, build), opts=opts)
            for key, build in settings.images.items()
            if key in used
        }

    def of(self, fleet: str) -> str | ImageBuild | pulumi.Output[str]:
        """What the fleet's pods run."""
        wanted = self._settings.fleets[fleet].image
        if isinstance(wanted, str):
            return self.built.get(wanted, wanted)
        return self._build(fleet, wanted)

    def platforms_of(self, fleet: str) -> Sequence[Platform]:
        """What an image that fleets share is built for."""
        wanted = self._settings.fleets[fleet].image
        shared = self._settings.images.get(wanted) if isinstance(wanted, str) else None
        return shared.platforms if shared else ()

    def _build(self, key: str, build: BuildSettings) -> ImageBuild:
        caches = build.builder == "docker-build" and build.cache
        repository = build.repository_url or self._registry(key, caches=caches).repository_url
        token = aws.ecr.get_authorization_token_output(
            opts=pulumi.InvokeOutputOptions(parent=self._opts.parent)
        )
        return ImageBuild(
            **said(build, BuildOptions)
            | {
                "context": str(context_of(build, self._project_dir)),
                "secrets": {id: self._variables[variable] for id, variable in build.secrets.items()},
            },
            repository_url=repository,
            username=token.user_name,
            password=pulumi.Output.secret(token.password),
        )

    def _registry(self, key: str, *, caches: bool) -> Registry:
        return Registry(
            f"{self._name}-{key}-images",
            {
                **said(self._settings.registry, RegistryOptions),
                "moving_tags": [image.CACHE_TAG] if caches else [],
                "kms_key_arn": self._settings.kms_key_arn,
                "deletion_protection": self._settings.protect,
                "tags": self._tags,
            },
            self._opts,
        )


def context_of(build: BuildSettings, project_dir: str) -> Path:
    """The directory that is built, from the program's own."""
    return Path(os.path.normpath(Path(project_dir) / build.context))


def check_images(settings: Settings, project_dir: str, variables: Mapping[str, pulumi.Output[Any]]) -> None:
    """Refuses what cannot be built, before anything is made.

    Raises:
        ArgsError: a directory, a Dockerfile, a stage, a builder or a build secret's variable is not there.
    """
    found: list[Problem] = []
    builds = {f"images.{key}": build for key, build in settings.images.items()}
    builds |= {
        f"fleets.{fleet}.image": spec.image
        for fleet, spec in settings.fleets.items()
        if isinstance(spec.image, BuildSettings)
    }
    for at, build in builds.items():
        found += build_problems(build, context_of(build, project_dir), at=at)
        found += [
            Problem(
                f"{at}.secrets.{id}",
                f"the environment variable {variable} is not set; set it for this command",
            )
            for id, variable in build.secrets.items()
            if variable not in variables
        ]
    if found:
        raise ArgsError("AgentPlatform", found)

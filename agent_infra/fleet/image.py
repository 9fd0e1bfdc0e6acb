"""A fleet's image: a ready one, or one that is built, pushed and deployed by its digest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import pulumi_docker as docker

from agent_infra.build_context import digest
from agent_infra.component import ArgsError, secret
from agent_infra.fleet.image_args import BuildOptions, ImageBuild
from agent_infra.fleet.image_checks import build_problems, dockerfile_of
from agent_infra.fleet.references import moves, pinning

_TAG_CHARACTERS = 16
#: Where docker-build keeps the layers of all stages; `Registry` lets this tag alone move (`build_cache`).
CACHE_TAG = "cache"


def check(owner: str, image: str | ImageBuild | pulumi.Output[str]) -> None:
    """Refuses what cannot be built, before anything is made.

    Raises:
        ArgsError: the directory, the Dockerfile, its stage or the builder is not there.
    """
    if isinstance(image, ImageBuild):
        found = build_problems(image, Path(image.context), at="image")
        if found:
            raise ArgsError(owner, found)


def reference(
    name: str,
    image: str | ImageBuild | pulumi.Output[str],
    *,
    require_digest: bool = True,
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    """The image that the pods run; one that is built is `repository@sha256:...`. No preview builds."""
    if not isinstance(image, ImageBuild):
        ready = pulumi.Output.from_input(image)
        return ready.apply(_pinned) if require_digest else ready
    build = _by_docker_build if image.builder == "docker-build" else _by_docker
    return build(name, image, opts)


def _pinned(text: str) -> str:
    """For references that only the update knows; plain ones were refused with the arguments."""
    if moves(text):
        raise ValueError(f"image: {pinning(text)}")
    return text


def image_tag(image: ImageBuild) -> pulumi.Output[str]:
    """The tag: the one that was said, or a digest of the files and of everything that makes an image another.

    Repositories refuse to move a tag, so it has to change whenever the builder would build again.
    """
    if image.tag is not None:
        return pulumi.Output.from_input(image.tag)
    context = Path(image.context)
    dockerfile = dockerfile_of(image, context)
    recipe = image.model_dump(include=set(BuildOptions.model_fields) - {"arguments", "secrets"})

    def made(arguments: Mapping[str, Any]) -> str:
        return digest(context, dockerfile, {**recipe, "arguments": arguments})[:_TAG_CHARACTERS]

    return pulumi.Output.from_input(dict(image.arguments)).apply(made)


def _by_docker(name: str, image: ImageBuild, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    tagged = pulumi.Output.concat(image.repository_url, ":", image_tag(image))
    arguments: dict[str, Any] = dict(image.arguments)
    cached: list[Any] = list(image.cache_from)
    if image.cache:
        arguments["BUILDKIT_INLINE_CACHE"] = "1"
        # A tag that moves is the last build's; one of the content is no build's yet.
        cached += [tagged] if image.tag is not None else []
    built = docker.Image(
        name,
        image_name=tagged,
        build=docker.DockerBuildArgs(
            context=image.context,
            dockerfile=str(dockerfile_of(image, Path(image.context))),
            target=image.target,
            platform=image.platforms[0],
            args=arguments or None,
            cache_from=docker.CacheFromArgs(images=cached) if cached else None,
        ),
        build_on_preview=False,
        registry=docker.RegistryArgs(
            server=_server(image),
            username=image.username,
            password=image.password,
        )
        if image.username is not None
        else None,
        opts=opts,
    )
    return built.repo_digest


def _by_docker_build(name: str, image: ImageBuild, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    import pulumi_docker_build as docker_build  # an extra

    tagged = pulumi.Output.concat(image.repository_url, ":", image_tag(image))
    cache = pulumi.Output.concat(image.repository_url, f":{CACHE_TAG}")
    cached: list[Any] = [*image.cache_from, *([cache] if image.cache else [])]
    built = docker_build.Image(
        name,
        tags=[tagged],
        context=docker_build.BuildContextArgs(location=image.context),
        dockerfile=docker_build.DockerfileArgs(location=str(dockerfile_of(image, Path(image.context)))),
        target=image.target,
        platforms=[docker_build.Platform(platform) for platform in image.platforms],
        build_args=dict(image.arguments) or None,
        secrets={id: secret(value) for id, value in image.secrets.items()} or None,
        # Tokens that are new at every update would otherwise build, and push the same tag, every time.
        ignore_secrets_in_diff_calculation=sorted(image.secrets) or None,
        cache_from=[
            docker_build.CacheFromArgs(registry=docker_build.CacheFromRegistryArgs(ref=ref)) for ref in cached
        ]
        or None,
        cache_to=[
            docker_build.CacheToArgs(
                registry=docker_build.CacheToRegistryArgs(
                    ref=cache,
                    mode=docker_build.CacheMode.MAX,
                    # ECR takes a cache as an image's manifest alone: aws/containers-roadmap#876.
                    image_manifest=True,
                    oci_media_types=True,
                    # A cache that cannot be kept is no reason not to deploy.
                    ignore_error=True,
                )
            )
        ]
        if image.cache
        else None,
        push=True,
        # Its default is to build during previews.
        build_on_preview=False,
        # The builder inside the plugin switches attestations off; docker buildx itself makes them.
        exec_=True if image.provenance else None,
        registries=[
            docker_build.RegistryArgs(
                address=_server(image), username=image.username, password=image.password
            )
        ]
        if image.username is not None
        else None,
        # The plugin would delete it, and the last revision may need it; the repository forgets old ones.
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(retain_on_delete=True)),
    )
    return pulumi.Output.concat(image.repository_url, "@", built.digest)


def _server(image: ImageBuild) -> pulumi.Output[str]:
    """A repository's address is its server's and a path."""
    return pulumi.Output.from_input(image.repository_url).apply(lambda url: url.partition("/")[0])

"""A fleet's image: a ready one, or one built from a directory and deployed by its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pulumi
import pulumi_docker as docker

from agent_infra.component import Args, MaybeOutput

#: What a build leaves behind beside the sources; none of it belongs into an image.
_NOT_SOURCES = frozenset({".git", ".venv", "__pycache__", "node_modules", "dist", "build", ".agent-infra"})
_TAG_CHARACTERS = 16


class ImageBuild(Args):
    """How an image is built."""

    context: str
    """The directory that is built, relative to the program's own."""
    repository_url: MaybeOutput[str]
    """Where it is pushed, without a tag."""
    dockerfile: str | None = None
    """`Dockerfile` in the context where it is not said."""
    target: str | None = None
    """The stage to stop at."""
    platform: str = "linux/amd64"
    """What the nodes are; EKS Auto Mode's general-purpose pool is amd64."""
    arguments: Mapping[str, MaybeOutput[str]] = {}
    """Build arguments; they stay readable in the image, so nothing secret."""
    tag: str | None = None
    """A digest of the context's files where it is not said, so that a tag never changes its meaning."""
    username: MaybeOutput[str] | None = None
    password: pulumi.Output[str] | None = None
    """For the push; a registry that the builder is logged in to needs neither."""


def context_tag(context: Path) -> str:
    """A digest of a build context's files, the same on every machine.

    Raises:
        FileNotFoundError: the directory does not exist.
    """
    if not context.is_dir():
        raise FileNotFoundError(
            f"The image's context {str(context)!r} is not a directory: name the one to build."
        )
    digest = hashlib.sha256()
    for file in sorted(_sources(context)):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(context).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:_TAG_CHARACTERS]


def _sources(directory: Path) -> Iterator[Path]:
    for path in directory.iterdir():
        if path.name in _NOT_SOURCES or path.name.endswith((".egg-info", "_cache")):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _sources(path)
        elif path.is_file():
            yield path


def reference(
    name: str, image: str | ImageBuild | pulumi.Output[str], *, opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """The image that the pods run."""
    if not isinstance(image, ImageBuild):
        return pulumi.Output.from_input(image)
    tag = image.tag or context_tag(Path(image.context))
    built = docker.Image(
        name,
        image_name=pulumi.Output.concat(image.repository_url, f":{tag}"),
        build=docker.DockerBuildArgs(
            context=image.context,
            dockerfile=image.dockerfile or str(Path(image.context) / "Dockerfile"),
            target=image.target,
            platform=image.platform,
            args=dict(image.arguments) or None,
        ),
        registry=docker.RegistryArgs(
            # A repository's address is its server's and a path.
            server=pulumi.Output.from_input(image.repository_url).apply(lambda url: url.partition("/")[0]),
            username=image.username,
            password=image.password,
        )
        if image.username is not None
        else None,
        opts=opts,
    )
    return built.repo_digest

"""What can be said about a fleet's image: a ready one, or how one is built."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal, Self

import pulumi
from pydantic import AfterValidator, ConfigDict, model_validator

from agent_infra.component import Args, MaybeOutput, shaped
from agent_infra.fleet.references import reference_problem

Builder = Literal["docker", "docker-build"]
Platform = Literal["linux/amd64", "linux/arm64"]
ArgumentName = Annotated[str, shaped(r"[A-Za-z_][A-Za-z0-9_]*", "letters, digits and underscores")]
BuildSecretId = Annotated[
    str,
    shaped(r"[A-Za-z0-9_.-]{1,128}", "the `id` of the Dockerfile's --mount=type=secret, such as pip.conf"),
]


def _checked(text: str) -> str:
    if problem := reference_problem(text):
        raise ValueError(problem)
    return text


ImageReference = Annotated[str, AfterValidator(_checked)]

#: How the names of secrets end; `MAX_TOKENS` and `TOKEN_LIMIT` are numbers.
_SECRET_NAME: Final = re.compile(
    r"(?:.*[^a-z])?(?:token|password|passwd|passphrase|secret|credentials?|apikey|pat"
    r"|(?:api|access|auth|private|secret|signing|ssh)_?key)",
    re.IGNORECASE,
)
#: An address with a password in it, a private key, and the vendors' own prefixes.
_SECRET_VALUE: Final = re.compile(
    r"[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@|-----BEGIN [A-Z ]*PRIVATE KEY|\b(?:gh[pousr]_|github_pat_"
    r"|glpat-|sk-|xox[abp]-|npm_|pypi-|AKIA|ASIA)[A-Za-z0-9_-]{12,}",
    re.IGNORECASE,
)


class BuildOptions(Args):
    """How an image is built, as settings and programs alike may say it."""

    # A misplaced secret is not told by pydantic's own errors.
    model_config = ConfigDict(hide_input_in_errors=True)

    context: str
    """The directory that is built, relative to the project's (settings) or the program's own."""
    dockerfile: str | None = None
    """Relative to the context; `Dockerfile` where it is not said."""
    target: str | None = None
    """The stage to stop at."""
    platforms: Sequence[Platform] = ("linux/amd64",)
    """What the nodes are; EKS Auto Mode's general-purpose pool is amd64. Several need docker-build."""
    arguments: Mapping[ArgumentName, MaybeOutput[str]] = {}
    """Build arguments; they stay readable in the image, so nothing secret."""
    secrets: Mapping[BuildSecretId, object] = {}
    """What the Dockerfile mounts with --mount=type=secret while it is built; needs docker-build."""
    builder: Builder = "docker"
    """`docker` is pulumi-docker. `docker-build` is pulumi-docker-build (`pip install
    'agent-infra[docker-build]'`): several platforms, build secrets, provenance, a cache of all layers."""
    cache: bool = True
    """docker: the image can serve as `cache_from`. docker-build: the layers of all stages are kept in
    the repository under the tag `cache`, and taken from there."""
    cache_from: Sequence[ImageReference] = ()
    """Images, by their tags, whose layers are taken where they fit; one that is not there does no harm."""
    provenance: bool = False
    """Whether how it was built is attested beside it; docker-build alone, by the machine's docker buildx."""

    @model_validator(mode="after")
    def _nothing_secret_is_an_argument(self) -> Self:
        found = [
            name
            for name, value in self.arguments.items()
            if _SECRET_NAME.fullmatch(name) or (isinstance(value, str) and _SECRET_VALUE.search(value))
        ]
        if found:
            raise ValueError(
                f"arguments {', '.join(found)} look secret, and arguments stay readable in the image; "
                "say `builder: docker-build` and `secrets` instead, and mount them in the Dockerfile: "
                "RUN --mount=type=secret,id=..."
            )
        return self

    @model_validator(mode="after")
    def _the_builder_can_do_it(self) -> Self:
        if not self.platforms or len(set(self.platforms)) != len(self.platforms):
            raise ValueError("`platforms` names each platform once, and at least one, such as [linux/amd64]")
        wanted = [
            what
            for what, is_wanted in (
                (f"several platforms ({', '.join(self.platforms)})", len(self.platforms) > 1),
                ("build secrets", bool(self.secrets)),
                ("provenance", self.provenance),
            )
            if is_wanted
        ]
        if wanted and self.builder == "docker":
            raise ValueError(
                f"{', '.join(wanted)} cannot be had from the builder `docker` (pulumi-docker); say "
                "`builder: docker-build`, and install it: pip install 'agent-infra[docker-build]'"
            )
        return self


class ImageBuild(BuildOptions):
    """An image that `up` builds, pushes and deploys by its digest."""

    repository_url: MaybeOutput[str]
    """Where it is pushed, without a tag."""
    tag: Annotated[str, shaped(r"\w[\w.-]{0,127}", "letters, digits, _ . and -, such as 1.4.2")] | None = None
    """A digest of the context's files and of all that is said here, where it is not said, so that a tag never
    changes its meaning. The image that a tag of one's own had before serves as cache."""
    secrets: Mapping[BuildSecretId, pulumi.Output[str]] = {}
    """By the ids that the Dockerfile mounts; marked secret. A changed one alone builds nothing anew."""
    username: MaybeOutput[str] | None = None
    password: pulumi.Output[str] | None = None
    """For the push; a registry that the builder is logged in to needs neither."""

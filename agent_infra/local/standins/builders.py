"""The image builders a machine may have: docker, buildah, podman."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agent_infra.local.standins.server import StandinError

#: Set to one of the builders' names, or to `none` to build nothing.
BUILDER: Final = "AGENT_INFRA_IMAGE_BUILDER"

_PROBE_TIMEOUT: Final = 10.0
_BUILD_TIMEOUT: Final = 1800.0
_PUSH_TIMEOUT: Final = 900.0
_SHOWN_LINES: Final = 15
_BUILDERS_OWN: Final = frozenset({"HOME", "PATH"})


@dataclass(frozen=True)
class Build:
    """One image to build; `args` may hold secrets and never become a command line, nor do `secrets`."""

    image: str
    context: Path
    dockerfile: Path
    args: Mapping[str, str] = field(default_factory=dict, repr=False)
    options: Mapping[str, str] = field(default_factory=dict)
    add_hosts: Sequence[str] = ()
    cache_from: Sequence[str] = ()
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What the Dockerfile mounts, by its ids."""


@dataclass(frozen=True)
class Registry:
    """Where to push, and as whom; without a user the builder's own credentials serve."""

    server: str
    username: str | None
    password: str | None = field(repr=False)


@dataclass(frozen=True)
class Builder:
    """A builder: how to ask whether it works, and its command of building."""

    name: str
    probe: tuple[str, ...]
    command: tuple[str, ...]

    def usable(self) -> bool:
        """Whether it is installed and answers; a docker without its daemon does not."""
        if shutil.which(self.name) is None:
            return False
        try:
            done = subprocess.run(
                [self.name, *self.probe],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_PROBE_TIMEOUT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0

    def build(self, build: Build, log: Path) -> str:
        """Builds and tags the image; returns its id, `sha256:...`."""
        with tempfile.TemporaryDirectory() as scratch:
            id_file = Path(scratch) / "id"
            command = [self.name, *self.command, "--iidfile", str(id_file), "--tag", build.image]
            command += ["--file", str(build.dockerfile)]
            for key, value in build.options.items():
                command += [f"--{key}", value]
            for name in build.args:
                # Its value is in the environment, but for those that the builder itself lives by.
                shown = name if name not in _BUILDERS_OWN else f"{name}={build.args[name]}"
                command += ["--build-arg", shown]
            for number, (id, value) in enumerate(build.secrets.items()):
                file = Path(scratch) / f"secret-{number}"
                descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "w") as written:
                    written.write(value)
                command += ["--secret", f"id={id},src={file}"]
            for host in build.add_hosts:
                command += ["--add-host", host]
            for image in build.cache_from if self.name == "docker" else ():
                command += ["--cache-from", image]
            self._run(
                [*command, str(build.context)],
                log,
                timeout=_BUILD_TIMEOUT,
                extra={key: value for key, value in build.args.items() if key not in _BUILDERS_OWN},
                doing=f"building {build.image}",
            )
            made = id_file.read_text().strip()
        return made if made.startswith("sha256:") else f"sha256:{made}"

    def push(self, image: str, registry: Registry, log: Path) -> str:
        """Pushes the image; returns the digest of its manifest, `sha256:...`."""
        with tempfile.TemporaryDirectory() as scratch, _credentials(registry) as credentials:
            digest_file = Path(scratch) / "digest"
            if self.name == "docker":
                config = ["--config", str(credentials)] if credentials else []
                command = [self.name, *config, "push", image]
            else:
                auth = ["--authfile", str(credentials / "config.json")] if credentials else []
                command = [self.name, "push", *auth, "--digestfile", str(digest_file), image]
            self._run(command, log, timeout=_PUSH_TIMEOUT, extra={}, doing=f"pushing {image}")
            if digest_file.exists():
                return digest_file.read_text().strip()
        shown = subprocess.run(
            [self.name, "image", "inspect", "--format", '{{join .RepoDigests "\\n"}}', image],
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT,
            check=False,
        )
        repository = image.rpartition(":")[0] if ":" in image.rpartition("/")[2] else image
        known = dict(line.split("@", 1) for line in shown.stdout.split() if "@" in line)
        digests = [known[repository]] if repository in known else [*known.values()]
        if not digests:
            raise StandinError(f"{image}: was pushed, and {self.name} tells no digest of it; see {log}")
        return digests[0]

    def _run(
        self, command: list[str], log: Path, *, timeout: float, extra: Mapping[str, str], doing: str
    ) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as out:
            start = out.tell()
            try:
                code = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **extra},
                    timeout=timeout,
                    check=False,
                ).returncode
            except subprocess.TimeoutExpired:
                raise StandinError(
                    f"{doing}: {self.name} took more than {timeout:.0f} s; see {log}"
                ) from None
        if code != 0:
            with log.open("rb") as told:
                told.seek(start)
                last = told.read().decode(errors="replace").strip().splitlines()[-_SHOWN_LINES:]
            raise StandinError(
                f"{doing}: {self.name} ended with {code}:\n" + "\n".join(last) + f"\nAll of it is in {log}. "
                f"{BUILDER}=none runs fleets from source, without an image."
            )


#: In the order of preference. buildah's chroot isolation works where podman cannot start a container.
BUILDERS: Final = (
    Builder("docker", ("info",), ("build",)),
    Builder("buildah", ("info",), ("bud", "--isolation", "chroot")),
    Builder("podman", ("info",), ("build",)),
)


def find_builder() -> Builder | None:
    """The first builder that works here, or the one that the environment names.

    Raises:
        StandinError: the one named is none of them, or does not work.
    """
    wanted = os.environ.get(BUILDER)
    if wanted == "none":
        return None
    if not wanted:
        return next((builder for builder in BUILDERS if builder.usable()), None)
    for builder in BUILDERS:
        if builder.name == wanted:
            if builder.usable():
                return builder
            raise StandinError(
                f"{BUILDER} is {wanted!r}, and `{wanted} {' '.join(builder.probe)}` does not succeed: "
                "install or start it, or unset the variable."
            )
    allowed = ", ".join([*(builder.name for builder in BUILDERS), "none"])
    raise StandinError(f"{BUILDER} is {wanted!r}; allowed: {allowed}")


@contextmanager
def _credentials(registry: Registry) -> Iterator[Path | None]:
    """A directory with a docker configuration that has the registry's login, beside what the user has."""
    if not registry.username or registry.password is None:
        yield None
        return
    usual = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        config = json.loads((usual / "config.json").read_text())
    except (OSError, ValueError):
        config = {}
    login = base64.b64encode(f"{registry.username}:{registry.password}".encode()).decode()
    kept = {key: value for key, value in config.items() if key in {"currentContext", "proxies"}}
    kept["auths"] = {registry.server: {"auth": login}}
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        descriptor = os.open(path / "config.json", os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(kept, file)
        if (usual / "contexts").is_dir():
            (path / "contexts").symlink_to(usual / "contexts")
        yield path

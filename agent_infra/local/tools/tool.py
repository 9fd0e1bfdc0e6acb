"""What is known of a tool: a row of data that the ways of getting it go by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from agent_infra.local.tools.cache import Cache
from agent_infra.local.tools.places import Places, go_platform, platform_name


@dataclass(frozen=True)
class Module:
    """A Go module, in the version that a `go.mod` of ours requires."""

    directory: str
    """Where that `go.mod` is, below `tools/`."""
    path: str

    def version(self, places: Places) -> str:
        return places.pinned(self.directory, self.path)


@dataclass(frozen=True)
class Copied:
    """Files of a Go module that are used as they are."""

    module: Module
    pattern: str
    """Which, below the module's root."""

    @property
    def name(self) -> str:
        return PurePosixPath(self.pattern).name


@dataclass(frozen=True)
class Release:
    """Where a project publishes its programs.

    `{version}`, `{platform}` (Pulumi's name for it, `linux-x64`), `{os}` and `{arch}` (Go's) are filled in.
    """

    title: str
    """What it is a release of, in a sentence."""
    site: str
    file: str
    """An archive (`.tar.gz`), or the program itself."""
    checksums: str
    """A list of SHA-256 or SHA-512 sums with names, or one sum alone."""

    def address(self, template: str, version: str, places: Places) -> str:
        system, arch = go_platform()
        filled = template.format(version=version, platform=platform_name(), os=system, arch=arch)
        return f"{places.releases or self.site}/{filled}"

    def host(self, places: Places) -> str:
        address = places.releases or self.site
        return urlsplit(address).hostname or address


@dataclass(frozen=True)
class Tool:
    """A program, or a directory of files, that is found on this machine or got."""

    name: str
    title: str
    """In a sentence, before its version."""
    module: Module | None = None
    """What it is built from and has its version from; None where no Go module makes it."""
    package: str = ""
    """What is built; empty for one that is all files of modules."""
    program: str = ""
    """The file's name where it is not the tool's."""
    ldflags: str = ""
    """`{version}`, `{major}` and `{minor}` are filled in."""
    copies: tuple[Copied, ...] = ()
    """Beside the program, or all that there is in it."""
    says: tuple[tuple[str, ...], ...] = (("--version",),)
    """The arguments that it answers to, with its version if it knows one: the first that works."""
    same: int = 2
    """How many parts of the version one on PATH must have in common with the wanted one; it may be newer."""
    tells_version: bool = True
    """One that does not cannot be taken from PATH: nobody knows what it is."""
    beside: str = ""
    """Another tool that it belongs to: one on PATH is taken only where that one is from there too."""
    wheel: str = ""
    """Where an installed Python package has it."""
    oldest: str = ""
    """The oldest that will do, for one that no Go module says it of."""
    release: Release | None = None
    unreleased: str = ""
    """Why there is no release to download, as a half-sentence."""
    seconds: float = 60.0
    """How long a build takes on two cores, the modules to fetch."""
    jobs: int | None = 2
    """How many compilers run at once (each takes some 300 MB at its height); None for one on each core."""
    home: Module | None = None
    """Whose name and version its directory in the cache has, where that is not its own module."""

    @property
    def file(self) -> str:
        return self.program or self.name

    @property
    def files(self) -> tuple[str, ...]:
        """What there is of it in the directory of programs."""
        return (self.file, *(copied.name for copied in self.copies)) if self.module else (self.file,)

    @property
    def obtainable(self) -> bool:
        """Whether it can be downloaded or built, and need not be there."""
        return self.module is not None or bool(self.copies)

    def version(self, places: Places) -> str:
        if self.module is not None:
            return self.module.version(places)
        if not self.copies:
            return self.oldest
        # Files of several modules: a name that changes with any of them.
        pins = [(copied.module.path, copied.module.version(places), copied.pattern) for copied in self.copies]
        return hashlib.sha256(repr(pins).encode()).hexdigest()[:12]

    def released(self, places: Places) -> str:
        """The version of the release that has it."""
        return self.version(places) if self.home is None else self.home.version(places)

    def directories(self) -> set[str]:
        """The Go modules of ours that getting it needs."""
        modules = [copied.module for copied in self.copies]
        return {module.directory for module in ([*modules, self.module] if self.module else modules)}

    def cache(self, places: Places) -> Cache:
        home = self.home or self.module
        name, version = (
            (self.name, self.version(places)) if home is None else (home.directory, home.version(places))
        )
        return Cache(places.cache / "tools", version, name)

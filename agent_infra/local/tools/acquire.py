"""Gets the tools that are missing: downloaded, else built, each kept as soon as it is whole."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent_infra.local.environment import LocalError
from agent_infra.local.progress import Report
from agent_infra.local.tools.cache import locked, staging
from agent_infra.local.tools.download import download
from agent_infra.local.tools.gobuild import Go, build, go_from_wheel, go_on_path
from agent_infra.local.tools.places import CACHE_DIR, Places
from agent_infra.local.tools.process import Interrupted, OutOfReach, Unavailable, disk_full, is_disk_full
from agent_infra.local.tools.status import ToolStatus, find_all, go_needed, try_out
from agent_infra.local.tools.tool import Release, Tool

_GOT = {"download": "downloaded", "built": "built"}


@dataclass(frozen=True)
class Kit:
    """Tools that are got together."""

    tools: tuple[Tool, ...]
    part: str
    """What was being got, where it broke off."""
    whole: str
    """What could not be got."""
    advice: str
    """How else the user comes by them."""


def ensure_all(kit: Kit, places: Places, report: Report) -> list[ToolStatus]:
    """The tools of a kit in order, got where they are missing.

    Raises:
        Interrupted: the user stopped it.
        LocalError: no way is open, with the reason for each, or the disk is full or cannot be written.
    """
    root = _root(places)
    try:
        found = find_all(kit.tools, places)
        if not _missing(kit, found):
            return found
        with locked(root, report):
            return _get(kit, places, report)
    except KeyboardInterrupt:
        raise Interrupted(
            f"Interrupted while {kit.part} was being got; nothing half made is left in {root}. "
            "Run it again to go on."
        ) from None
    except OSError as error:
        if is_disk_full(error):
            raise disk_full(root) from None
        raise LocalError(
            f"{error.filename or root} cannot be used ({error.strerror or error}): mend its "
            f"permissions, or set {CACHE_DIR} to a directory that can be written."
        ) from None


def _get(kit: Kit, places: Places, report: Report) -> list[ToolStatus]:
    found = find_all(kit.tools, places)
    missing = _missing(kit, found)
    names = ", ".join(tool.name for tool in missing)
    reasons = [f"PATH: {status.unfit}" for status in found if status.path is None and status.unfit]
    # What nothing here can get is told before half an hour of builds, not after.
    ways = (("download", _download), ("build", _build)) if all(tool.obtainable for tool in missing) else ()
    for way, get in ways:
        if not missing:
            return found
        for reason in get(missing, places, report):
            reasons.append(f"{way}: {reason}")
            report(f"No {way}: {reason.splitlines()[0]}")
        found = find_all(kit.tools, places)
        missing = _missing(kit, found)
    if not missing:
        return found
    raise LocalError(
        f"{kit.whole} could not be got (missing: {names}):\n"
        + "\n".join(f"  - {reason}".replace("\n", "\n      ") for reason in reasons)
        + f"\n{kit.advice}"
    )


def _download(missing: Sequence[Tool], places: Places, report: Report) -> list[str]:
    """Gets what is published, each archive once; gives why some of it was not got."""
    reasons, out_of_reach = list[str](), set[str]()
    for release, tools in _by_archive(missing, places):
        if release.site in out_of_reach:
            continue
        try:
            _download_one(release, tools, places, report)
        except OutOfReach as reason:
            out_of_reach.add(release.site)
            reasons.append(str(reason))
        except Unavailable as reason:
            reasons.append(str(reason))
    return reasons


def _by_archive(tools: Sequence[Tool], places: Places) -> list[tuple[Release, list[Tool]]]:
    """The releases to download, each with the tools that are taken from it."""
    archives: dict[tuple[Release, str], list[Tool]] = {}
    for tool in tools:
        if tool.release is not None:
            archives.setdefault((tool.release, tool.released(places)), []).append(tool)
    return [(release, found) for (release, _), found in archives.items()]


def _download_one(release: Release, tools: Sequence[Tool], places: Places, report: Report) -> None:
    version = tools[0].released(places)
    with staging(_root(places)) as target:
        title = tools[0].title if len(tools) == 1 else release.title
        wanted = [file for tool in tools for file in tool.files]
        download(release, version, wanted, target, title=title, places=places, report=report)
        for tool in tools:
            _keep(tool, target, places, source="download", version=version)


def _build(missing: Sequence[Tool], places: Places, report: Report) -> list[str]:
    """Builds the tools in turn up to one that cannot be built; gives why not."""
    root = _root(places)
    try:
        go = _go(go_needed(missing, places), places, report)
        if len(missing) > 2:
            minutes = math.ceil(sum(tool.seconds for tool in missing) / 60)
            report(f"{len(missing)} programs are missing, which takes some {minutes} minutes once")
        for tool in missing:
            with staging(root) as target:
                build(go, tool, places, target, report=report)
                _keep(tool, target, places, source="built", version=tool.version(places))
    except Unavailable as reason:
        return [str(reason)]
    if go.own is not None:  # some GB that nothing needs any more
        report("Removing Go and its caches")
        shutil.rmtree(go.own, ignore_errors=True)
    return []


def _go(oldest: str, places: Places, report: Report) -> Go:
    try:
        return go_on_path(places, oldest)
    except Unavailable as reason:
        try:
            return go_from_wheel(places, _root(places), report=report)
        except Unavailable as second:
            raise Unavailable(f"{reason}, and {second}") from None


def _keep(tool: Tool, made: Path, places: Places, *, source: str, version: str) -> None:
    if not try_out(tool, made / tool.file)[0]:
        raise Unavailable(f"{tool.file} {version} was {_GOT[source]} but does not run on this machine")
    files = [made / file for file in tool.files]
    tool.cache(places).publish(tool.name, files, source=source, version=version)


def _missing(kit: Kit, found: Sequence[ToolStatus]) -> list[Tool]:
    return [tool for tool, status in zip(kit.tools, found, strict=True) if status.path is None]


def _root(places: Places) -> Path:
    return places.cache / "tools"

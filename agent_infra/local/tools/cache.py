"""The tools kept for a user: whole or not at all, and got by one process at a time."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from agent_infra.local.environment import write_private
from agent_infra.local.progress import Report
from agent_infra.local.tools.places import platform_name

_STAGING = ".new-"


@dataclass(frozen=True)
class Kept:
    """A tool in the cache, not yet tried out."""

    bin: Path
    source: str
    version: str


@dataclass(frozen=True)
class Cache:
    """A directory in `<cache>/tools`: one for each tool or group of them, version and platform."""

    root: Path
    version: str
    """Of the tool that the directory is named for, which everything in it goes with."""
    name: str
    """Of that tool or its Go module; all directories are under the same lock."""

    @property
    def bin(self) -> Path:
        """One directory for what belongs together: the engine warns of a language host elsewhere."""
        return self._home / "bin"

    @property
    def _home(self) -> Path:
        return self.root / f"{self.name}-{self.version}-{platform_name()}"

    def kept(self, tool: str) -> Kept | None:
        try:
            record = json.loads(self._record(tool).read_text())
            return Kept(self.bin, record["source"], record["version"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def publish(self, tool: str, files: Sequence[Path], *, source: str, version: str) -> None:
        """Puts finished programs in their place, each in one step, with the lock held.

        The record comes last: without it the tool counts as missing.
        """
        record = self._record(tool)
        record.unlink(missing_ok=True)
        self.bin.mkdir(parents=True, exist_ok=True)
        for file in files:
            if file.is_dir():
                shutil.rmtree(self.bin / file.name, ignore_errors=True)
            file.rename(self.bin / file.name)
        write_private(record, json.dumps({"source": source, "version": version}))

    def _record(self, tool: str) -> Path:
        return self._home / f"{tool}.json"


@contextmanager
def locked(root: Path, report: Report) -> Iterator[None]:
    """Waits until no other process gets tools, then clears what a killed one left.

    The operating system frees the lock when its holder ends, however it ends.
    """
    root.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("a+") as file:
        _wait(file, report)
        for leftover in root.glob(f"{_STAGING}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def staging(root: Path) -> Iterator[Path]:
    """A directory to make a tool in, removed in any case; with the lock held."""
    path = Path(tempfile.mkdtemp(prefix=_STAGING, dir=root))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _wait(file: TextIO, report: Report) -> None:
    told = False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not told:
                file.seek(0)
                holder = file.read(20).strip()
                who = f"process {holder}" if holder.isdigit() else "another process"
                report(f"Waiting for {who}, which is getting tools")
                told = True
            time.sleep(0.2)
        else:
            return

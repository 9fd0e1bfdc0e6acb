"""The content of an image's build context, as one digest."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from agent_infra.local.standins.server import StandinError

#: The local environments' own directory changes at every update and is no source.
_NEVER: Final = ".agent-infra"


def digest(context: Path, dockerfile: Path, options: dict[str, Any]) -> str:
    """A hexadecimal SHA-256 of the names, modes and content of what a builder would be sent.

    `.dockerignore` is respected (and `<Dockerfile>.dockerignore` before it); times and owners are
    not part of it, so a fresh checkout has the same digest.
    """
    total = hashlib.sha256()
    try:
        ignored = _ignored(context, dockerfile)
        total.update(dockerfile.read_bytes())
        total.update(json.dumps(options, sort_keys=True).encode())
        for relative in _files(context, ignored):
            path = context / relative
            total.update(f"\0{relative}\0".encode(errors="surrogateescape"))
            if path.is_symlink():
                total.update(f"link {path.readlink()}".encode(errors="surrogateescape"))
            elif path.is_file():
                total.update(b"executable " if path.stat().st_mode & 0o100 else b"file ")
                with path.open("rb") as file:
                    total.update(hashlib.file_digest(file, "sha256").digest())
    except OSError as error:
        raise StandinError(
            f"{error.filename}: the build context cannot be read ({error.strerror}): make it readable, or "
            f"name it in {context / '.dockerignore'}."
        ) from error
    return total.hexdigest()


class _Ignored:
    """The rules of a `.dockerignore`: the last one that matches a path or what holds it decides."""

    def __init__(self, lines: list[str]) -> None:
        self._rules: list[tuple[bool, re.Pattern[str]]] = []
        for line in lines:
            text = line.strip()
            if not text or line.startswith("#"):
                continue
            keep = text.startswith("!")
            pattern = os.path.normpath(text.removeprefix("!").strip().lstrip("/"))
            if pattern != ".":
                self._rules.append((keep, re.compile(_expression(pattern) + r"(/.*)?\Z", re.DOTALL)))
        #: Whether something inside an ignored directory may be kept.
        self.has_exceptions = any(keep for keep, _ in self._rules)

    def __call__(self, relative: str) -> bool:
        ignored = False
        for keep, pattern in self._rules:
            if pattern.match(relative):
                ignored = not keep
        return ignored


def _ignored(context: Path, dockerfile: Path) -> _Ignored:
    for path in (dockerfile.with_name(f"{dockerfile.name}.dockerignore"), context / ".dockerignore"):
        if path.is_file():
            return _Ignored(path.read_text().splitlines())
    return _Ignored([])


def _expression(pattern: str) -> str:
    """Go's `filepath.Match` with `**`, as Docker documents it."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", pattern)
    known = {"**/": r"(.*/)?", "**": r".*", "*": r"[^/]*", "?": r"[^/]"}
    return "".join(
        known.get(part) or (part if part.startswith("[") and part.endswith("]") else re.escape(part))
        for part in parts
    )


def _files(context: Path, ignored: _Ignored) -> Iterator[str]:
    for folder, folders, files in os.walk(context):
        at = Path(folder).relative_to(context)
        names = {name: (at / name).as_posix() for name in (*folders, *files)}
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        folders[:] = sorted(
            name
            for name in folders
            if name not in links and name != _NEVER and (ignored.has_exceptions or not ignored(names[name]))
        )
        for name in sorted([*files, *links]):
            if not ignored(names[name]):
                yield names[name]

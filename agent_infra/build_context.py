"""A build context: which of its files a builder is sent, and their content as one digest."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

#: The local environments' own directory changes at every update, holds their passphrases, and is no source.
LOCAL_STATE: Final = ".agent-infra"

_CHARACTER_CLASS: Final = re.compile(r"\[[^\]]*\]")
_COMMENT: Final = re.compile(r"\s*#")
_ESCAPE: Final = re.compile(r"#\s*escape\s*=\s*(\S)\s*", re.IGNORECASE)
_FROM: Final = re.compile(r"\s*FROM\s+(?:--\S+\s+)*\S+(?:\s+AS\s+(?P<name>\S+))?\s*", re.IGNORECASE)
_HEREDOC: Final = re.compile(r"<<-?\s*([\"']?)([A-Za-z_]\w*)\1")


class ContextError(Exception):
    """A build context cannot be read."""


def digest(context: Path, dockerfile: Path, recipe: Mapping[str, Any]) -> str:
    """A hexadecimal SHA-256 of the names, modes and content of what a builder would be sent.

    `.dockerignore` is respected (and `<Dockerfile>.dockerignore` before it); times and owners are
    not part of it, so a fresh checkout has the same digest. It changes whenever pulumi-docker or
    pulumi-docker-build would build again, which look at the same files and modes.

    Raises:
        ContextError: a file cannot be read.
    """
    total = hashlib.sha256()
    try:
        total.update(dockerfile.read_bytes())
        total.update(json.dumps(recipe, sort_keys=True).encode())
        for relative in _files(context, ignored(context, dockerfile)):
            path = context / relative
            total.update(f"\0{relative}\0".encode(errors="surrogateescape"))
            if path.is_symlink():
                total.update(f"link {path.readlink()}".encode(errors="surrogateescape"))
            elif path.is_file():
                total.update(f"file {path.stat().st_mode & 0o7777:o} ".encode())
                with path.open("rb") as file:
                    total.update(hashlib.file_digest(file, "sha256").digest())
    except OSError as error:
        raise ContextError(
            f"{error.filename}: the build context cannot be read ({error.strerror}): make it readable, or "
            f"name it in {context / '.dockerignore'}."
        ) from error
    return total.hexdigest()


def stages(dockerfile: str) -> list[str | None]:
    """The stages of a Dockerfile in their order, by their names; None for one without."""
    escape = "\\"
    found: list[str | None] = []
    inside: list[str] = []  # the ends of here-documents, whose lines are no instructions
    line = ""
    for number, raw in enumerate(dockerfile.splitlines()):
        if number == 0 and (directive := _ESCAPE.fullmatch(raw)):
            escape = directive[1]
        if inside:
            if raw.strip() == inside[0]:
                inside.pop(0)
            continue
        if _COMMENT.match(raw):
            continue
        line += raw
        if line.rstrip().endswith(escape):
            line = line.rstrip()[:-1] + " "
            continue
        if stage := _FROM.fullmatch(line):
            found.append(stage["name"])
        elif re.match(r"\s*(RUN|COPY|ADD)\s", line, re.IGNORECASE):
            inside = [end for _, end in _HEREDOC.findall(line)]
        line = ""
    return found


class Ignored:
    """The rules of a `.dockerignore`, as moby/patternmatcher has them: the last one that matches a path, or
    a directory that holds it, decides."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._rules: list[tuple[bool, Callable[[str], bool]]] = []
        for line in lines:
            text = line.strip()
            if not text or line.startswith("#"):
                continue
            keep = text.startswith("!")
            pattern = _clean(text.removeprefix("!").strip())
            self._rules.append((keep, _matcher(pattern)))
        #: Whether something inside an ignored directory may be kept.
        self.has_exceptions = any(keep for keep, _ in self._rules)

    def __call__(self, relative: str) -> bool:
        parts = relative.split("/")
        paths = ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]
        result = False
        for keep, matches in self._rules:
            if keep == result and any(matches(path) for path in paths):
                result = not keep
        return result


def ignored(context: Path, dockerfile: Path) -> Ignored:
    """What the builder is not sent."""
    for path in (dockerfile.with_name(f"{dockerfile.name}.dockerignore"), context / ".dockerignore"):
        if path.is_file():
            return Ignored(path.read_text(encoding="utf-8-sig").splitlines())
    return Ignored([])


def _clean(pattern: str) -> str:
    """The shortest equal path, from the context's top."""
    return os.path.normpath(pattern).lstrip("/") if pattern.strip("/") else pattern[:1]


def _matcher(pattern: str) -> Callable[[str], bool]:
    """Go's `filepath.Match` with `**`, as Docker documents it."""
    if pattern.startswith("**") and not re.search(r"[*?\[\]\\]", pattern[2:]):
        # Taken as an ending, even in the middle of a name.
        ending = pattern[2:]
        return lambda path: path.endswith(ending) or (ending[:1] == "/" and path == ending[1:])
    expression = re.compile(_expression(pattern), re.DOTALL)
    return lambda path: expression.fullmatch(path) is not None


def _expression(pattern: str) -> str:
    result, at = "", 0
    while at < len(pattern):
        if pattern.startswith("**", at):
            at += 2
            if pattern.startswith("/", at):
                at += 1
            result += ".*" if at >= len(pattern) else "(.*/)?"
            continue
        one = pattern[at]
        if one == "[" and (found := _CHARACTER_CLASS.match(pattern, at)):
            result += found[0]
            at = found.end()
            continue
        if one == "\\" and at + 1 < len(pattern):
            at += 1
            result += re.escape(pattern[at])
        else:
            result += {"*": "[^/]*", "?": "[^/]"}.get(one) or re.escape(one)
        at += 1
    return result


def _files(context: Path, is_ignored: Ignored) -> Iterator[str]:
    for folder, folders, files in os.walk(context):
        at = Path(folder).relative_to(context)
        names = {name: (at / name).as_posix() for name in (*folders, *files)}
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        folders[:] = sorted(
            name
            for name in folders
            if name not in links
            and name != LOCAL_STATE
            and (is_ignored.has_exceptions or not is_ignored(names[name]))
        )
        for name in sorted([*files, *links]):
            if not is_ignored(names[name]):
                yield names[name]

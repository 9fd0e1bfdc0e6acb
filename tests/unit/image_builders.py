"""Image builders that are scripts on PATH."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

ID = "sha256:" + "1" * 64
MANIFEST = "sha256:" + "2" * 64

#: A builder that records how it was called, and answers as docker, podman and buildah do.
_SCRIPT = """#!/bin/sh
me=$(basename "$0")
printf '%s %s\\n' "$me" "$*" >> {log}
case "$1" in
  info) exit {info} ;;
  push) : ;;
  image) printf '%s\\n' "$(cat {log}.pushed)"; exit 0 ;;
esac
printf 'TOKEN=%s\\n' "$TOKEN" >> {log}
while [ $# -gt 0 ]; do
  case "$1" in
    --iidfile) printf '{id}' > "$2" ;;
    --digestfile) printf '{manifest}' > "$2" ;;
    --secret) printf 'secret %s\\n' "$(cat "${{2#*src=}}")" >> {log} ;;
    --config) cat "$2/config.json" >> {log} ;;
  esac
  last=$1; shift
done
echo "{message}"
exit {code}
"""

Install = Callable[..., Path]


def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a builder on a PATH that has the shell's own tools besides, and no other builder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("sh", "basename", "cat", "printf"):
        for place in ("/bin", "/usr/bin"):
            if (Path(place) / tool).exists() and not (folder / tool).exists():
                (folder / tool).symlink_to(Path(place) / tool)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("AGENT_INFRA_IMAGE_BUILDER", raising=False)

    def put(name: str, *, info: int = 0, code: int = 0, message: str = "done") -> Path:
        log = tmp_path / "calls"
        (tmp_path / "calls.pushed").write_text(f"registry.test/team/app@{MANIFEST}\n")
        script = folder / name
        script.write_text(
            _SCRIPT.format(log=log, info=info, code=code, message=message, id=ID, manifest=MANIFEST)
        )
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        return log

    return put

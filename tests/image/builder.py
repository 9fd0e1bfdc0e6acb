"""Builds the service's image without a Docker daemon: buildah, on a base that debootstrap makes."""

from __future__ import annotations

import ast
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_infra.local.tools import Places

SOURCE = Path(__file__).parents[2] / "agent_app"
BASE = "localhost/agent-app-base"
TOOLS = ("buildah", "debootstrap", "unshare", "chroot", "setpriv")
#: Debian's release of the base, and what it holds beyond the minimum: what `python:slim` has too.
RELEASE = "bookworm"
PACKAGES = ("ca-certificates", "python3", "python3-venv")
#: What official images leave out as well.
UNWANTED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "var/cache", "var/log")
#: Stands in every pip.conf that a build is given, and must be nowhere in what is built.
INDEX_MARK = "index-of-the-building-machine.invalid"


def run(command: list[str], **options: Any) -> str:
    """A command's output; the failure says what it wrote."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@dataclass(frozen=True)
class Image:
    """What a registry would hold: the image's configuration and its layers, the base's first."""

    layout: Path
    manifest: dict[str, Any]
    config: dict[str, Any]

    @classmethod
    def of_layout(cls, layout: Path) -> Image:
        (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
        manifest = json.loads(_blob(layout, entry).read_text())
        return cls(layout, manifest, json.loads(_blob(layout, manifest["config"]).read_text()))

    @property
    def settings(self) -> dict[str, Any]:
        """User, Env, Cmd and so on."""
        settings: dict[str, Any] = self.config["config"]
        return settings

    @property
    def environment(self) -> dict[str, str]:
        return dict(variable.split("=", 1) for variable in self.settings["Env"])

    @property
    def layers(self) -> list[Path]:
        return [_blob(self.layout, layer) for layer in self.manifest["layers"]]

    @property
    def diff_ids(self) -> list[str]:
        ids: list[str] = self.config["rootfs"]["diff_ids"]
        return ids

    def own_members(self) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
        """The files that the Dockerfile adds to its base."""
        for layer in self.layers[1:]:
            with tarfile.open(layer) as archive:
                for member in archive:
                    yield archive, member


def _blob(layout: Path, entry: dict[str, Any]) -> Path:
    return layout / "blobs" / entry["digest"].replace(":", "/")


@dataclass(frozen=True)
class Builder:
    """A store of images and layers of the lane's own, kept between runs for the sake of its layers."""

    cache: Path
    driver: str

    @classmethod
    @contextlib.contextmanager
    def of_this_machine(cls) -> Iterator[Builder]:
        """Holds a lock: one lane at a time. Containers and mounts, a killed run's too, are gone after it."""
        missing = [tool for tool in TOOLS if not shutil.which(tool)]
        assert not missing, f"{missing} are not on PATH: say `make image`, which installs them"
        assert os.geteuid() == 0, "images are built and run in namespaces, which needs root: sudo make image"
        cache = Places.of_this_machine().cache / "image"
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            builder = cls(cache, _driver(cache))
            builder.forget_old_layers()
            builder.buildah("rm", "--all")
            try:
                yield builder
            finally:
                builder.buildah("rm", "--all")

    @property
    def store(self) -> Path:
        return self.cache / f"store-{self.driver}"

    def buildah(self, *arguments: str, **options: Any) -> str:
        places = ["--root", str(self.store), "--runroot", str(self.cache / "run")]
        return run(["buildah", *places, "--storage-driver", self.driver, *arguments], **options).strip()

    def forget_old_layers(self) -> None:
        """Empties the store when packages or steps have changed: a layer is up to 300 MB."""
        inputs = [SOURCE / name for name in ("Dockerfile", "requirements.lock", "build-requirements.lock")]
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in inputs)).hexdigest()
        made_for = self.cache / f"store-{self.driver}.inputs"
        if self.store.exists() and not (made_for.exists() and made_for.read_text() == digest):
            self.buildah("rm", "--all")
            self.buildah("rmi", "--all", "--force")
        made_for.write_text(digest)

    def base(self) -> str:
        """The base as `<repository>@sha256:<digest>`; made by debootstrap (two minutes) if not kept."""
        recipe = hashlib.sha256(repr((RELEASE, PACKAGES, UNWANTED)).encode()).hexdigest()[:12]
        archive = self.cache / f"{RELEASE}-{recipe}.tar"
        if not archive.exists():
            _debootstrap(archive)
        name = f"{BASE}:{recipe}"
        if not self.buildah("images", "--quiet", "--filter", f"reference={name}"):
            container = self.buildah("from", "scratch")
            self.buildah("add", container, str(archive), "/")
            self.buildah("commit", "--quiet", "--rm", container, name)
        digest = self.buildah("inspect", "--type", "image", "--format", "{{.FromImageDigest}}", name)
        return f"{BASE}@{digest}"

    def build(self, context: Path, name: str) -> None:
        """Builds the context's own Dockerfile as it stands, with this machine's package index."""
        with tempfile.TemporaryDirectory(prefix="agent-app-build-") as secrets:
            options = [f"--build-arg=BASE_IMAGE={self.base()}", *_index_secrets(Path(secrets))]
            self.buildah("bud", "--isolation", "chroot", "--layers", *options, "--tag", name, str(context))

    def export(self, name: str, layout: Path) -> Image:
        self.buildah("push", "--quiet", name, f"oci:{layout}:image")
        return Image.of_layout(layout)

    @contextlib.contextmanager
    def mounted(self, name: str) -> Iterator[Path]:
        """The root of a container of this image."""
        container = self.buildah("from", name)
        try:
            yield Path(self.buildah("mount", container))
        finally:
            self.buildah("umount", container)
            self.buildah("rm", container)


def _driver(cache: Path) -> str:
    """`overlay` where the file system under the cache can carry it; it cannot inside most containers."""
    with tempfile.TemporaryDirectory(dir=cache) as directory:
        places = ["--root", f"{directory}/store", "--runroot", f"{directory}/run"]
        command = ["buildah", *places, "--storage-driver", "overlay", "info"]
        works = subprocess.run(command, capture_output=True, check=False).returncode == 0
        subprocess.run(["umount", f"{directory}/store/overlay"], capture_output=True, check=False)
    return "overlay" if works else "vfs"


def _debootstrap(archive: Path) -> None:
    """From the mirror that this machine's apt uses, or debootstrap's own where apt knows no such release."""
    targets = run(
        ["apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"]
    )
    mirrors = [line.split()[2] for line in targets.splitlines() if line.startswith(f"{RELEASE} main ")]
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix="debootstrap-") as directory:
        root = Path(directory) / "root"
        options = ["--variant=minbase", f"--include={','.join(PACKAGES)}"]
        run(["debootstrap", *options, RELEASE, str(root), *mirrors[:1]])
        for name in (*UNWANTED, "var/lib/apt/lists"):
            for path in (root / name).iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        unfinished = Path(directory) / "base.tar"
        run(["tar", "--create", "--numeric-owner", "--directory", str(root), "--file", str(unfinished), "."])
        unfinished.rename(archive)


def _index_secrets(directory: Path) -> list[str]:
    """What pip on this machine is told about its index, for the build: as secrets, which leave no trace."""
    listed = run([sys.executable, "-m", "pip", "config", "list"])
    settings: dict[str, str] = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        settings[name.rpartition(".")[2]] = ast.literal_eval(value)
    trusted = " ".join([*settings.get("trusted-host", "").split(), INDEX_MARK])
    lines = ["[global]", f"trusted-host = {trusted}"]
    names = ("index-url", "extra-index-url", "timeout")
    values = {name: settings.get(name, settings.get(f"default-{name}", "")) for name in names}
    lines += [f"{name} = {' '.join(value.split())}" for name, value in values.items() if value]
    options = []
    if authorities := settings.get("cert", os.environ.get("REQUESTS_CA_BUNDLE")):
        lines.append("cert = /run/secrets/ca.pem")
        options.append(f"--secret=id=ca.pem,src={authorities}")
    configuration = directory / "pip.conf"
    configuration.write_text("\n".join(lines) + "\n")
    return [f"--secret=id=pip.conf,src={configuration}", *options]

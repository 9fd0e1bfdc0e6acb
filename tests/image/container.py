"""Runs an image's commands as Kubernetes would: as its user, without privileges, on a read-only root."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.app.stack import LOOPBACK, App, Stack, free_port, process, until
from tests.image.builder import Image

#: Mounts live in the namespace of the process alone and end with it, however it ends.
ENTER = """
set -e
root=$1 user=$2 access=$3
shift 3
mount --bind "$root" "$root"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t tmpfs -o nosuid,noexec,mode=755 dev "$root/dev"
for device in null zero random urandom; do
    : > "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount -o remount,bind,"$access" "$root"
exec chroot --userspec="$user" --groups= "$root" "$@"
"""


@dataclass(frozen=True)
class Replica:
    """A running command of the image; `app` speaks HTTP with it."""

    app: App
    pid: int
    """Outside its namespace; inside it is 1."""

    @property
    def status(self) -> dict[str, str]:
        """What the kernel says of it, such as `Uid` and `CapEff`."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return {name: " ".join(value.split()) for name, _, value in (line.partition(":") for line in lines)}

    def terminate(self) -> int:
        """SIGTERM to the service itself; its exit status."""
        os.kill(self.pid, signal.SIGTERM)
        return self.app.running.wait(60)


@dataclass(frozen=True)
class Container:
    """An image's root, in which its commands run."""

    root: Path
    image: Image

    def command(self, arguments: list[str], *, read_only: bool = True) -> list[str]:
        user = self.image.settings["User"]
        # The setting stays with the process: neither a setuid program nor anything else gives it more.
        namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "setpriv", "--no-new-privs"]
        access = "ro" if read_only else "rw"
        return [*namespaces, "sh", "-c", ENTER, "sh", str(self.root), user, access, *arguments]

    def environment(self, variables: dict[str, str]) -> dict[str, str]:
        return {**self.image.environment, **variables}

    def run(
        self, arguments: list[str], variables: dict[str, str] | None = None, *, read_only: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """One command, to its end."""
        return subprocess.run(
            self.command(arguments, read_only=read_only),
            env=self.environment(variables or {}),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @contextlib.contextmanager
    def replica(
        self, stack: Stack, arguments: list[str] | None = None, *, read_only: bool = True
    ) -> Iterator[Replica]:
        """A service with the stack's settings: the image's own command, or another."""
        port = free_port()
        command = self.command(arguments or self.image.settings["Cmd"], read_only=read_only)
        variables = self.environment({**stack.variables, "AGENT_APP_PORT": str(port)})
        log = stack.directory / f"container-{port}.log"
        with process(command, log, env=variables) as outer:
            app = App(outer, log, f"http://{LOOPBACK}:{port}")
            app.ready()
            replica = Replica(app, _child(outer))
            try:
                yield replica
            finally:
                if outer.poll() is None:
                    replica.terminate()


def _child(outer: subprocess.Popen[Any]) -> int:
    """`unshare` stays outside the namespace that it made, and waits for the one process that it started."""
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    (child,) = until(lambda: children.read_text().split(), 10, what="the container's process")
    return int(child)

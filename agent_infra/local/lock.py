"""One run at a time for a local environment: a lock that names its holder and ends with it."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from agent_infra.local.environment import LocalEnvironment, LocalError, plainly


@contextmanager
def locked(environment: LocalEnvironment, *, action: str) -> Iterator[None]:
    """Holds the environment for one run.

    The operating system frees the lock when its holder ends, however it ends.

    Raises:
        LocalError: another run holds it, or its directory cannot be written.
    """
    with plainly(environment.root):
        environment.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = environment.lock_file.open("a+")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalError(
                f"Environment {environment.name!r} is in use by {_holder(environment)}. "
                "Wait for it to end, or stop it, then try again."
            ) from None
        file.seek(0)
        file.truncate()
        json.dump({"pid": os.getpid(), "action": action, "since": time.time()}, file)
        file.flush()
        yield


def _holder(environment: LocalEnvironment) -> str:
    try:
        holder = json.loads(environment.lock_file.read_text())
        seconds = max(0, int(time.time() - holder["since"]))
        return f"`{holder['action']}` (process {holder['pid']}, for {seconds} s)"
    except (OSError, ValueError, KeyError):
        return f"another run (see {environment.lock_file})"


def command_line() -> str:
    """How this process was called, for the holder's name; nothing of it can be a secret of ours."""
    return " ".join(["agent-infra", *sys.argv[1:3]])

"""Processes that a supervisor runs, ends with itself, and asks whether they are ready."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path

from agent_infra.local.services.process import mark, rotate


async def spawn(
    command: Sequence[str],
    variables: Mapping[str, str],
    log: Path,
    *,
    directory: Path = Path("/"),
    at_death: str = "TERM",
    umask: int = -1,
) -> asyncio.subprocess.Process:
    """Starts a process that ends with this one, its output going to the end of a log.

    Args:
        at_death: the signal that it gets when this process is killed.
        umask: its own; -1 for this process's.
    """
    setpriv = shutil.which("setpriv")
    # Without setpriv a killed supervisor leaves it behind, for the next one to find and end.
    bound = [setpriv, "--pdeathsig", at_death, "--"] if setpriv else []
    rotate(log)
    with log.open("a") as output:
        mark(output)
        return await asyncio.create_subprocess_exec(
            *bound,
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(variables),
            cwd=directory,
            umask=umask,
        )


async def answers(
    port: int, path: str | None, *, seconds: float, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> bool:
    """Whether a path answers below HTTP status 400 in time; with no path, whether a connection is taken."""
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(host, port, ssl=tls)
            try:
                if path is None:
                    return True
                request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                writer.write(request.encode())
                await writer.drain()
                first = (await reader.readline()).split()
                return len(first) > 1 and first[1].isdigit() and int(first[1]) < 400
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return False

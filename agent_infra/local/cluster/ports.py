"""Ports of loopback that are held for one cluster as long as it runs."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping

from agent_infra.local.cluster.plan import HOST


class Ports:
    """Holds ports without listening on them, so that no other program is given one while a part is down.

    The parts can listen on them all the same: Go's listeners, as these sockets, allow an address to be reused
    as long as nobody else listens.
    """

    def __init__(self, names: Iterable[str], earlier: Mapping[str, int]) -> None:
        self._held: dict[str, socket.socket] = {}
        for name in names:
            self._held[name] = _bound(earlier.get(name, 0))

    @property
    def numbers(self) -> dict[str, int]:
        return {name: held.getsockname()[1] for name, held in self._held.items()}

    def close(self) -> None:
        for held in self._held.values():
            held.close()


def _bound(wanted: int) -> socket.socket:
    """A socket on the wanted port, if it is free, else on another one."""
    for port in (wanted, 0):
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind((HOST, port))
        except OSError:  # another program has it
            held.close()
            continue
        if port == 0 or not _answered(port):
            return held
        held.close()
    raise OSError("no port of loopback is free")


def _answered(port: int) -> bool:
    """Whether somebody listens already."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0

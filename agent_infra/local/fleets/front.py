"""Where the Services of an environment answer on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent_infra.local.fleets.manifests import Object
from agent_infra.local.fleets.proxy import Proxy
from agent_infra.local.fleets.status import FleetsStatus, ServiceAddress

#: A Service may ask for its port on this machine by this annotation.
PORT_ANNOTATION = "agent-infra.dev/local-port"
_DEFAULT_PORT = 8080


class Front:
    """One proxy for each Service; its port stays the same from one start to the next."""

    def __init__(self, before: FleetsStatus, ready_ports: Callable[[str], list[int]]) -> None:
        """`ready_ports` are those of the processes that a Service, by its name, leads to now."""
        self._ready_ports = ready_ports
        self._proxies: dict[str, Proxy] = {}
        self._ports = {name: service.port for name, service in before.services.items()}

    async def listen(self, services: Mapping[str, Object]) -> None:
        """Listens for these Services and no others."""
        for name in self._proxies.keys() - services.keys():
            await self._proxies.pop(name).end()
        for name, service in services.items():
            if name not in self._proxies:
                proxy = Proxy(lambda name=name: self._ready_ports(name))  # type: ignore[misc] # bound early
                await proxy.start(self._ports.get(name) or _wanted_port(service))
                self._proxies[name] = proxy
                self._ports[name] = proxy.port

    async def end(self) -> None:
        for proxy in self._proxies.values():
            await proxy.end()

    @property
    def addresses(self) -> dict[str, ServiceAddress]:
        return {
            name: ServiceAddress(f"http://127.0.0.1:{proxy.port}", proxy.port)
            for name, proxy in sorted(self._proxies.items())
        }

    @property
    def kept(self) -> dict[str, ServiceAddress]:
        """What is remembered while nobody listens."""
        return {name: ServiceAddress("", port) for name, port in self._ports.items()}


def _wanted_port(service: Object) -> int:
    said = (service["metadata"].get("annotations") or {}).get(PORT_ANNOTATION, "")
    return int(said) if said.isdigit() else _DEFAULT_PORT

"""What simulated pods answer for /metrics: kwok forwards their port to a small server of the test's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from tests.cluster.api import Labels, Namespace, Refused
from tests.cluster.serving import Answer, served

_VERSION = "kwok.x-k8s.io/v1alpha1"
_REQUESTS_A_LOOK = 50


@dataclass
class Pages:
    """Two pages of metrics; a look at one finds fifty more requests each time, some of them failed."""

    looks: dict[str, int] = field(default_factory=lambda: {"stable": 0, "canary": 0})
    canary_error_rate: float = 0.0

    def new_canary(self, *, error_rate: float) -> None:
        """From now on a canary's pods are new ones, which have counted nothing yet."""
        self.canary_error_rate = error_rate
        self.looks["canary"] = 0

    def page(self, track: str) -> bytes:
        self.looks[track] += 1
        asked = self.looks[track] * _REQUESTS_A_LOOK
        failed = round(asked * self.canary_error_rate) if track == "canary" else 0
        labels = 'route="/v1/chat",method="POST"'
        lines = [
            "# TYPE agent_app_http_requests counter",
            f'agent_app_http_requests_total{{{labels},status="200"}} {asked - failed}',
            f'agent_app_http_requests_total{{{labels},status="500"}} {failed}',
        ]
        return "\n".join([*lines, ""]).encode()


@contextmanager
def serving(namespace: Namespace, labels: Labels, *, port: int = 8000) -> Iterator[Pages]:
    """Gives each pod with these labels the page of its track, while the block runs."""
    pages = Pages()

    def page_of(track: str) -> Answer:
        return lambda path, body: ("text/plain; version=0.0.4", pages.page(track))

    over = threading.Event()

    def forward() -> None:
        known: set[str] = set()
        while not over.wait(0.2):
            for pod in namespace.pods(labels):
                name = pod["metadata"]["name"]
                if name in known:
                    continue
                track = pod["metadata"]["labels"].get("agent-infra/track", "stable")
                target = {"address": "127.0.0.1", "port": ports[track]}
                made = {
                    "apiVersion": _VERSION,
                    "kind": "PortForward",
                    "metadata": {"name": name, "namespace": namespace.name},
                    "spec": {"forwards": [{"ports": [port], "target": target}]},
                }
                try:
                    namespace.api.apply(made)
                except Refused:
                    continue
                known.add(name)

    with ExitStack() as servers, ThreadPoolExecutor(1) as pool:
        ports = {track: servers.enter_context(served(page_of(track))) for track in pages.looks}
        forwarding = pool.submit(forward)
        try:
            yield pages
        finally:
            over.set()
        forwarding.result()

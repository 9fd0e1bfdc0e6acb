"""What simulated pods answer for /metrics: kwok forwards their port to a small server of the test's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.cluster.api import Labels, Namespace, Refused

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

    def handler(track: str) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = pages.page(track)
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    servers = {track: ThreadingHTTPServer(("127.0.0.1", 0), handler(track)) for track in pages.looks}
    over = threading.Event()

    def forward() -> None:
        known: set[str] = set()
        while not over.wait(0.2):
            for pod in namespace.pods(labels):
                name = pod["metadata"]["name"]
                if name in known:
                    continue
                track = pod["metadata"]["labels"].get("agent-infra/track", "stable")
                target = {"address": "127.0.0.1", "port": servers[track].server_port}
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

    threads = [threading.Thread(target=server.serve_forever, args=(0.1,)) for server in servers.values()]
    threads.append(threading.Thread(target=forward))
    for thread in threads:
        thread.start()
    try:
        yield pages
    finally:
        over.set()
        for server in servers.values():
            server.shutdown()
            server.server_close()
        for thread in threads:
            thread.join()

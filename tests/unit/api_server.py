"""A small API server on loopback: objects by path, server-side apply, lists and watches."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml

TOKEN = "a-token"


class ApiServer(ThreadingHTTPServer):
    """Keeps objects by path, and every request that changes something."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, str, dict[str, str], str, Any]] = []
        self.served = {
            "/api/v1": [
                ("configmaps", "ConfigMap", True),
                ("secrets", "Secret", True),
                ("pods", "Pod", True),
                ("events", "Event", True),
            ],
            "/apis/apps/v1": [
                ("deployments", "Deployment", True),
                ("deployments/scale", "Scale", True),
                ("replicasets", "ReplicaSet", True),
            ],
            "/apis/batch/v1": [("jobs", "Job", True)],
            "/apis/networking.k8s.io/v1": [("ingresses", "Ingress", True)],
        }
        #: Answers that are given before anything else to what changes something: status and message.
        self.refusals: list[tuple[int, str]] = []
        self.warnings: list[str] = []
        self.keeps_deleted = False
        self.closing = threading.Event()
        #: Set once somebody watches.
        self.watched = threading.Event()
        self.log: list[tuple[int, str, dict[str, Any]]] = []
        self._version = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def version(self) -> str:
        self._version += 1
        return str(self._version)

    def put(self, path: str, object: dict[str, Any], what: str = "MODIFIED") -> dict[str, Any]:
        """As a controller would, under the eyes of whoever watches."""
        object = {**object, "metadata": {**object["metadata"], "resourceVersion": self.version()}}
        if what == "DELETED":
            self.objects.pop(path, None)
        else:
            self.objects[path] = object
        event = {"type": what, "object": object}
        self.log.append((self._version, path.rpartition("/")[0], event))
        return object

    def of(self, method: str) -> list[tuple[str, str, dict[str, str], str, Any]]:
        return [call for call in self.calls if call[0] == method]


class _Handler(BaseHTTPRequestHandler):
    server: ApiServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for warning in self.server.warnings:
            self.send_header("Warning", f'299 - "{warning}"')
        self.end_headers()
        self.wfile.write(data)

    def _refuse(self, status: int, message: str) -> None:
        self._answer(status, {"kind": "Status", "code": status, "message": message})

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._refuse(401, "Unauthorized")
        if url.path in self.server.served:
            resources = [
                {"name": name, "kind": kind, "namespaced": scoped}
                for name, kind, scoped in self.server.served[url.path]
            ]
            return self._answer(200, {"kind": "APIResourceList", "resources": resources})
        content = self.headers.get("Content-Type", "")
        plurals = {name for served in self.server.served.values() for name, _, _ in served}
        collection = url.path.rpartition("/")[2] in plurals
        if self.command == "GET" and collection:
            if query.get("watch"):
                return self._watch(url.path, int(query["resourceVersion"]))
            return self._list(url.path, query)
        self.server.calls.append((self.command, url.path, query, content, body))
        if self.server.refusals and self.command != "GET":
            return self._refuse(*self.server.refusals.pop(0))
        if self.command == "POST":
            path = f"{url.path}/{body['metadata']['name']}"
            if path in self.server.objects:
                return self._refuse(409, f'"{body["metadata"]["name"]}" already exists')
            return self._made(path, query, body)
        return self._object(url.path, query, content, body)

    def _made(self, path: str, query: dict[str, str], body: Any) -> None:
        was = self.server.objects.get(path, {})
        uid = was.get("metadata", {}).get("uid", f"uid-{self.server.version()}")
        made = {"status": was.get("status", {"seen": True}), **body}
        managers = [{"manager": query["fieldManager"], "operation": "Update", "fieldsV1": {"f:data": {}}}]
        made["metadata"] = {**body["metadata"], "uid": uid, "managedFields": managers}
        if "stringData" in made:
            made["data"] = {"key": "dmFsdWU="}
            del made["stringData"]
        if query.get("dryRun") != "All":
            made = self.server.put(path, made)
        self._answer(200, made)

    def _object(self, path: str, query: dict[str, str], content: str, body: Any) -> None:
        objects = self.server.objects
        if self.command == "PATCH" and "json-patch" in content:
            for operation in body:
                objects[path]["metadata"][operation["path"].rpartition("/")[2]] = operation["value"]
            return self._answer(200, objects[path])
        if self.command == "PATCH":
            return self._made(path, query, body)
        if path not in objects:
            return self._refuse(404, f'"{path.rsplit("/", 1)[-1]}" not found')
        if self.command == "DELETE" and not self.server.keeps_deleted:
            found = objects[path]
            self.server.put(path, found, "DELETED")
            return self._answer(200, found)
        return self._answer(200, objects[path])

    def _list(self, path: str, query: dict[str, str]) -> None:
        name = query.get("fieldSelector", "").partition("metadata.name=")[2]
        items = [
            found
            for where, found in self.server.objects.items()
            if where.rpartition("/")[0] == path and name in ("", found["metadata"]["name"])
        ]
        self._answer(200, {"items": items, "metadata": {"resourceVersion": self.server.version()}})

    def _watch(self, path: str, since: int) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.server.watched.set()
        while not self.server.closing.wait(0.01):
            for version, collection, event in list(self.server.log):
                if version > since and collection == path:
                    line = json.dumps(event).encode() + b"\n"
                    since = version
                    try:
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                    except OSError:
                        return  # nobody watches any more
        self.close_connection = True

    do_GET = do_PATCH = do_POST = do_DELETE = _handle  # noqa: N815 (the names are http.server's)


@contextmanager
def running(kubeconfig: Path) -> Iterator[ApiServer]:
    """One that `kubeconfig` leads to."""
    with ApiServer() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
            "clusters": [{"name": "here", "cluster": {"server": made.url}}],
            "users": [{"name": "me", "user": {"token": TOKEN}}],
        }
        kubeconfig.write_text(yaml.safe_dump(content))
        yield made
        made.closing.set()
        made.shutdown()
        thread.join()

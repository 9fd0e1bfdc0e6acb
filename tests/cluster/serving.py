"""Small HTTP servers of a test's own, on loopback."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: Given the path and the body of a request; gives the content type and the body of the answer.
Answer = Callable[[str, bytes], tuple[str, bytes]]


@contextmanager
def served(answer: Answer, **headers: str) -> Iterator[int]:
    """Answers every request with 200 while the block runs; yields the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.rfile.read(int(self.headers.get("content-length") or 0))
            content, body = answer(self.path, asked)
            self.send_response(200)
            for name, value in {"content-type": content, **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the library's name

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.1,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

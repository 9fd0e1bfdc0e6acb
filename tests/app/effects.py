"""Where the tests' agents have their effects: it records every one that it is asked for, with its key.

`python -m tests.app.effects --port N` serves it. `POST /effects/<key>` has the effect once for each key, as a
provider of payments would, and gives its number; `GET /effects` tells how often each key was asked for.
"""

from __future__ import annotations

from collections import Counter

from aiohttp import web

from tests.app import serving
from tests.app.serving import json_response

PREFIX = "/effects"


class Effects:
    """It never fails: what goes wrong is on the way to it."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._asked: Counter[str] = Counter()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        key = request.path.removeprefix(PREFIX).strip("/")
        if request.method == "POST" and key:
            self._asked[key] += 1
            return json_response({"number": self._numbers.setdefault(key, len(self._numbers) + 1)})
        return json_response(dict(self._asked))


def main() -> None:
    serving.serve(Effects().handle, serving.arguments(__doc__).parse_args().port)


if __name__ == "__main__":
    main()

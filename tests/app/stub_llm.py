"""A stub of a provider of language models: speaks as OpenAI and Anthropic do, and fails when told to.

`python -m tests.app.stub_llm --port N` serves it and prints its port; `StubLlm().running()` does so within a
loop. It serves `/v1/chat/completions` and `/v1/messages`, whole and streamed, with tools and structured
output, and `/v1/embeddings`. What it answers is a function of the request: see `stub_answers.answer`.

- `GET /__calls?window=60&records=1`: what it was asked (see `stub_calls`); `DELETE` forgets it.
- `POST /__faults` `{"rules": [...]}`: what goes wrong (see `faults.Rule`); `match` is part of a model's name.
- `POST /__scripts` `{"scripts": [...]}`: what to answer instead (see `stub_answers.Script`).
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

from aiohttp import web
from pydantic import TypeAdapter

from tests.app import serving, stub_answers
from tests.app.faults import Faults, Rule
from tests.app.serving import json_response
from tests.app.stub_answers import Answer, Script
from tests.app.stub_asked import Asked, from_anthropic, from_openai
from tests.app.stub_calls import Call, Calls

CHAT, MESSAGES, EMBEDDINGS = "/v1/chat/completions", "/v1/messages", "/v1/embeddings"
_SCRIPTS = TypeAdapter(list[Script])
_FOREVER = 3600.0
_DIMENSIONS = 1536

KINDS = frozenset({"status", "hang", "cut", "end", "stall", "garbage", "empty", "slow"})
"""What can go wrong; all but `status` and `hang` are charged.

- status: answers at once with `status` and, with `retry_after`, that header
- hang: says nothing for `seconds` (an hour by default), then closes the connection
- cut: closes the connection after the share `after` of the answer
- end: ends there a stream as if it were whole, as a proxy may
- stall: falls silent there for `seconds`, then closes it
- garbage: 200 and what is no JSON
- empty: 200 without choices or content
- slow: answers `seconds` later than it would
"""


class StubLlm:
    """The provider.

    Args:
        delay: seconds before each answer, or before the first event of a stream.
        piece_delay: seconds between the events of a stream.
        tools_first: calls the tools of a request once before it answers.
        seed: for faults that come with a probability.
    """

    def __init__(
        self, *, delay: float = 0.05, piece_delay: float = 0, tools_first: bool = False, seed: int = 0
    ) -> None:
        self.delay = delay
        self.piece_delay = piece_delay
        self.tools_first = tools_first
        self.faults = Faults(KINDS, seed)
        self.calls = Calls()
        self.scripts: list[Script] = []
        self._ids = itertools.count(1)

    def running(self, port: int = 0) -> AbstractAsyncContextManager[str]:
        """Serves while the block lasts; gives the URL, to which a client's base URL may need `/v1` added."""
        return serving.serving(self.handle, port)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if path in {CHAT, MESSAGES, EMBEDDINGS}:
            return await self._call(request, path)
        if path == "/__faults":
            return await serving.change_faults(request, self.faults)
        if path == "/__scripts":
            return await self._script(request)
        if path == "/__calls":
            if request.method == "DELETE":
                self.calls.reset()
            window, records = float(request.query.get("window", 60)), request.query.get("records", "1") != "0"
            return json_response(self.calls.summary(window, records=records))
        return json_response({"error": {"message": f"no such path: {path}", "type": "not_found_error"}}, 404)

    async def _script(self, request: web.BaseRequest) -> web.Response:
        try:
            self.scripts = _SCRIPTS.validate_python(json.loads(await request.content.read())["scripts"])
        except (ValueError, KeyError, TypeError) as error:
            return json_response({"error": f"the scripts cannot be used: {error!r}"}, 422)
        return json_response({"scripts": len(self.scripts)})

    async def _call(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        try:
            body = json.loads(await request.content.read())
            asked = _READERS[path](body)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return _refusal(path, 400, f"the request cannot be read: {error!r}")
        call = self.calls.begin(path, asked.model, asked.texts, asked.said, request.headers)
        try:
            return await self._answer(request, path, body, asked, call)
        finally:
            self.calls.end(call)

    async def _answer(
        self, request: web.BaseRequest, path: str, body: dict[str, Any], asked: Asked, call: Call
    ) -> web.StreamResponse:
        rule = self.faults.pick(asked.model) if self.faults.rules else None
        kind = rule.kind if rule else None
        call.fault = kind
        if rule and kind == "status":
            call.status = rule.status
            return _refusal(path, rule.status, "on purpose", rule.retry_after)
        if rule and kind == "hang":
            await asyncio.sleep(_FOREVER if rule.seconds is None else rule.seconds)
            return serving.hang_up(request)
        await asyncio.sleep(self.delay + ((rule.seconds or 0) if rule and kind == "slow" else 0))
        call.status = 0 if rule and kind in {"cut", "stall"} and rule.after == 0 else 200
        call.input_tokens = asked.input_tokens
        if kind == "garbage":
            return _garbage(asked)
        if path == EMBEDDINGS:
            size, encoding = body.get("dimensions") or _DIMENSIONS, body.get("encoding_format", "float")
            whole = stub_answers.embeddings_body(asked.model, asked.texts, size, encoding)
            if kind == "empty":
                whole["data"] = []
            return await _whole(request, json_response(whole), rule)
        try:
            given = stub_answers.answer(asked, self.scripts, tools_first=self.tools_first)
        except ValueError as error:
            call.status, call.input_tokens = 400, 0
            return _refusal(path, 400, f"the schema asked for cannot be met: {error}")
        call.output_tokens = given.output_tokens
        id, is_empty = f"stub{next(self._ids)}", kind == "empty"
        if asked.stream:
            return await self._stream(request, _events(path, body, asked, given, id, is_empty=is_empty), rule)
        form = stub_answers.openai_body if path == CHAT else stub_answers.anthropic_body
        return await _whole(request, json_response(form(asked, given, id, is_empty=is_empty)), rule)

    async def _stream(
        self, request: web.BaseRequest, events: Iterator[bytes], rule: Rule | None
    ) -> web.StreamResponse:
        breaks = rule is not None and rule.kind in {"cut", "stall"}
        if rule is not None and (breaks or rule.kind == "end"):
            if rule.after == 0:
                return await _break_off(request, rule)
            whole = list(events)
            events = iter(whole[: max(1, min(int(len(whole) * rule.after), len(whole) - 1))])
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        if self.piece_delay == 0:
            await response.write(b"".join(events))
        else:
            for event in events:
                await response.write(event)
                await asyncio.sleep(self.piece_delay)
        if rule is not None and breaks:
            return await _break_off(request, rule)
        await response.write_eof()
        return response


def _embedding(body: dict[str, Any]) -> Asked:
    texts = [body["input"]] if isinstance(body["input"], str) else list(map(str, body["input"]))
    return Asked(model=body["model"], texts=texts, said=texts[-1])


_READERS = {CHAT: from_openai, MESSAGES: from_anthropic, EMBEDDINGS: _embedding}


def _events(
    path: str, body: dict[str, Any], asked: Asked, given: Answer, id: str, *, is_empty: bool
) -> Iterator[bytes]:
    if path == MESSAGES:
        return stub_answers.anthropic_events(asked, given, id, is_empty=is_empty)
    has_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    return stub_answers.openai_events(asked, given, id, has_usage=has_usage, is_empty=is_empty)


async def _whole(request: web.BaseRequest, response: web.Response, rule: Rule | None) -> web.StreamResponse:
    if rule is None or rule.kind not in {"cut", "stall"}:
        return response
    await serving.send_part(request, response, rule.after)
    return await _break_off(request, rule)


async def _break_off(request: web.BaseRequest, rule: Rule) -> web.StreamResponse:
    if rule.kind == "stall":
        await asyncio.sleep(_FOREVER if rule.seconds is None else rule.seconds)
    return serving.hang_up(request)


def _garbage(asked: Asked) -> web.Response:
    if asked.stream:
        return web.Response(body=b'data: {"id": "x", <html>\n\n', content_type="text/event-stream")
    return web.Response(body=b'{"id": "x", <html>', content_type="application/json")


_TYPES = {400: "invalid_request_error", 401: "authentication_error", 429: "rate_limit_error"}


def _refusal(path: str, status: int, why: str, retry_after: float | None = None) -> web.Response:
    error = {"message": why, "type": _TYPES.get(status, "overloaded_error" if status == 529 else "api_error")}
    headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
    if path == MESSAGES:
        return json_response({"type": "error", "error": error}, status, headers)
    return json_response({"error": {**error, "param": None, "code": None}}, status, headers)


def main() -> None:
    parser = serving.arguments(__doc__)
    parser.add_argument("--delay", type=float, default=0.05, help="seconds before each answer")
    parser.add_argument("--piece-delay", type=float, default=0, help="seconds between the events of a stream")
    parser.add_argument("--tools-first", action="store_true", help="call all tools once before answering")
    options = parser.parse_args()
    stub = StubLlm(
        delay=options.delay,
        piece_delay=options.piece_delay,
        tools_first=options.tools_first,
        seed=options.seed,
    )
    serving.serve(stub.handle, options.port)


if __name__ == "__main__":
    main()

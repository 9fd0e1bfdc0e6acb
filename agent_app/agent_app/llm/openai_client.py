"""OpenAI's SDK without what costs the most of a call.

Measured, CPU of one chat completion through pydantic-ai: 1.85 ms by the SDK as it comes, 0.75 ms by this.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import aiohttp
import httpx2
from openai import (
    APIConnectionError,
    APITimeoutError,
    AsyncOpenAI,
    AsyncStream,
    DefaultAioHttpClient,
    NotGiven,
    Omit,
)
from openai.resources.chat import AsyncChat
from openai.resources.chat.completions import AsyncCompletions
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import TypeAdapter
from pydantic_core import to_json

_OBJECT = TypeAdapter(dict[str, Any])
_PATH = "/chat/completions"

#: What is of the request and not of its body, by the names of `create` and of the SDK's options.
_OPTIONS = {
    "extra_headers": "headers",
    "extra_query": "params",
    "extra_body": "extra_json",
    "timeout": "timeout",
}


def openai_client(key: str | None, base_url: str | None) -> AsyncOpenAI:
    """A client that tries nothing again; proxies and authorities are those of the environment."""
    return _Client(api_key=key, base_url=base_url, max_retries=0, http_client=DefaultAioHttpClient())


class _Client(AsyncOpenAI):
    @cached_property
    def chat(self) -> AsyncChat:
        return _Chat(self)


class _Chat(AsyncChat):
    @cached_property
    def completions(self) -> AsyncCompletions:
        return _Completions(self._client)


class _Completions(AsyncCompletions):
    async def create(  # type: ignore[override]  # the SDK's names every argument, three times over
        self, *, stream: bool = False, **asked: Any
    ) -> ChatCompletion | AsyncStream[ChatCompletionChunk]:
        """Sends what it is given: the SDK first walks through all of it, looking for names to translate.

        What pydantic-ai gives is JSON as the API takes it.
        """
        given = {name: value for name, value in asked.items() if not isinstance(value, (Omit, NotGiven))}
        known = {name: given.pop(key, None) for key, name in _OPTIONS.items()}
        options: Any = {name: value for name, value in known.items() if value is not None}
        body = {**given, "stream": stream}
        if not stream and options.keys() <= {"headers", "timeout"}:
            return await self._whole(body, options)
        answer: ChatCompletion | AsyncStream[ChatCompletionChunk] = await self._client.post(
            _PATH,
            body=body,
            options=options,
            cast_to=ChatCompletion,
            stream=stream,
            stream_cls=AsyncStream[ChatCompletionChunk],
        )
        return answer

    async def _whole(self, body: dict[str, Any], options: Mapping[str, Any]) -> ChatCompletion:
        """One answer, without the SDK's copies for tries that there are none of; its errors are the SDK's."""
        client, http = self._client, self._client._client
        bearer = {"Authorization": f"Bearer {client.api_key}"}
        headers = {**bearer, **client.default_headers, **options.get("headers", {})}
        request = http.build_request(
            "POST",
            str(client.base_url).rstrip("/") + _PATH,
            content=to_json(body),
            headers={name: value for name, value in headers.items() if isinstance(value, str)},
            timeout=options.get("timeout", client.timeout),
        )
        try:
            response = await http.send(request)
        except httpx2.TimeoutException as error:
            raise APITimeoutError(request) from error
        except (httpx2.HTTPError, aiohttp.ClientError) as error:
            raise APIConnectionError(request=request) from error
        if not response.is_success:
            raise client._make_status_error_from_response(response)
        return ChatCompletion.construct(**_OBJECT.validate_json(response.content))

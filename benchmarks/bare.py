"""Two routes that call a model and do nothing else: what a chat costs without the service."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI, Request, Response
from openai import AsyncOpenAI
from pydantic import BaseModel

_MODEL = "gpt-5-mini"
_VENDOR = os.environ.get("VENDOR", "http://127.0.0.1:1")


class Chat(BaseModel):
    """What a user says."""

    message: str


class Reply(BaseModel):
    """What they are told."""

    reply: str


def _asked(chat: Chat) -> dict[str, Any]:
    return {"model": _MODEL, "messages": [{"role": "user", "content": chat.message}]}


@asynccontextmanager
async def _clients(app: FastAPI) -> AsyncIterator[None]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with (
        httpx.AsyncClient(base_url=_VENDOR, limits=limits, timeout=60) as app.state.http,
        AsyncOpenAI(api_key="sk-bench", base_url=f"{_VENDOR}/v1", max_retries=0) as app.state.openai,
    ):
        yield


with_httpx, with_sdk, traces = FastAPI(lifespan=_clients), FastAPI(lifespan=_clients), FastAPI()


@with_httpx.post("/v1/chat")
async def by_httpx(chat: Chat, request: Request) -> Reply:
    answer = await request.app.state.http.post("/v1/chat/completions", json=_asked(chat))
    answer.raise_for_status()
    return Reply(reply=answer.json()["choices"][0]["message"]["content"])


@with_sdk.post("/v1/chat")
async def by_sdk(chat: Chat, request: Request) -> Reply:
    answer = await request.app.state.openai.chat.completions.create(**_asked(chat))
    return Reply(reply=answer.choices[0].message.content or "")


@traces.post("/v1/traces")
async def taken(request: Request) -> Response:
    """A receiver of OTLP that keeps nothing."""
    await request.body()
    return Response(media_type="application/x-protobuf")

"""How the page is served; what it does is in test_page.py, in a browser."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from importlib import resources

import httpx
import pytest
from agent_app.http import api
from agent_app.settings import Settings

from agent_app import service

_FILES = sorted(file.name for file in (resources.files("agent_app.http") / "static").iterdir())
_UNSAFE = re.compile(r"(?i)https?:|\bstyle=|\son\w+=|innerHTML|outerHTML|insertAdjacentHTML|eval\(")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with service.opened(Settings()) as parts:
        transport = httpx.ASGITransport(api.create(parts))
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as opened:
            yield opened


def _path(name: str) -> str:
    return "/" if name == "index.html" else f"/page/{name}"


@pytest.mark.parametrize("name", _FILES)
async def test_a_file_may_run_what_is_of_this_origin_alone_and_is_sent_once(
    client: httpx.AsyncClient, name: str
) -> None:
    sent = await client.get(_path(name))
    assert sent.status_code == 200
    policy = dict(part.split(" ", 1) for part in sent.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert {policy[f"{kind}-src"] for kind in ("script", "style", "connect", "img")} == {"'self'"}
    assert sent.headers["x-content-type-options"] == "nosniff"
    assert sent.headers["cache-control"] == "no-cache"
    again = await client.get(_path(name), headers={"if-none-match": f'"old", W/{sent.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    changed = await client.get(_path(name), headers={"if-none-match": '"old"'})
    assert (changed.status_code, changed.content) == (200, sent.content)
    assert (await client.head(_path(name))).headers["content-length"] == str(len(sent.content))


async def test_all_that_the_page_names_is_there_and_of_this_origin(client: httpx.AsyncClient) -> None:
    for name in _FILES:
        text = (await client.get(_path(name))).text.replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert not re.search(
            r"(?i)https?:|\bstyle=|\son\w+=|innerHTML|outerHTML|insertAdjacentHTML|eval\(", text
        ), name
        for found in re.findall(r'(?:href|src)="(page/[^"]+)"|from "\./([^"]+)"', text):
            assert f"{found[0] or 'page/' + found[1]}".removeprefix("page/") in _FILES


async def test_the_page_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_APP_PAGE", "false")
    async with service.opened(Settings.load()) as parts:
        transport = httpx.ASGITransport(api.create(parts))
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            assert (await client.get("/")).status_code == 404
            assert (await client.get("/page/main.js")).status_code == 404
            assert (await client.get("/v1/agents")).status_code == 200

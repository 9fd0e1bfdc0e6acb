"""Debian's Chromium, driven by Playwright, before a service that a stub of a provider answers for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from tests.app.processes import tool
from tests.app.stack import App, app

#: Nothing but the page asks for anything.
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
CHROMIUM = "/usr/bin/chromium"
DESKTOP, PHONE = {"width": 1200, "height": 780}, {"width": 360, "height": 700}


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visit:
    """One person's visit: the page, and what it did beyond what is seen."""

    page: Page
    app: App
    errors: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def listen(self) -> None:
        def said(message: ConsoleMessage) -> None:
            if message.type in {"error", "warning"}:
                self.errors.append(f"{message.text} ({message.location.get('url', '')})")

        def requested(request: Request) -> None:
            self.asked.append(request.url)

        self.page.on("console", said)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", requested)

    def go(self, view: str = "chat") -> None:
        self.page.goto(f"{self.app.url}/#/{view}")

    def say(self, text: str) -> None:
        self.page.get_by_label("Message", exact=True).fill(text)
        self.page.get_by_role("button", name="Send").click()

    def foreign(self) -> list[str]:
        """Requests to anywhere but the service."""
        return [url for url in self.asked if not url.startswith(f"{self.app.url}/")]


@contextlib.contextmanager
def visit(
    browser: Browser, app: App, *, size: dict[str, int] | None = None, **options: Any
) -> Iterator[Visit]:
    """A browser without a past, of this size."""
    app.ready()
    context = browser.new_context(viewport=size or DESKTOP, **options)  # type: ignore[arg-type]
    context.set_default_timeout(20_000)
    visit = Visit(context.new_page(), app)
    visit.listen()
    try:
        yield visit
    finally:
        context.close()


@dataclass
class Stub:
    """The stub of a provider, as a process."""

    url: str

    def script(self, *scripts: dict[str, Any]) -> None:
        httpx.post(f"{self.url}/__scripts", json={"scripts": scripts}).raise_for_status()

    def fail(self, *rules: dict[str, Any]) -> None:
        httpx.post(f"{self.url}/__faults", json={"rules": rules}).raise_for_status()

    def reset(self) -> None:
        self.script()
        self.fail()


@contextlib.contextmanager
def stub(directory: Path) -> Iterator[Stub]:
    """A provider whose answers come in pieces that a person sees coming."""
    with tool("stub_llm", directory, "--delay", "0", "--piece-delay", "0.05") as url:
        yield Stub(url)


@contextlib.contextmanager
def talking(directory: Path, stub: Stub, **variables: str) -> Iterator[App]:
    """A service that answers by the stub; it keeps everything in its memory."""
    settings = {
        "AGENT_APP_FLEET": "support",
        "AGENT_APP_MODEL": "openai:gpt-5-mini",
        "AGENT_APP_MODEL_ATTEMPTS": "1",
        "AGENT_APP_BREAKER_FAILURES": "1000",  # one test's failures are not the next one's
        "AGENT_APP_RETRY_SECONDS": "0",
        "OPENAI_API_KEY": "sk-stub",
        "OPENAI_BASE_URL": f"{stub.url}/v1",
    }
    with app(directory, "serve", {**settings, **variables}) as running:
        yield running

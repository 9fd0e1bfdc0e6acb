"""Makes the pictures of the page: `.venv/bin/python -m tests.app.screenshots` those that the docs show.

With a directory it makes more of them, there: to look at what a change of the page does.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.app import browser
from tests.app.browser import DESKTOP, PHONE, Stub, Visit
from tests.app.stack import App

_DOCS = Path(__file__).parents[2] / "docs" / "images"
_SHOWN = {"agent-service-chat.png", "agent-service-tasks.png"}
_ANSWERS = {
    "What is a heron?": "A heron is a long-legged, long-necked bird of shallow water. It stands still until "
    "a fish comes near, then strikes.\n\nThere are about 70 species; the grey heron is the one you meet "
    "along European rivers.",
    "How tall does it get?": "The grey heron stands up to a metre tall, with wings of about 1.9 m.\n\nThe "
    "largest of all is Africa's goliath heron: up to 1.5 m.",
    "Which ferry goes to Texel?": "The one from Den Helder, every hour.",
    "Plan a week in Rome": "Gladly. When do you travel?",
}


def main() -> None:
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else _DOCS
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, browser.chromium() as chromium:
        scratch = Path(temporary)
        with browser.stub(scratch) as stub, browser.talking(scratch, stub) as app:
            stub.script(*({"says": says, "text": text} for says, text in _ANSWERS.items()))
            _talk(chromium, app, directory)
            _tasks(chromium, app, stub, directory)


def _shoot(visit: Visit, path: Path) -> None:
    if path.parent == _DOCS and path.name not in _SHOWN:
        return
    visit.page.wait_for_timeout(300)  # transitions and fonts
    visit.page.screenshot(path=path, animations="disabled")


def _talk(chromium: Browser, app: App, directory: Path) -> None:
    first, second, *others = _ANSWERS
    for other in others:
        app.say(other)
    with browser.visit(chromium, app, size=DESKTOP) as visit:
        visit.go()
        _shoot(visit, directory / "agent-service-start.png")
        for count, text in enumerate((first, second), 1):
            visit.say(text)
            expect(visit.page.locator(".assistant .hint")).to_have_count(count)
        _shoot(visit, directory / "agent-service-chat.png")
        address = visit.page.url
    for name, size, scheme in (("phone", PHONE, "light"), ("dark", DESKTOP, "dark")):
        with browser.visit(chromium, app, size=size, color_scheme=scheme) as visit:
            visit.page.goto(address)
            expect(visit.page.locator(".assistant")).to_have_count(2)
            _shoot(visit, directory / f"agent-service-chat-{name}.png")


def _tasks(chromium: Browser, app: App, stub: Stub, directory: Path) -> None:
    done = app.submit({"input": "What is a heron?"})
    app.task_becomes(done, "succeeded")
    stub.fail({"kind": "status", "status": 500})
    failed = app.submit({"agent": "summariser", "input": {"text": "Water is wet."}})
    app.task_becomes(failed, "failed")
    stub.fail()
    waiting = app.submit({"agent": "wait", "input": {"seconds": 600}})
    app.task_becomes(waiting, "running")
    for name, size, scheme in (("tasks", DESKTOP, "light"), ("tasks-phone", PHONE, "dark")):
        with browser.visit(chromium, app, size=size, color_scheme=scheme) as visit:
            visit.go("tasks")
            visit.page.locator(f"[data-task='{done}'] summary").click()
            expect(visit.page.locator(f"[data-task='{done}'] pre")).to_contain_text("long-legged")
            visit.page.locator(".tasks").evaluate("list => list.scrollTo(0, 0)")
            _shoot(visit, directory / f"agent-service-{name}.png")
    app.post(f"/v1/tasks/{waiting}/cancel", None)


if __name__ == "__main__":
    main()

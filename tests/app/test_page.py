"""The page, as a person uses it in a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.app import browser
from tests.app.browser import PHONE, Stub, Visit
from tests.app.stack import App, Stack

pytestmark = [pytest.mark.web, pytest.mark.xdist_group("web")]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser.chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def shared_stub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stub]:
    with browser.stub(tmp_path_factory.mktemp("stub")) as running:
        yield running


@pytest.fixture
def stub(shared_stub: Stub) -> Stub:
    shared_stub.reset()
    return shared_stub


@pytest.fixture(scope="module")
def app(shared_stub: Stub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with browser.talking(tmp_path_factory.mktemp("app"), shared_stub) as running:
        yield running


@pytest.fixture
def visit(chromium: Browser, app: App, stub: Stub) -> Iterator[Visit]:
    """Whatever a test does, nothing is asked of anybody else and the console stays clean."""
    with browser.visit(chromium, app) as visit:
        yield visit
        assert visit.foreign() == []
        assert visit.errors == []


def _answer(page: Page, place: int = -1) -> str:
    expect(page.locator(".busy")).to_have_count(0)
    return page.locator(".assistant .text").nth(place).inner_text()


def _submit(page: Page, agent: str, input: object) -> None:
    page.get_by_label("Agent").locator("visible=true").select_option(agent)
    if not isinstance(input, str):
        page.get_by_label("JSON").check()
    page.get_by_label("The task's input").fill(input if isinstance(input, str) else json.dumps(input))
    page.get_by_role("button", name="Submit task").click()


def _submitted(page: Page, agent: str, input: object) -> Locator:
    """The task in the list."""
    with page.expect_response(lambda answer: answer.request.method == "POST") as taken:
        _submit(page, agent, input)
    return page.locator(f"[data-task='{taken.value.json()['task_id']}']")


def test_an_answer_is_seen_as_it_comes_and_the_next_one_knows_what_was_said(visit: Visit, stub: Stub) -> None:
    stub.script({"says": "heron", "text": "A heron is a bird that stands still. " * 20})
    page = visit.page
    visit.go()
    visit.say("What is a heron?")
    answer = page.locator(".busy .text")
    expect(answer).to_contain_text("A heron is a bird")
    assert len(answer.inner_text()) < 700, "the answer came whole"
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    assert _answer(page).count("stands still") == 20
    expect(page.locator(".assistant .hint")).to_contain_text("assistant · gpt-5-mini")
    expect(page).to_have_url(re.compile(r"#/chat/\w+"))
    visit.say("And its nest?")
    expect(page.locator(".assistant .hint")).to_have_count(2)
    second = page.locator(".assistant .hint").nth(1).inner_text()
    tokens = re.search(r"(\d+) tokens in", second)
    assert tokens is not None
    assert int(tokens[1]) > 150, "the model was not told of the first turn"
    expect(page.get_by_role("status")).to_have_text("And its nest?")  # what the stub says back, read out


def test_a_conversation_is_opened_again_and_deleted(visit: Visit) -> None:
    page = visit.page
    visit.go()
    visit.say("Remember the milk")
    assert _answer(page) == "Remember the milk"
    address = page.url
    page.get_by_role("button", name="New conversation").click()
    expect(page.get_by_role("heading", name="What can I do for you?")).to_be_visible()
    page.get_by_role("link", name="Remember the milk").first.click()
    expect(page).to_have_url(address)
    expect(page.locator(".user .text")).to_have_text("Remember the milk")
    expect(page.locator(".sessions a[aria-current]")).to_contain_text("Remember the milk")
    delete = page.locator(".sessions li:has(a[aria-current]) button")
    delete.click()
    expect(page.locator(".user .text")).to_have_count(1)  # the first click only asks
    delete.click()
    expect(page.get_by_role("heading", name="What can I do for you?")).to_be_visible()
    page.goto(address)
    expect(page.get_by_role("alert")).to_contain_text("There is no session")
    # The browser itself notes the 404 that was asked for.
    assert [error for error in visit.errors if "404" not in error] == []
    visit.errors.clear()


def test_an_error_is_told_in_words_and_what_was_said_can_be_said_again(visit: Visit, stub: Stub) -> None:
    stub.fail({"kind": "status", "status": 500, "next": 1})
    page = visit.page
    visit.go()
    visit.say("Hello?")
    expect(page.get_by_role("alert")).to_contain_text("The model gpt-5-mini answered with HTTP status 500.")
    page.get_by_role("button", name="Try again").click()
    assert _answer(page) == "Hello?"
    expect(page.locator(".user")).to_have_count(1)
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_refusal_and_a_service_that_is_away_are_told_in_words(
    visit: Visit, app: App, stub: Stub, tmp_path: Path
) -> None:
    page = visit.page
    visit.go()
    page.get_by_label("Agent").locator("visible=true").select_option("wait")
    visit.say("how long?")
    expect(page.get_by_role("alert")).to_contain_text("for the agent 'wait'")
    page.route("**/v1/chat", lambda route: route.abort())
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_have_text(re.compile("The service cannot be reached"))
    visit.errors.clear()  # the browser's own notes of both


def test_an_answer_that_is_stopped_ends_and_is_not_kept(visit: Visit, stub: Stub) -> None:
    stub.script({"says": "long", "text": "on and on " * 400})
    page = visit.page
    visit.go()
    visit.say("a long story")
    expect(page.locator(".busy .text")).to_contain_text("on and on")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".assistant .hint")).to_contain_text("Stopped")
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    assert page.url.endswith("#/chat")


def test_markup_in_an_answer_stays_text(visit: Visit, stub: Stub) -> None:
    markup = (
        "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script><b>bold</b>"
    )
    stub.script({"text": markup})
    page = visit.page
    visit.go()
    visit.say(markup)
    assert _answer(page) == markup
    page.reload()
    expect(page.locator(".assistant .text")).to_have_text(markup)
    expect(page.locator(".sessions .title").first).to_have_text(markup[:80])
    visit.go("tasks")
    task = _submitted(page, "assistant", markup)
    task.locator("summary").click()
    expect(task.locator("pre")).to_have_text(markup)
    assert page.locator("#said img, #said b, .sessions b, .cards img").count() == 0
    assert "taken" not in page.title()


def test_a_task_is_seen_running_and_is_cancelled(visit: Visit) -> None:
    page = visit.page
    visit.go("tasks")
    task = _submitted(page, "wait", {"seconds": 600})
    expect(task).to_have_attribute("data-state", "running")
    task.get_by_role("button", name="Cancel").click()
    expect(task).to_have_attribute("data-state", "cancelled")
    expect(task.get_by_role("button", name="Cancel")).to_have_count(0)


def test_a_task_ends_and_shows_its_result_and_its_error(visit: Visit, stub: Stub) -> None:
    page = visit.page
    visit.go("tasks")
    task = _submitted(page, "wait", {"seconds": 0.5})
    expect(task).to_have_attribute("data-state", "succeeded")
    task.get_by_text("Result").click()
    expect(task.locator("pre")).to_have_text('{\n  "waited_seconds": 0.5\n}')
    stub.fail({"kind": "status", "status": 500})
    failing = _submitted(page, "summariser", {"text": "Water is wet."})
    expect(failing).to_have_attribute("data-state", "failed")
    expect(failing).to_contain_text("answered with HTTP status 500")
    page.get_by_label("State").select_option("failed")
    expect(page.locator("[data-state=succeeded]")).to_have_count(0)


def test_a_wrong_input_is_told_beside_the_form(visit: Visit) -> None:
    page = visit.page
    visit.go("tasks")
    page.get_by_label("JSON").check()
    page.get_by_label("The task's input").fill("{seconds: 5}")
    page.get_by_role("button", name="Submit task").click()
    expect(page.locator("#task-problem")).to_contain_text("The input is not JSON")
    expect(page.get_by_label("The task's input")).to_be_focused()
    _submit(page, "wait", {"seconds": -1})
    expect(page.locator("#task-problem")).to_contain_text("input/seconds, for the agent 'wait'")
    visit.errors.clear()  # the browser's own note of the 422


def test_all_is_done_by_keyboard(visit: Visit) -> None:
    page = visit.page
    visit.go()
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.keyboard.type("one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    page.keyboard.press("Enter")
    assert _answer(page) == "one\ntwo"
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.goto("about:blank")
    visit.go("tasks")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Chat")).to_have_attribute("aria-current", "page")


@pytest.mark.parametrize("view", ["chat", "tasks"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_in_one_direction_alone(
    chromium: Browser, app: App, stub: Stub, view: str, scheme: str
) -> None:
    stub.script({"text": "x" * 500})
    with browser.visit(chromium, app, size=PHONE, color_scheme=scheme) as visit:
        page = visit.page
        visit.go(view)
        if view == "chat":
            visit.say("y" * 300)
            _answer(page)
            page.get_by_text("Conversations").click()
        else:
            task = _submitted(page, "assistant", "z" * 300)
            task.locator("summary").click()
            expect(task.locator("pre")).to_be_visible()
        for element in ("html", "main", f"#{view}"):
            wide = page.locator(element).evaluate("it => it.scrollWidth - it.clientWidth")
            assert wide <= 0, element
        ground = page.locator("body").evaluate("it => getComputedStyle(it).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", ground))) < 200) == (scheme == "dark")
        assert visit.errors == []


def test_a_key_is_asked_for_and_kept_in_this_tab_alone(
    chromium: Browser, stub: Stub, stores: Stack, tmp_path: Path
) -> None:
    key = "ada-0123456789abcdefghij"
    vault = stores.client("secretsmanager")
    arn = vault.create_secret(Name=tmp_path.name, SecretString=json.dumps({"ada": key}))["ARN"]
    variables = {
        "AWS_ENDPOINT_URL": stores.moto_url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": "eu-central-1",
        "AGENT_APP_API_KEYS_SECRET_ARN": arn,
    }
    with (
        browser.talking(tmp_path, stub, **variables) as app,
        browser.visit(chromium, app) as visit,
    ):
        page = visit.page
        visit.go()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("There is no API key in the request")
        dialog.get_by_label("API key or token").fill("wrong")
        dialog.get_by_role("button", name="Use key").click()
        expect(dialog).to_contain_text("The API key does not hold")
        dialog.get_by_label("API key or token").fill(key)
        page.keyboard.press("Enter")
        expect(dialog).to_be_hidden()
        visit.say("Hello")
        assert _answer(page) == "Hello"
        page.reload()
        expect(page.locator(".user .text")).to_have_text("Hello")
        kept = page.evaluate("[JSON.stringify(localStorage), document.cookie, location.href]")
        assert key not in json.dumps(kept)
        assert [url for url in visit.asked if key in url] == []
        assert {error for error in visit.errors if "401" not in error} == set()
        page.get_by_role("button", name="Forget key").click()
        expect(dialog).to_be_visible()
        assert page.evaluate("sessionStorage.length") == 0

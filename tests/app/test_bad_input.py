"""What no well-meaning client sends: each gets its answer, and nobody else waits for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from agent_app.problems import Problem
from agent_app.storable import check, dumped
from hypothesis import given
from hypothesis import strategies as st

from tests.app.stack import App, Stack, admin_url

JSON = {"content-type": "application/json"}
MIB = 2**20


def _refused(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text[:500]
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 20_000
    return str(answer.json()["detail"])


def _post(app: App, path: str, content: bytes, **headers: str) -> httpx.Response:
    return httpx.post(app.url + path, content=content, headers={**JSON, **headers}, timeout=30)


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("chat", b'{"message": "\xff\xfe"}', 400, "JSON in UTF-8"),
        ("chat", b'{"message": "x"', 422, "JSON"),
        ("chat", b"[" * 100_000, 400, "hundred deep"),
        ("tasks", b'{"input": %b%b}' % (b"[" * 100_000, b"]" * 100_000), 400, "hundred deep"),
        ("tasks", b'{"input": %b%b}' % (b"[" * 300, b"]" * 300), 422, "ecursion"),
        ("tasks", b'{"input": %b}' % (b"9" * 5000), 400, "4300 digits"),
        ("tasks", b'{"agent": "wait", "input": {"seconds": NaN}}', 422, "input/seconds"),
        ("tasks", b'{"agent": "wait", "input": {"seconds": 1e400}}', 422, "input/seconds"),
        ("chat", b'{"message": "\\ud800"}', 422, "#/message"),
        ("chat", b'{"\\ud800": 1}', 422, "unicode"),
        ("chat", b'{"message": "x", "agent": "\\ud800"}', 422, "#/agent"),
        ("chat", b'{"message": "x", "agent": "\\u0000"}', 422, "allowed are assistant"),
        ("tasks", b'{"input": "\\u0000"}', 422, "without NUL"),
        ("tasks", b'{"input": "x", "agent": "nobody"}', 422, "allowed are assistant"),
        ("tasks", b'{"input": "x", "idempotency_key": "a\\nb"}', 422, "#/idempotency_key"),
        ("chat", b"null", 422, "#"),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, bytes) else None,
)
def test_a_body_that_cannot_be_used_is_told_why(
    served: App, path: str, body: bytes, status: int, says: str
) -> None:
    assert says in _refused(_post(served, f"/v1/{path}", body), status)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_of_another_type_is_refused(served: App, kind: str) -> None:
    """A page of another origin may send these without being asked first; JSON it may not."""
    answer = _post(served, "/v1/chat", b'{"message": "x"}', **{"content-type": kind})
    assert "application/json" in _refused(answer, 415)


def test_a_body_that_is_wrong_in_very_many_places_is_answered_in_short(served: App) -> None:
    body = json.dumps({"message": "x", **{f"{'k' * 200}{number}": 1 for number in range(4000)}}).encode()
    _refused(_post(served, "/v1/chat", body), 422)


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_beyond_the_limit_is_not_read_to_its_end(served: App, is_chunked: bool) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(64):
            sent += MIB // 2
            yield b" " * (MIB // 2)

    before = _resident(served)
    with (
        httpx.Client() as client,
        client.stream(
            "POST",
            f"{served.url}/v1/chat",
            content=endless(),
            headers=JSON if is_chunked else {**JSON, "content-length": str(32 * MIB)},
        ) as answer,
    ):
        answer.read()
        assert "1048576 bytes" in _refused(answer, 413)
    assert _resident(served) - before < 16 * MIB


def _resident(app: App) -> int:
    status = Path(f"/proc/{app.running.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/sessions?limit=1001", 422),
        ("/v1/sessions?limit=1" + "0" * 5000, 422),
        ("/v1/sessions/x?limit=1000", 404),
        ("/v1/tasks?limit=-1", 422),
        ("/v1/tasks?limit=%ff", 422),
        ("/v1/tasks?status=%00", 422),
        ("/v1/usage?month=2026-99", 422),
        ("/v1/sessions/" + "a" * 5000, 422),
        ("/v1/sessions/%00", 422),
        ("/v1/sessions/%ff", 422),
        ("/v1/sessions/a%0d%0aset-cookie:%20x=1", 422),
        ("/v1/sessions/..%2f..%2fetc", 404),
        ("/v1/tasks/%ed%a0%80", 422),
        ("/" + "a" * 30_000, 404),
        ("//v1/chat", 404),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else None,
)
def test_an_address_that_cannot_be_is_refused(served: App, path: str, status: int) -> None:
    answer = httpx.get(served.url + path)
    _refused(answer, status)
    assert "set-cookie" not in answer.headers


def test_a_filter_that_matches_nothing_gives_nothing(served: App) -> None:
    for text in ("%00", "%ed%a0%80", "nobody"):
        assert served.get(f"/v1/tasks?agent={text}").json() == {"tasks": []}


@pytest.mark.parametrize("method", ["PUT", "TRACE", "OPTIONS", "PATCH"])
def test_a_method_that_is_not_taken_is_told_which_are(served: App, method: str) -> None:
    answer = httpx.request(method, f"{served.url}/v1/chat")
    assert answer.headers["allow"] == "POST"
    assert "POST" in _refused(answer, 405)


def test_a_method_that_nobody_knows_is_refused_before_it_comes_in(served: App) -> None:
    assert httpx.request("CONNECTED", f"{served.url}/v1/chat").status_code == 400


def test_a_session_of_thousands_of_turns_is_answered_from_its_newest_ones(stack: Stack) -> None:
    with stack.app() as app:
        app.say("the first of all", "long")
        before = _resident(app)
        with psycopg.connect(admin_url(stack.postgres_port, stack.database), autocommit=True) as connection:
            connection.execute(
                "insert into messages (fleet, owner, session_id, turn, role, content) "
                "select %s, 'anonymous', 'long', 1 + n / 2, "
                "case n & 1 when 0 then 'user' else 'assistant' end, 'old ' || n || repeat(' word', 200) "
                "from generate_series(2, 12001) as n",
                (stack.database,),
            )
            connection.execute("update sessions set turns = 6001 where id = 'long'")
        reply = app.say("and now?", "long")
        # The window is 40 messages and 8,000 tokens, whichever is less.
        assert reply["usage"]["input_tokens"] < 10_000
        assert "the first of all" not in reply["reply"]
        said = app.get("/v1/sessions/long?limit=1000").json()["messages"]
        assert (len(said), said[-1]["turn"]) == (1000, 6002)
        (listed,) = app.get("/v1/sessions").json()["sessions"]
        assert (listed["turns"], listed["title"]) == (6002, "the first of all")
        assert _resident(app) - before < 32 * MIB
        assert app.post("/v1/chat", {"message": "x"}).status_code == 200
        assert httpx.delete(f"{app.url}/v1/sessions/long").status_code == 204


_TEXTS = st.text(st.characters(codec=None, min_codepoint=0, max_codepoint=0xFFFF), max_size=5)
_NUMBERS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), _TEXTS)
_VALUES = st.recursive(
    _NUMBERS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_TEXTS, inner, max_size=3))
)


@given(_VALUES)
def test_what_is_taken_is_what_can_be_kept(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False)
    # As Postgres sees it: a backslash pair is one backslash, and what is left is an escape.
    unfit = "\\u0000" in text.replace("\\\\", "") or any("\ud800" <= letter <= "\udfff" for letter in text)
    unfit |= any(word in text for word in ("NaN", "Infinity")) and _not_finite(value)
    if unfit:
        with pytest.raises(Problem):
            check(value, "#/input")  # type: ignore[arg-type]
    else:
        check(value, "#/input")  # type: ignore[arg-type]


def _not_finite(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return True
    return False


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("a\x00b", "ab"),
        ("the text \\u0000", "the text \\u0000"),
        ("\\\x00\x00.", "\\."),
        ({"\x00k": [float("nan"), 1]}, {"k": [None, 1]}),
    ],
)
def test_a_result_is_kept_without_what_cannot_be(value: object, kept: object) -> None:
    assert json.loads(dumped(value)) == kept


def test_a_text_that_only_looks_like_nul_goes_through_a_task(stack: Stack) -> None:
    with stack.app() as app, stack.app("work"):
        state = app.task_becomes(app.submit({"input": "the escape \\u0000 in a text"}), "succeeded")
    assert state["attempts"] == 1
    assert "the escape \\u0000 in a text" in state["result"]

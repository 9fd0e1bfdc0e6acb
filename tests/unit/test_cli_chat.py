"""`agent-infra chat`: a fleet that asks for a key gets it, and nobody else does."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner

from agent_infra.automation import AutomationError, api_key, exported
from agent_infra.cli.chat import ApiKey, talk
from agent_infra.cli.main import _invitation, app

KEY = "first-0123456789abcdefghij"


class _Fleet(BaseHTTPRequestHandler):
    """Answers whoever has the key, and keeps what was presented."""

    presented: list[str | None]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.presented.append(self.headers["authorization"])
        allowed = self.headers["authorization"] == f"Bearer {KEY}"
        body = json.dumps({"reply": "hello", "session_id": "s"} if allowed else {"detail": "no key"}).encode()
        self.send_response(200 if allowed else 401)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged."""


@contextmanager
def fleet() -> Iterator[tuple[str, list[str | None]]]:
    presented: list[str | None] = []
    handler = type("Handler", (_Fleet,), {"presented": presented})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", presented
        finally:
            server.shutdown()
            thread.join()


def never() -> str:
    raise AssertionError("it was looked up")


def say(at: str, key: ApiKey) -> None:
    talk(at, "hi", key=key, session=None, as_json=False)


def test_the_key_is_looked_up_when_the_fleet_asks_for_one(capsys: pytest.CaptureFixture[str]) -> None:
    with fleet() as (at, presented):
        key = ApiKey(None, lambda: KEY)
        say(at, key)
        say(at, key)
    assert presented == [None, f"Bearer {KEY}", f"Bearer {KEY}"]
    assert capsys.readouterr().out == "hello\nhello\n"


def test_a_key_out_of_a_variable_is_sent_at_once_and_never_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    with fleet() as (at, presented):
        monkeypatch.setenv("MY_KEY", KEY)
        say(at, ApiKey("MY_KEY", never))
        monkeypatch.setenv("MY_KEY", "wrong")
        with pytest.raises(AutomationError, match="answered 401: no key") as raised:
            say(at, ApiKey("MY_KEY", never))
    assert presented == [f"Bearer {KEY}", "Bearer wrong"]
    assert "wrong" not in str(raised.value)
    monkeypatch.delenv("MY_KEY")
    with pytest.raises(AutomationError, match="MY_KEY is not set"):
        ApiKey("MY_KEY", never)


def test_a_key_that_was_looked_up_does_not_go_over_plain_http_to_another_machine() -> None:
    with pytest.raises(AutomationError, match="would tell everybody in between"):
        ApiKey(None, never).found_for("http://agents.example.com")
    assert ApiKey(None, lambda: KEY).found_for("https://agents.example.com") == KEY


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """An environment in the cloud whose stack exports what is said."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():

        def exporting(**outputs: Any) -> Any:
            monkeypatch.setattr(exported, "outputs", lambda _: outputs)
            return SimpleNamespace(name="prod", local=None)

        yield exporting


def _secret(content: str) -> str:
    manager = boto3.client("secretsmanager", region_name="eu-central-1")
    return str(manager.create_secret(Name="keys", SecretString=content)["ARN"])


def test_the_first_key_of_the_only_fleet_with_keys_is_taken(environment: Callable[..., Any]) -> None:
    arn = _secret(json.dumps({"first": f"{KEY} old-0123456789abcdefgh", "second": "another"}))
    found = environment(region="eu-central-1", api_keys_secret_arns={"support": arn})
    assert api_key(found) == api_key(found, "support") == KEY
    with pytest.raises(AutomationError, match="are those of support, and 'sales' was asked for"):
        api_key(found, "sales")
    with pytest.raises(AutomationError, match="are those of none, and nobody was asked for"):
        api_key(environment(region="eu-central-1"))


@pytest.mark.parametrize("content", ["{}", "[]", "no JSON", '{"first": " "}'])
def test_a_secret_without_keys_is_told_with_the_way_out(
    environment: Callable[..., Any], content: str
) -> None:
    found = environment(region="eu-central-1", api_keys_secret_arns={"support": _secret(content)})
    with pytest.raises(AutomationError, match="holds no API key: put a JSON object"):
        api_key(found)


def test_the_command_takes_the_key_by_a_variables_name_and_never_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    with fleet() as (at, presented):
        done = CliRunner().invoke(app, ["chat", "hi", "--url", at, "--api-key-env", "MY_KEY"])
    assert (done.exit_code, done.output, presented) == (0, "hello\n", [f"Bearer {KEY}"])


def test_who_brings_a_fleet_with_keys_up_is_told_the_command_that_works() -> None:
    assert "curl" in _invitation("support", "http://127.0.0.1:8080", chat=None)
    said = _invitation("support", "http://127.0.0.1:8080", chat=" --stack prod --rehearse --fleet support")
    assert "agent-infra chat --stack prod --rehearse --fleet support 'Hello" in said
    assert "curl" not in said

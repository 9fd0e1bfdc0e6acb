"""Settings: what is allowed, and the message for what is not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from agent_app.__main__ import main
from agent_app.llm.vendors import choose
from agent_app.secrets import LlmKeys
from agent_app.settings import Settings, SettingsError
from pydantic import SecretStr

from tests.app.stack import environment


def test_nothing_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.load()
    assert (settings.port, settings.task_timeout, settings.drain_limit) == (8000, 300, 300)


def test_unknown_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_APP_PORT_NAME", "tcp://10.0.0.1:80")
    Settings.load()


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("AGENT_APP_PORT", "80000", "'80000': Input should be less than or equal to 65535"),
        ("AGENT_APP_PORT", "tcp://10.0.0.1:80", "unset it for the default 8000"),
        ("AGENT_APP_LOG_LEVEL", "loud", "Input should be 'debug', 'info', 'warning' or 'error'"),
        ("AGENT_APP_TASK_TIMEOUT", "0", "greater than 0"),
        ("AGENT_APP_REDIS_URL", "localhost", "must be a URL such as rediss://host:port/"),
        ("AGENT_APP_QUEUE_URL", "arn:aws:sqs:eu:1:q", "must be a URL such as https://"),
        ("AGENT_APP_DATABASE_SECRET_ARN", "my-secret", "should match pattern"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed_and_the_exit_status_is_2(
    variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, value)
    assert main(["serve"]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"agent-app: {variable} is ")
    assert said in message
    assert "Traceback" not in message


def test_all_that_is_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_APP_PORT", "x")
    monkeypatch.setenv("AGENT_APP_MAX_ATTEMPTS", "y")
    with pytest.raises(SettingsError, match=r"AGENT_APP_PORT(.|\n)*AGENT_APP_MAX_ATTEMPTS"):
        Settings.load()


def test_a_password_in_a_wrong_url_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_APP_DATABASE_URL", "mysql://me:hush/hu@sh?@db:3306/x")
    with pytest.raises(SettingsError) as raised:
        Settings.load()
    assert "hush" not in str(raised.value)
    assert "mysql://***@db:3306/x" in str(raised.value)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "must be a URL such as https://"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "Input should be 'http/protobuf'"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc", "Input should be 'http/protobuf'"),
        ("OTEL_TRACES_EXPORTER", "console", "Input should be 'otlp' or 'none'"),
        ("OTEL_TRACES_SAMPLER", "some", "unset it for the default 'parentbased_always_on'"),
        ("OTEL_TRACES_SAMPLER_ARG", "10", "less than or equal to 1"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a;b", "must be name=value pairs with commas between"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "authorization: hush", "set to a hidden value: must be"),
    ],
)
def test_opentelemetrys_own_variables_are_checked_too(
    variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as raised:
        Settings.load()
    assert str(raised.value).startswith(f"{variable} is ")
    assert said in str(raised.value)
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize(
    ("variables", "endpoint"),
    [
        ({}, None),
        ({"ENDPOINT": "http://collector:4318"}, "http://collector:4318/v1/traces"),
        ({"ENDPOINT": "http://collector:4318/its/"}, "http://collector:4318/its/v1/traces"),
        ({"ENDPOINT": "http://a:1", "PROTOCOL": "HTTP/Protobuf"}, "http://a:1/v1/traces"),
        ({"ENDPOINT": "http://a:1", "TRACES_ENDPOINT": "https://b/traces"}, "https://b/traces"),
    ],
)
def test_spans_go_where_opentelemetrys_variables_say(
    variables: dict[str, str], endpoint: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)
    settings = Settings.load()
    assert settings.traces_endpoint == endpoint
    assert "collector" not in repr(settings)


def test_a_password_in_a_right_url_is_not_shown_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_APP_DATABASE_URL", "postgresql://me:hush@db:5432/x")
    assert "hush" not in repr(Settings.load())


def test_a_worker_says_what_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["work"]) == 2
    assert "AGENT_APP_QUEUE_URL and AGENT_APP_DATABASE_URL are not set" in capsys.readouterr().err


def test_migrate_says_what_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate"]) == 2
    assert "AGENT_APP_DATABASE_URL is not set" in capsys.readouterr().err


OPENAI, ANTHROPIC = LlmKeys(openai=SecretStr("a")), LlmKeys(anthropic=SecretStr("b"))


@pytest.mark.parametrize(
    ("model", "keys", "chosen"),
    [
        (None, LlmKeys(), ("built-in", "built-in")),
        ("built-in", OPENAI, ("built-in", "built-in")),
        (None, OPENAI, ("openai", "gpt-5-mini")),
        (None, ANTHROPIC, ("anthropic", "claude-haiku-4-5")),
        ("openai:gpt-x", OPENAI, ("openai", "gpt-x")),
        ("claude-x", ANTHROPIC, ("anthropic", "claude-x")),
        ("llama-3", OPENAI, ("openai", "llama-3")),
    ],
)
def test_the_model_follows_the_setting_and_the_keys(
    model: str | None, keys: LlmKeys, chosen: tuple[str, str]
) -> None:
    assert choose(model, keys) == chosen


@pytest.mark.parametrize("model", ["claude-x", "anthropic:claude-x", "mistral:large", "openai:"])
def test_a_model_that_cannot_be_used_is_an_error(model: str) -> None:
    with pytest.raises(SettingsError, match="AGENT_APP_MODEL"):
        choose(model, OPENAI)


def _ends(role: str, variables: dict[str, str], directory: Path) -> tuple[int, list[str]]:
    """The exit status of a process, and the lines that it says."""
    ended = subprocess.run(
        [sys.executable, "-m", "agent_app", role],
        env=environment({**variables, "PYTHONPATH": str(directory)}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in ended.stderr
    return ended.returncode, ended.stderr.splitlines()


def test_a_process_tells_of_all_that_is_wrong_wherever_it_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "breaks.py").write_text("raise RuntimeError('sk-hush')\n")
    agents = {
        "one": {"agent": "nowhere:agent"},
        "two": {"agent": "agent_app.agents.wait:nothing", "model": "mistral:large"},
        "three": {"agent": "breaks:agent", "model": "openai:gpt-unheard-of", "monthly_budget_usd": 5},
    }
    variables = {
        "AGENT_APP_AGENTS": json.dumps(agents),
        "AGENT_APP_PORT": "http",
        "AGENT_APP_REDIS_URL": "localhost",
        # Says nothing new, the URL being wrong; the database's does.
        "AGENT_APP_REDIS_SECRET_ARN": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:r",
        "AGENT_APP_DATABASE_SECRET_ARN": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:d",
        "AGENT_APP_ENVIRONMENT": "prod",
        "AGENT_APP_AUTH": "none",
        "AGENT_APP_FALLBACK_MODELS": "anthropic:claude-x",
        "AGENT_APP_MODEL_PRICES": "{'gpt': 1}",
        "OPENAI_API_KEY": "sk-hush",
    }
    status, lines = _ends("serve", variables, tmp_path)
    assert status == 2
    said = "\n".join(lines)
    for expected in (
        "AGENT_APP_PORT is 'http'",
        "AGENT_APP_REDIS_URL is 'localhost'",
        "AGENT_APP_MODEL_PRICES is \"{'gpt': 1}\": must be a JSON object",
        "AGENT_APP_DATABASE_SECRET_ARN is set without AGENT_APP_DATABASE_URL",
        "AGENT_APP_AUTH is 'none'",
        "the agent 'one' is at 'nowhere:agent', but there is no module 'nowhere'",
        "the agent 'two' is at 'agent_app.agents.wait:nothing', but agent_app.agents.wait has no 'nothing'",
        "the agent 'three' is at 'breaks:agent', but breaks raised RuntimeError",
        "AGENT_APP_AGENTS is 'mistral:large'",
        "AGENT_APP_FALLBACK_MODELS is 'anthropic:claude-x', but there is no key for anthropic",
    ):
        assert said.count(expected) == 1, f"{expected}\n---\n{said}"
    assert "REDIS_SECRET_ARN" not in said
    assert "hush" not in said


def test_a_budget_for_a_model_without_a_price_is_told_beside_the_rest(tmp_path: Path) -> None:
    variables = {
        "AGENT_APP_MODEL": "openai:gpt-unheard-of",
        "AGENT_APP_MONTHLY_BUDGET_USD": "5",
        "OPENAI_API_KEY": "sk-hush",
    }
    status, lines = _ends("work", variables, tmp_path)
    assert status == 2
    assert "AGENT_APP_QUEUE_URL and AGENT_APP_DATABASE_URL are not set" in lines[0]
    assert "'openai:gpt-unheard-of' is not known" in lines[1]
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{x", "AGENT_APP_AGENTS is '{x': must be a JSON object: Expecting property name"),
        ("[]", "Input should be a valid dictionary"),
        ('{"a": {"agent": "nope"}}', "AGENT_APP_AGENTS, at a/agent: String should match pattern"),
        (
            '{"a": {"agent": "a:b", "queue_url": "ftp://me:hush@x"}}',
            "AGENT_APP_AGENTS, at a/queue_url: must be a URL",
        ),
        (
            '{"a": {"agent": "a:b", "budget": 1}}',
            "AGENT_APP_AGENTS, at a/budget: Extra inputs are not permitted",
        ),
    ],
)
def test_what_is_wrong_within_json_is_told_with_its_place(
    value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_APP_AGENTS", value)
    with pytest.raises(SettingsError) as raised:
        Settings.load()
    assert said in str(raised.value)
    assert "hush" not in str(raised.value)
    assert len(str(raised.value)) < 500

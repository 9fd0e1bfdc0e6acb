"""Who may ask, and whose things are whose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import httpx
import pytest
from agent_app.__main__ import main
from agent_app.http.api import create
from agent_app.http.api_keys import ApiKeys
from agent_app.settings import Settings, SettingsError
from pydantic import SecretStr

from agent_app import service

ADA, BOB = "ada-0123456789abcdefghij", "bob-0123456789abcdefghij"
ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:keys"


@pytest.fixture
async def client(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    async def read(settings: Settings, setting: str) -> Mapping[str, SecretStr]:
        found = {"ada": SecretStr(ADA), "bob": SecretStr(BOB)}
        return found if setting == "api_keys_secret_arn" else {}

    monkeypatch.setattr("agent_app.secrets.read", read)
    async with service.opened(Settings(api_keys_secret_arn=ARN, environment="prod")) as parts:
        transport = httpx.ASGITransport(create(parts))
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as opened:
            yield opened


def _with(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.mark.parametrize(
    ("headers", "says"),
    [({}, "no API key"), (_with("wrong"), "does not hold"), ({"authorization": "Basic x"}, "no API key")],
)
async def test_without_a_key_that_holds_nothing_is_answered(
    client: httpx.AsyncClient, headers: dict[str, str], says: str
) -> None:
    invalid = 'Bearer error="invalid_token", error_description="The API key does not hold"'
    challenge = invalid if headers == _with("wrong") else "Bearer"
    for path in ("/v1/sessions", "/v1/nothing"):
        refused = await client.get(path, headers=headers)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, challenge)
        assert says in refused.json()["detail"]
        assert "wrong" not in refused.text
    assert (await client.get("/healthz")).status_code == 200


async def test_each_key_sees_its_own_sessions_and_tasks_alone(client: httpx.AsyncClient) -> None:
    for key, message in ((ADA, "I am Ada"), (BOB, "I am Bob")):
        body = {"message": message, "session_id": "same"}
        assert (await client.post("/v1/chat", json=body, headers=_with(key))).status_code == 200
    said = (await client.get("/v1/sessions/same", headers={"x-api-key": BOB})).json()["messages"]
    assert [item["content"] for item in said if item["role"] == "user"] == ["I am Bob"]
    key = {"idempotency-key": "k"}
    ids = [
        (await client.post("/v1/tasks", json={"input": "x"}, headers=_with(one) | key)).json()["task_id"]
        for one in (ADA, BOB)
    ]
    assert ids[0] != ids[1]
    for path, method in ((f"/v1/tasks/{ids[0]}", "GET"), (f"/v1/tasks/{ids[0]}/cancel", "POST")):
        assert (await client.request(method, path, headers=_with(BOB))).status_code == 404
    listed = (await client.get("/v1/tasks", headers=_with(BOB))).json()["tasks"]
    assert [task["task_id"] for task in listed] == [ids[1]]


async def test_keys_are_read_again_for_a_new_one_and_to_forget_a_revoked_one() -> None:
    now, reads = 0.0, 0
    keys = {"ada": SecretStr(ADA)}

    async def read() -> Mapping[str, SecretStr]:
        nonlocal reads
        reads += 1
        return keys

    held = ApiKeys(read, 300, clock=lambda: now)
    await held.load()
    assert await held.owner(ADA) == "ada"
    keys = {"bob": SecretStr(BOB)}
    assert await held.owner(BOB) is None
    now = 11
    assert await held.owner(BOB) == "bob"
    assert await held.owner(ADA) is None
    assert reads == 2  # a wrong key does not make it read each time


async def test_a_secret_that_is_away_leaves_the_known_keys_holding() -> None:
    now = 0.0

    async def read() -> Mapping[str, SecretStr]:
        if now:
            raise OSError
        return {"ada": SecretStr(ADA)}

    held = ApiKeys(read, 300, clock=lambda: now)
    await held.load()
    now = 1000
    assert await held.owner(ADA) == "ada"


async def test_two_keys_of_a_name_hold_while_one_takes_the_others_place() -> None:
    async def read() -> Mapping[str, SecretStr]:
        return {"ada": SecretStr(f"{BOB} {ADA}")}

    held = ApiKeys(read, 300)
    await held.load()
    assert await held.owner(ADA) == await held.owner(BOB) == "ada"
    assert await held.owner(f"{BOB} {ADA}") is None


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({}, "no key"),
        ({"ada": SecretStr("short")}, "keys of ada"),
        ({"ada": SecretStr(f"{ADA} short")}, "keys of ada"),
        ({"oidc:ada": SecretStr(ADA)}, "'oidc:ada' cannot be a key's name"),
        ({"anonymous": SecretStr(ADA)}, "'anonymous' cannot be a key's name"),
    ],
)
async def test_keys_that_are_not_safe_are_refused(keys: dict[str, SecretStr], says: str) -> None:
    async def read() -> Mapping[str, SecretStr]:
        return keys

    with pytest.raises(SettingsError, match=says) as raised:
        await ApiKeys(read, 300).load()
    assert "'short'" not in str(raised.value)


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"AGENT_APP_AUTH": "none", "AGENT_APP_ENVIRONMENT": "prod"}, "for the environment 'local' alone"),
        ({"AGENT_APP_AUTH": "api-key"}, "AGENT_APP_API_KEYS_SECRET_ARN"),
        ({"AGENT_APP_AUTH": "oidc"}, "AGENT_APP_OIDC_ISSUER"),
        ({"AGENT_APP_AUTH": "none,oidc"}, "say one of the two"),
        ({"AGENT_APP_AUTH": "basic"}, "'none', 'api-key' or 'oidc'"),
        ({"AGENT_APP_OIDC_ISSUER": "https://issuer.example.com"}, "AGENT_APP_OIDC_AUDIENCE"),
        ({"AGENT_APP_OIDC_ISSUER": "http://issuer.example.com"}, "this machine's own addresses alone"),
        ({"AGENT_APP_OIDC_ALGORITHMS": "HS256"}, "'RS256'"),
    ],
)
def test_authentication_is_off_in_local_alone(
    variables: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=says):
        Settings.load()


@pytest.mark.parametrize("environment", ["prod", "local"])
def test_the_service_starts_for_anybody_in_local_alone(
    environment: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(settings: Settings) -> None:
        raise SettingsError("it began to start")

    monkeypatch.setattr("agent_app.service.opened", opened)
    monkeypatch.setattr("agent_app.telemetry.logs.configure", lambda *_: None)
    monkeypatch.setenv("AGENT_APP_ENVIRONMENT", environment)
    assert main(["serve"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    if environment == "local":
        assert "began to start" in said
    else:
        for name in ("AGENT_APP_API_KEYS_SECRET_ARN", "AGENT_APP_OIDC_ISSUER", "'prod'"):
            assert name in said


async def test_an_answer_that_does_not_come_holds_up_nobody_whose_key_is_known() -> None:
    now = 0.0

    async def read() -> Mapping[str, SecretStr]:
        if now:
            await asyncio.Event().wait()
        return {"ada": SecretStr(ADA)}

    held = ApiKeys(read, 300, clock=lambda: now)
    await held.load()
    now = 1000
    assert await held.owner(ADA) == "ada"
    now = 1011
    assert await held.owner(ADA) == "ada"

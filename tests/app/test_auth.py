"""Who may ask, and whose things are whose."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import httpx
import pytest
from agent_app.http.api import create
from agent_app.http.auth import ApiKeys
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
    for path in ("/v1/sessions", "/v1/nothing"):
        refused = await client.get(path, headers=headers)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
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


@pytest.mark.parametrize(("keys", "says"), [({}, "no key"), ({"ada": SecretStr("short")}, "keys of ada")])
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
    ],
)
def test_authentication_is_off_in_local_alone(
    variables: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=says):
        Settings.load()

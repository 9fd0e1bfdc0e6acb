"""Secrets, resolved at start from Secrets Manager; they live in SecretStr and are never logged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from agent_app import aws
from agent_app.settings import PREFIX, Settings


class SecretError(Exception):
    """A secret cannot be had; the message names its variable and ARN and says why."""


@dataclass(frozen=True)
class LlmKeys:
    """The vendors' keys that are there."""

    openai: SecretStr | None = None
    anthropic: SecretStr | None = None


@dataclass(frozen=True)
class Credentials:
    """Who logs in to the database."""

    username: str
    password: SecretStr


async def read(settings: Settings, setting: str) -> dict[str, SecretStr]:
    """The JSON object in the secret that `setting` (such as `redis_secret_arn`) names; `{}` if it is unset.

    Raises:
        SecretError: it cannot be read or is not a JSON object.
    """
    arn = getattr(settings, setting)
    if arn is None:
        return {}
    from botocore.exceptions import BotoCoreError, ClientError

    where = f"the secret of {PREFIX}{setting.upper()} ({arn})"
    try:
        async with aws.client("secretsmanager", arn.split(":")[3]) as client:
            text = (await client.get_secret_value(SecretId=arn))["SecretString"]
    except KeyError:
        raise SecretError(f"{where} is binary: it must be a string holding a JSON object") from None
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "unknown")
        raise SecretError(
            f"{where} cannot be read: {code}. It must exist and the service's role must allow "
            "secretsmanager:GetSecretValue on it (and kms:Decrypt on its key)."
        ) from None
    except (BotoCoreError, OSError, TimeoutError) as error:
        raise SecretError(f"{where} cannot be read: {error}") from None
    try:
        values = json.loads(text)
        return {str(key): SecretStr(str(value)) for key, value in values.items() if value not in {"", None}}
    except (ValueError, AttributeError, TypeError):
        raise SecretError(f"{where} must hold a JSON object of strings") from None


async def redis_password(settings: Settings) -> SecretStr | None:
    """The password of Redis, None where no secret is named."""
    return await _required(settings, "redis_secret_arn", "password")


async def database_credentials(settings: Settings) -> Credentials | None:
    """The login of the database, None where it is in the URL."""
    values = await read(settings, "database_secret_arn")
    if settings.database_secret_arn is None:
        return None
    missing = {"username", "password"} - values.keys()
    if missing:
        raise SecretError(_lacks(settings, "database_secret_arn", missing))
    return Credentials(values["username"].get_secret_value(), values["password"])


async def llm_keys(settings: Settings) -> LlmKeys:
    """The vendors' keys, the environment's before the secret's; LLM_API_KEY is whose it looks like."""
    return _llm_keys(settings, await read(settings, "llm_secret_arn"))


def of_environment(settings: Settings) -> LlmKeys:
    """The vendors' keys that are in the environment itself."""
    return _llm_keys(settings, {})


def _llm_keys(settings: Settings, values: Mapping[str, SecretStr]) -> LlmKeys:
    openai = settings.openai_api_key or values.get("OPENAI_API_KEY")
    anthropic = settings.anthropic_api_key or values.get("ANTHROPIC_API_KEY")
    other = settings.llm_api_key or values.get("LLM_API_KEY")
    if other is not None:
        if other.get_secret_value().startswith("sk-ant-"):
            anthropic = anthropic or other
        else:
            openai = openai or other
    return LlmKeys(openai, anthropic)


async def _required(settings: Settings, setting: str, key: str) -> SecretStr | None:
    values = await read(settings, setting)
    if getattr(settings, setting) is None:
        return None
    if key not in values:
        raise SecretError(_lacks(settings, setting, {key}))
    return values[key]


def _lacks(settings: Settings, setting: str, missing: set[str]) -> str:
    arn = getattr(settings, setting)
    return f"the secret of {PREFIX}{setting.upper()} ({arn}) lacks {', '.join(sorted(missing))}"

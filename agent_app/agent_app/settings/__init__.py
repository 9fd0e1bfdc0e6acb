"""What the environment's variables may say; read once, at start."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, Field, ValidationError
from pydantic_settings import SettingsConfigDict

from agent_app.settings.agents import AgentSettings
from agent_app.settings.auth import AuthSettings
from agent_app.settings.kinds import DatabaseUrl, HttpUrl, LogLevel, RedisUrl, SecretArn
from agent_app.settings.llm import LlmSettings
from agent_app.settings.telemetry import TelemetrySettings

PREFIX = "AGENT_APP_"
_WAYS_IN = (
    f"set {PREFIX}API_KEYS_SECRET_ARN (API keys), or {PREFIX}OIDC_ISSUER and {PREFIX}OIDC_AUDIENCE (tokens)"
)
_VARIABLE = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")


class SettingsError(Exception):
    """A variable is wrong; the message says which, its value, what is allowed and the way out."""


class Settings(AgentSettings, AuthSettings, LlmSettings, TelemetrySettings):
    """Everything is optional: without a store the service keeps its state in its own memory.

    Times are seconds. Variables it does not know are ignored; one it knows with a wrong value is an error.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", frozen=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    fleet: str = Field("agent", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
    environment: str = Field("local", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
    host: str = "0.0.0.0"  # noqa: S104 (a pod is reached from outside it)
    port: int = Field(8000, ge=0, le=65535)
    log_level: LogLevel = "info"
    receive_seconds: float = Field(60, gt=0, le=3600, description="How long a request may take to come in")
    page: bool = Field(True, description="Whether `/` shows a page to chat and to give tasks")
    max_body_bytes: int = Field(1_048_576, ge=1024, le=16_777_216)

    redis_url: RedisUrl | None = None
    redis_secret_arn: SecretArn | None = None
    database_url: DatabaseUrl | None = None
    database_secret_arn: SecretArn | None = None
    database_pool_size: int = Field(5, ge=0, le=100, description="0 keeps no connection open between uses")
    history_messages: int = Field(40, ge=2, le=1000, description="How many messages the model sees")
    history_tokens: int = Field(8000, ge=1, description="Estimated; the model sees whole turns up to this")
    history_seconds: int = Field(86_400, ge=1, description="How long Redis keeps an idle session")

    queue_url: HttpUrl | None = None
    dead_letter_url: HttpUrl | None = Field(
        None, description="Where failed tasks go with their reason; unset, SQS moves them without one"
    )
    task_timeout: float = Field(300, gt=0, le=43_200, description="The longest a task may take")
    drain_seconds: float | None = Field(None, ge=0, le=43_200, description="Default: the task timeout")
    worker_concurrency: int = Field(4, ge=1, le=1000)
    chat_concurrency: int = Field(
        200, ge=1, le=10_000, description="Chats of an agent type at once in a process; others wait"
    )
    max_attempts: int = Field(5, ge=1, le=1000, description="The queue's maxReceiveCount")
    poll_seconds: int = Field(5, ge=0, le=20, description="One long poll; an idle worker stops within it")
    visibility_seconds: int | None = Field(
        None, ge=1, le=43_200, description="Default: the queue's, 60 at most"
    )
    pod_directory: Path | None = Field(
        None, description="Its name, namespace, token and ca.crt: a worker then keeps its pod's deletion cost"
    )
    retry_seconds: int = Field(2, ge=0, le=900, description="Before the second attempt; doubles after each")
    artifact_bucket: str | None = None
    artifact_prefix: str = Field("", description="The service may touch no other keys of the bucket")

    #: botocore itself reads AWS_DEFAULT_REGION alone; pods are given AWS_REGION.
    aws_region: str | None = Field(
        None, validation_alias=AliasChoices("AWS_REGION", "AWS_DEFAULT_REGION"), pattern=r"^[a-z0-9-]+$"
    )

    def _conflicts(self) -> Iterator[str]:
        yield from self.auth_conflicts()
        for name in ("redis", "database"):
            if getattr(self, f"{name}_secret_arn") and not getattr(self, f"{name}_url"):
                variable = f"{PREFIX}{name.upper()}_SECRET_ARN"
                yield f"{variable} is set without {PREFIX}{name.upper()}_URL: set both or neither"
        if self.semantic_cache_similarity is not None and self.embedding_model is None:
            yield (
                f"{PREFIX}SEMANTIC_CACHE_SIMILARITY is set without {PREFIX}EMBEDDING_MODEL: name the model "
                "that tells how alike questions are, such as openai:text-embedding-3-small"
            )
        if self.auth == ("none",) and self.environment != "local":
            yield (
                f"{PREFIX}AUTH is 'none', which is for the environment 'local' alone, and this is "
                f"{self.environment!r}: {_WAYS_IN}"
            )

    def require_auth(self) -> None:
        """For whoever answers requests.

        Raises:
            SettingsError: anybody could ask, and this is not the environment `local`.
        """
        if not (self.checks_keys or self.checks_tokens or self.environment == "local"):
            raise SettingsError(
                f"Anybody could ask, which is for the environment 'local' alone, and {PREFIX}ENVIRONMENT is "
                f"{self.environment!r}: {_WAYS_IN}."
            )

    @property
    def drain_limit(self) -> float:
        """How long work in hand may go on after SIGTERM."""
        return self.task_timeout if self.drain_seconds is None else self.drain_seconds

    @classmethod
    def load(cls) -> Settings:
        """Reads the environment.

        Raises:
            SettingsError: one message for all that is wrong.
        """
        found = cls.read()
        if found.said:
            raise SettingsError("\n".join(found.said))
        return found.settings

    @classmethod
    def read(cls) -> Reading:
        """Reads the environment, and tells of all that is wrong with it."""
        said: list[str] = []
        unset: dict[str, Any] = {}
        wrong: set[str] = set()
        while True:
            try:
                settings = cls(**unset)
                break
            except ValidationError as error:
                problems = error.errors(include_url=False)
                said += map(_sentence, problems)
                names = {str(problem["loc"][0]) for problem in problems}
                wrong |= set(map(_variable, names))
                unset |= {name: _default(name) for name in names}
        found = Reading(settings, said, frozenset(wrong))
        found.add(f"{conflict}." for conflict in settings._conflicts())
        return found


@dataclass(frozen=True)
class Reading:
    """The settings, as if what is wrong were unset, and a sentence for each that is."""

    settings: Settings
    said: list[str]
    variables: frozenset[str]

    def add(self, sentences: Iterable[str]) -> None:
        """Notes what else is wrong, but not what only follows from a variable that is wrong itself."""
        for sentence in sentences:
            if sentence not in self.said and not self.variables & set(_VARIABLE.findall(sentence)):
                self.said.append(sentence)


def _field(name: str) -> Any:
    fields = Settings.model_fields
    return fields.get(name) or next((each for each in fields.values() if each.validation_alias == name), None)


def _default(name: str) -> Any:
    field = _field(name)
    return None if field is None else field.default


def _variable(name: str) -> str:
    return name if name.isupper() else f"{PREFIX}{name.upper()}"


def _sentence(problem: Any) -> str:
    message = str(problem["msg"]).removeprefix("Value error, ")
    name, *inside = map(str, problem["loc"])
    variable = _variable(name)
    default = _default(name)
    if inside:
        # Of a JSON object: where in it.
        return f"{variable}, at {'/'.join(inside)}: {message}. Correct it."
    plain = isinstance(default, (str, int, float, bool))
    way_out = f"unset it for the default {default!r}" if plain else "unset it"
    return f"{variable} is {_shown(variable)}: {message}. Correct it, or {way_out}."


def _shown(variable: str) -> str:
    if variable.endswith(("_KEY", "_HEADERS")):
        return "set to a hidden value"
    value = os.environ.get(variable, os.environ.get(variable.lower(), ""))
    # A password may hold '@' or '/' or '?': all up to the last '@' is hidden.
    return repr(re.sub(r"//.*@", "//***@", value, flags=re.DOTALL)[:200])

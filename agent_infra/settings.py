"""What an environment's `Pulumi.<environment>.yaml` may say, checked as a whole before anything is made."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from agent_infra.aws.artifact_store import ArtifactStoreOptions
from agent_infra.aws.cache import RedisCacheOptions
from agent_infra.aws.cluster import EksClusterOptions
from agent_infra.aws.database import DatabaseOptions
from agent_infra.aws.network import NetworkOptions
from agent_infra.aws.queue import WorkQueueOptions
from agent_infra.aws.registry import RegistryOptions
from agent_infra.component import Args, Problem, problems, shaped, unknown_name
from agent_infra.contract import DEFAULT_TASK_SECONDS, LONGEST_TASK_SECONDS
from agent_infra.fleet.args import FleetName, Replicas, Resources, SecretKey, Worker

PROJECT = "agent-infra"
_REGION = "aws:region"

Region = Annotated[str, shaped(r"[a-z]{2}(-[a-z]+)+-\d", "an AWS region, such as eu-central-1")]
VariableName = Annotated[str, shaped(r"[A-Za-z_][A-Za-z0-9_]*", "letters, digits and underscores")]
SecretName = FleetName


class SettingsError(Exception):
    """An environment's settings are wrong; every problem is told at once, by its key."""

    def __init__(self, environment: str, problems: Sequence[Problem]) -> None:
        self.environment = environment
        self.problems = tuple(problems)
        count = "1 setting is" if len(problems) == 1 else f"{len(problems)} settings are"
        lines = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(f"{count} wrong in Pulumi.{environment}.yaml:\n{lines}")


class SecretSettings(Args):
    """One secret. Nothing secret is written here: it is filled by hand, or out of environment variables."""

    from_environment: Sequence[VariableName] | None = None
    """The environment variables of whoever runs `up` that it is made of; those that are not set are left out.
    Where this is not said the secret starts as `{}` and is filled by hand in Secrets Manager."""


class BuildSettings(Args):
    """An image that `up` builds and pushes into the environment's own registry."""

    context: str
    """The directory to build, relative to the project's."""
    dockerfile: str | None = None
    target: str | None = None
    platform: str = "linux/amd64"
    arguments: Mapping[str, str] = {}


class FleetSettings(Args):
    """One fleet; it uses whatever of cache, database and storage the environment has."""

    image: str | BuildSettings
    """A ready image, best by its digest, or how to build one."""
    replicas: Replicas = Replicas()
    resources: Resources = Resources()
    worker: Worker | None = None
    """Where it is said, even as {}, the fleet has a queue and workers."""
    queue: WorkQueueOptions = WorkQueueOptions()
    task_timeout: int = Field(default=DEFAULT_TASK_SECONDS, ge=1, le=LONGEST_TASK_SECONDS)
    """The longest a task or a request may take, in seconds."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    model: str | None = None
    llm_secret: str | None = None
    """Which of `secrets` holds the keys of the LLM's vendors."""
    environment: Mapping[VariableName, str] = {}
    secret_environment: Mapping[VariableName, SecretKey] = {}


class Settings(Args):
    """One environment. A part that is not said is not made, but for the network and the cluster."""

    environment: str
    """The stack's name; not a key of the file."""
    region: Region
    """The key `aws:region`."""
    protect: bool = True
    """Whether what holds data is protected from deletion and leaves a last snapshot behind."""
    tags: Mapping[str, str] = {}
    """On everything that AWS can tag."""
    namespace: SecretName = "agents"
    """Where the fleets are in the cluster."""
    network: NetworkOptions = NetworkOptions()
    cluster: EksClusterOptions = EksClusterOptions()
    cache: RedisCacheOptions | None = None
    database: DatabaseOptions | None = None
    storage: ArtifactStoreOptions | None = None
    registry: RegistryOptions = RegistryOptions()
    secrets: Mapping[SecretName, SecretSettings] = {}
    fleets: Mapping[FleetName, FleetSettings] = {}

    @model_validator(mode="after")
    def _secrets_exist(self) -> Self:
        for name, fleet in self.fleets.items():
            if fleet.llm_secret is not None and fleet.llm_secret not in self.secrets:
                known = ", ".join(self.secrets) or "none"
                raise ValueError(
                    f"fleets.{name}.llm_secret names {fleet.llm_secret!r}, which `secrets` does not have "
                    f"(it has {known}); add `secrets: {{{fleet.llm_secret}: {{}}}}`"
                )
        return self

    @model_validator(mode="after")
    def _results_have_a_place(self) -> Self:
        for name, fleet in self.fleets.items():
            if fleet.worker is not None and self.database is None:
                raise ValueError(
                    f"fleets.{name}.worker works on tasks, and their results are kept in a database that "
                    "is not there; add `database: {}`, or leave `worker` out"
                )
        return self

    @classmethod
    def load(
        cls,
        config: Mapping[str, str],
        environment: str,
        *,
        project: str = PROJECT,
        secret_keys: Collection[str] = (),
    ) -> Settings:
        """The settings out of a stack's configuration, as the engine hands it over: objects are JSON.

        Raises:
            SettingsError: a setting is unknown or wrong.
        """
        prefix = f"{project}:"
        allowed = sorted(set(cls.model_fields) - {"environment", "region"})
        found: list[Problem] = []
        values: dict[str, Any] = {"environment": environment}
        if _REGION in config:
            values["region"] = config[_REGION]
        for key, text in config.items():
            if not key.startswith(prefix):
                continue
            name = key.removeprefix(prefix)
            if name not in allowed:
                found.append(Problem(key, unknown_name(name, allowed, prefix=prefix)))
            elif key in secret_keys:
                found.append(
                    Problem(key, "is encrypted, and no setting is secret; use `secrets` for what is")
                )
            else:
                values[name] = _decoded(text)
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            found += [_renamed(problem, prefix) for problem in problems(error, cls, hidden=_may_be_secret)]
            raise SettingsError(environment, found) from None
        if found:
            raise SettingsError(environment, found)
        return settings

    def for_rehearsal(self) -> Settings:
        """The same environment without deletion protection and last snapshots, so that its whole life,
        its end included, can be tried. Nothing else differs."""
        return self.model_copy(update={"protect": False})


def _decoded(text: str) -> Any:
    """An object or list out of its JSON; all else is as it was written."""
    if text.startswith(("{", "[")):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _may_be_secret(names: Sequence[str]) -> bool:
    """Where people put secrets, rightly or not; what they wrote there is not repeated."""
    return "secrets" in names or "environment" in names or "arguments" in names


def _renamed(problem: Problem, prefix: str) -> Problem:
    """A problem under the key by which the file says it."""
    if problem.path == "region":
        return Problem(_REGION, problem.message)
    if not problem.path:
        return Problem(f"{prefix}fleets", problem.message)
    return Problem(f"{prefix}{problem.path}", problem.message)

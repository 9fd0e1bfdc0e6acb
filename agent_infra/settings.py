"""What an environment's `Pulumi.<environment>.yaml` may say, checked as a whole before anything is made."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import ValidationError, model_validator

from agent_infra.aws.alarms import Alarms
from agent_infra.aws.arns import KmsKeyArn
from agent_infra.aws.cluster import EksClusterOptions
from agent_infra.aws.network import NetworkOptions
from agent_infra.aws.registry import RegistryOptions
from agent_infra.aws.secrets import SecretsOptions
from agent_infra.component import Args, Problem, problems, shaped, unknown_name
from agent_infra.fleet.args import FleetName
from agent_infra.parts import (
    CacheSettings,
    DatabaseSettings,
    FleetSettings,
    SecretName,
    SecretSettings,
    SecretSyncSettings,
    StorageSettings,
)

PROJECT = "agent-infra"
_REGION = "aws:region"

Region = Annotated[str, shaped(r"[a-z]{2}(-[a-z]+)+-\d", "an AWS region, such as eu-central-1")]

SecurityGroupId = Annotated[
    str, shaped(r"sg-[0-9a-f]+", "a security group's id, such as sg-0123456789abcdef0")
]


class SettingsError(Exception):
    """An environment's settings are wrong; every problem is told at once, by its key."""

    def __init__(self, environment: str, problems: Sequence[Problem]) -> None:
        self.environment = environment
        self.problems = tuple(problems)
        count = "1 setting is" if len(problems) == 1 else f"{len(problems)} settings are"
        lines = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(f"{count} wrong in Pulumi.{environment}.yaml:\n{lines}")


class Settings(Args):
    """One environment. A part that is not said is not made, but for the network and the cluster; each can
    say `existing` for one that is there already, or be left out where nothing needs it."""

    environment: str
    """The stack's name; not a key of the file."""
    region: Region
    """The key `aws:region`."""
    protect: bool = True
    """Whether what holds data is protected from deletion and leaves a last snapshot behind."""
    tags: Mapping[str, str] = {}
    """On everything that AWS can tag."""
    namespace: FleetName = "agents"
    """Where the fleets are in the cluster."""
    network: NetworkOptions | None = NetworkOptions()
    """null: none is made; then the cluster and the data services are existing ones or left out."""
    cluster: EksClusterOptions | None = EksClusterOptions()
    """null: none is made, and there are no fleets."""
    clients: Mapping[str, SecurityGroupId] = {}
    """Who else may connect to the cache and the database: a name of one's choice to a security group's id."""
    cache: CacheSettings | None = None
    database: DatabaseSettings | None = None
    storage: StorageSettings | None = None
    registry: RegistryOptions = RegistryOptions()
    secrets: Mapping[SecretName, SecretSettings] = {}
    """Secrets that any fleet may name."""
    secret_store: SecretsOptions = SecretsOptions()
    """How the secrets that are made here are encrypted, named and copied."""
    secret_sync: SecretSyncSettings = SecretSyncSettings()
    kms_key_arn: KmsKeyArn | None = None
    """A key of one's own for the queues, the bucket, the secrets and new repositories, in place of AWS's. The
    cache and the database each have their own `kms_key_arn`, because another key makes a new one."""
    alarms: Alarms | None = None
    """Even {} makes the alarms of every part; `notify` says whom they tell."""
    fleets: Mapping[FleetName, FleetSettings] = {}

    @model_validator(mode="after")
    def _parts_have_what_they_need(self) -> Self:
        if self.fleets and self.cluster is None:
            raise ValueError(
                f"fleets {', '.join(self.fleets)} run in a cluster, and `cluster` is null; name the one that "
                "is there with `cluster: {existing: ...}`, or leave `cluster` out for a new one"
            )
        made = [
            name
            for name, part in (("cluster", self.cluster), ("cache", self.cache), ("database", self.database))
            if part is not None and getattr(part, "existing", None) is None
        ]
        if made and self.network is None:
            raise ValueError(
                f"{', '.join(made)} would be made in a network, and `network` is null; name the one that is "
                "there with `network: {existing: ...}`, or leave `network` out for a new one"
            )
        return self

    @model_validator(mode="after")
    def _secrets_exist(self) -> Self:
        for name, fleet in self.fleets.items():
            wanted = {"llm_secret": [fleet.llm_secret] if fleet.llm_secret else []}
            wanted["synced_secrets"] = list(fleet.synced_secrets)
            for setting, keys in wanted.items():
                for key in keys:
                    if key not in {**self.secrets, **fleet.secrets}:
                        known = ", ".join({**self.secrets, **fleet.secrets}) or "none"
                        raise ValueError(
                            f"fleets.{name}.{setting} names {key!r}, which `secrets` does not have (it has "
                            f"{known}); add `secrets: {{{key}: {{}}}}`"
                        )
        return self

    @model_validator(mode="after")
    def _pods_get_a_role(self) -> Self:
        cluster = self.cluster
        if cluster is None:
            return self
        for name, fleet in self.fleets.items():
            if fleet.identity == "irsa" and not cluster.irsa:
                raise ValueError(
                    f"fleets.{name}.identity is irsa, and the cluster has no OIDC provider; add "
                    "`irsa: true` to `cluster`"
                )
            if fleet.identity == "pod-identity" and cluster.compute.on_fargate_alone:
                raise ValueError(
                    f"fleets.{name}.identity is pod-identity, which Fargate does not have; say `identity: "
                    "irsa`, and `irsa: true` in `cluster`"
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
    """An object or list out of its JSON; all else is as it was written. The engine says null as nothing."""
    if not text:
        return None
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
    if not problem.path:  # about several keys: it names them itself
        return problem
    return Problem(f"{prefix}{problem.path}", problem.message)

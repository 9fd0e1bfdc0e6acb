"""What an environment's `Pulumi.<environment>.yaml` may say, checked as a whole before anything is made."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import ValidationError, model_validator

from agent_infra.aws.alarms import Alarms
from agent_infra.aws.arns import KmsKeyArn
from agent_infra.aws.cluster import EksClusterOptions
from agent_infra.aws.network import NetworkOptions
from agent_infra.aws.registry import RegistryOptions
from agent_infra.aws.secrets import SecretsOptions
from agent_infra.component import Args, Problem, Problems, problems, shaped, unknown_name
from agent_infra.fleet.options import FleetName
from agent_infra.fleet_checks import few, fleet_problems, told
from agent_infra.fleet_defaults import FleetDefaults, with_defaults
from agent_infra.parts import (
    BuildSettings,
    CacheSettings,
    DatabaseSettings,
    FleetSettings,
    LlmSettings,
    SecretName,
    SecretSettings,
    SecretSyncSettings,
    StorageSettings,
)
from agent_infra.priority_classes import PriorityClassName, PriorityClassSettings

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
        lines = "\n".join(f"  {line}" for line in told(self.problems))
        super().__init__(f"{count} wrong in Pulumi.{environment}.yaml:\n{lines}")


class Settings(Args):
    """One environment. A part that is not said is not made, but for the network and the cluster; each can
    say `existing` for one that is there already, or be left out where nothing needs it."""

    environment: str
    """The stack's name; not a key of the file."""
    region: Region
    """The key `aws:region`."""
    kubernetes: Literal["files", "simulated"] | None = None
    """Of an environment on this machine: whether its Kubernetes objects are files, as they are by default, or
    in a simulated cluster, where fleets scale. Another one's rehearsal takes `--kubernetes`."""
    protect: bool = True
    """Whether AWS and Pulumi refuse to delete what holds data. Without, deleting leaves nothing."""
    tags: Mapping[str, str] = {}
    """On everything that AWS can tag."""
    namespace: FleetName = "agents"
    """Where the fleets are in the cluster."""
    network: NetworkOptions | None = NetworkOptions()
    """null: none is made; then the cluster and the data services are existing ones or left out."""
    cluster: EksClusterOptions | None = EksClusterOptions()
    """null: none is made, and there are no fleets."""
    priority_classes: Mapping[PriorityClassName, PriorityClassSettings] = {}
    """Which fleets' pods go before which: a name, which `placement.priority_class` says, to each."""
    clients: Mapping[FleetName, SecurityGroupId] = {}
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
    llm: LlmSettings | None = None
    """What each fleet's own `llm` is laid over, field by field."""
    fleet_defaults: FleetDefaults | None = None
    """What each fleet's own settings are laid over: mappings are merged, all else is replaced, and `null`
    takes a default away."""
    images: Mapping[FleetName, BuildSettings] = {}
    """Images that any number of fleets name as their `image`; each is built once."""
    fleets: Mapping[FleetName, FleetSettings] = {}
    """With the defaults in them."""

    @model_validator(mode="after")
    def _simulates_only_here(self) -> Self:
        here = self.environment == "local" or self.environment.startswith("local-")
        if self.kubernetes is not None and not here:
            raise ValueError(
                f"kubernetes is {self.kubernetes!r} in the environment {self.environment!r}, which has a "
                "cluster in the cloud; leave it out, and rehearse it on this machine with "
                f"`agent-infra up --stack {self.environment} --rehearse --kubernetes {self.kubernetes}`"
            )
        return self

    @model_validator(mode="after")
    def _parts_have_what_they_need(self) -> Self:
        if self.fleets and self.cluster is None:
            raise ValueError(
                f"fleets {few(list(self.fleets))} run in a cluster, and `cluster` is null; name the one that "
                "is there with `cluster: {existing: ...}`, or leave `cluster` out for a new one"
            )
        if "cluster" in self.clients:
            raise ValueError(
                "clients.cluster is the cluster's own, which may connect already; call it otherwise"
            )
        if self.cluster and self.cluster.existing and self.network and not self.network.existing:
            raise ValueError(
                "`cluster.existing` is in a network of its own, and `network` would make another; say "
                "`network: {existing: ...}` with that cluster's VPC, or `network: null` where nothing is "
                "made in it"
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

    @model_validator(mode="before")
    @classmethod
    def _with_defaults(cls, values: Any) -> Any:
        return with_defaults(values) if isinstance(values, Mapping) else values

    @model_validator(mode="after")
    def _fleets_fit(self) -> Self:
        if found := list(fleet_problems(self)):
            raise Problems(found)
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


#: Where people put secrets, rightly or not.
_SENSITIVE = frozenset(
    {
        "secrets",
        "environment",
        "secret_environment",
        "arguments",
        "existing",
        "llm.secret",
        "api_keys_secret",
        "synced_secrets",
    }
)


def _may_be_secret(names: Sequence[str]) -> bool:
    """Whether what was written there is not repeated."""
    return bool(_SENSITIVE & {*names, ".".join(names[-2:])}) or list(names) in (["cache"], ["database"])


def _renamed(problem: Problem, prefix: str) -> Problem:
    """A problem under the key by which the file says it."""
    if problem.path == "region":
        return Problem(_REGION, problem.message)
    if not problem.path:  # about several keys: it names them itself
        return problem
    return Problem(f"{prefix}{problem.path}", problem.message)

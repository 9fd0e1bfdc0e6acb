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
from agent_infra.fleet.options import FleetName
from agent_infra.fleet.references import moves, pinning
from agent_infra.parts import (
    API_KEYS,
    BuildSettings,
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
    """Whether AWS and Pulumi refuse to delete what holds data. Without, deleting leaves nothing."""
    tags: Mapping[str, str] = {}
    """On everything that AWS can tag."""
    namespace: FleetName = "agents"
    """Where the fleets are in the cluster."""
    network: NetworkOptions | None = NetworkOptions()
    """null: none is made; then the cluster and the data services are existing ones or left out."""
    cluster: EksClusterOptions | None = EksClusterOptions()
    """null: none is made, and there are no fleets."""
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
    images: Mapping[FleetName, BuildSettings] = {}
    """Images that any number of fleets name as their `image`; each is built once."""
    fleets: Mapping[FleetName, FleetSettings] = {}

    @model_validator(mode="after")
    def _parts_have_what_they_need(self) -> Self:
        if self.fleets and self.cluster is None:
            raise ValueError(
                f"fleets {', '.join(self.fleets)} run in a cluster, and `cluster` is null; name the one that "
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

    @model_validator(mode="after")
    def _secrets_exist(self) -> Self:
        for name, fleet in self.fleets.items():
            known = {**self.secrets, **fleet.secrets}
            for setting, keys in (
                ("llm_secret", [fleet.llm_secret]),
                ("auth.api_keys_secret", [fleet.auth.api_keys_secret]),
                ("synced_secrets", fleet.synced_secrets),
            ):
                # What was written is not repeated: people put the secret itself where its name belongs.
                if any(key is not None and key not in known for key in keys):
                    raise ValueError(
                        f"fleets.{name}.{setting} names a secret that `secrets` does not have (it has "
                        f"{', '.join(known) or 'none'}); add it there, such as `secrets: {{llm: {{}}}}`"
                    )
        return self

    @model_validator(mode="after")
    def _somebody_is_told_apart(self) -> Self:
        for name, fleet in self.fleets.items():
            auth = fleet.auth
            if auth.api_keys is False and auth.oidc is None and self.environment != "local":
                raise ValueError(
                    f"fleets.{name}.auth says `api_keys: false` and no `oidc`: anybody could ask, and the "
                    "service lets anybody ask in the environment `local` alone; add `oidc: {issuer: ..., "
                    "audience: ...}`, or leave `api_keys` out"
                )
            if API_KEYS in fleet.secrets and fleet.makes_api_keys(self.environment):
                raise ValueError(
                    f"fleets.{name}.secrets.{API_KEYS} is the name of the secret that is made for its API "
                    f"keys; add `auth: {{api_keys_secret: {API_KEYS}}}` to use yours for them, or rename it"
                )
        return self

    @model_validator(mode="after")
    def _names_are_told_apart(self) -> Self:
        taken: dict[str, str] = {}
        for name, fleet in self.fleets.items():
            for key in fleet.synced_secrets:
                owner = f"fleets.{name}.secrets.{key}" if key in fleet.secrets else f"secrets.{key}"
                called = fleet.kubernetes_name(name, key)
                if taken.setdefault(called, owner) != owner:
                    raise ValueError(
                        f"{taken[called]} and {owner} would both be the Kubernetes secret {called!r}; rename "
                        "one"
                    )
            if fleet.worker is not None and f"{name}-worker" in self.fleets:
                raise ValueError(
                    f"fleets.{name}-worker would have the name of the workers of fleets.{name}; rename one"
                )
        return self

    @model_validator(mode="after")
    def _pods_get_a_role(self) -> Self:
        cluster = self.cluster
        if cluster is None:
            return self
        for name, fleet in self.fleets.items():
            if fleet.identity == "irsa" and not (cluster.irsa or _issuer_is_known(cluster)):
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

    @model_validator(mode="after")
    def _images_are_known(self) -> Self:
        found: list[str] = []
        for name, fleet in self.fleets.items():
            image = fleet.image
            if not isinstance(image, str):
                if name in self.images:
                    found.append(
                        f"fleets.{name}.image and images.{name} would have the same repository; rename one"
                    )
            elif image not in self.images:
                if self.images and "/" not in image and ":" not in image and "@" not in image:
                    found.append(
                        f"fleets.{name}.image: {image!r} {unknown_name(image, list(self.images))}, or a "
                        f"ready image with its registry and tag, such as docker.io/library/{image}:1"
                    )
                elif self.protect and moves(image):
                    found.append(f"fleets.{name}.image: {pinning(image)}; `protect: false` takes tags")
        if found:
            raise ValueError("; ".join(found))
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


def _issuer_is_known(cluster: EksClusterOptions) -> bool:
    return cluster.existing is not None and cluster.existing.oidc_provider_arn is not None


#: Where people put secrets, rightly or not.
_SENSITIVE = frozenset(
    {
        "secrets",
        "environment",
        "secret_environment",
        "arguments",
        "existing",
        "llm_secret",
        "api_keys_secret",
        "synced_secrets",
    }
)


def _may_be_secret(names: Sequence[str]) -> bool:
    """Whether what was written there is not repeated."""
    return bool(_SENSITIVE & set(names)) or list(names) in (["cache"], ["database"])


def _renamed(problem: Problem, prefix: str) -> Problem:
    """A problem under the key by which the file says it."""
    if problem.path == "region":
        return Problem(_REGION, problem.message)
    if not problem.path:  # about several keys: it names them itself
        return problem
    return Problem(f"{prefix}{problem.path}", problem.message)

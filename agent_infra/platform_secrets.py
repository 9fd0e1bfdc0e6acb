"""A platform's secrets, made or existing, and how its fleets come by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from agent_infra.aws.cluster import EksCluster
from agent_infra.aws.secrets import Secrets, SecretsOptions
from agent_infra.component import MaybeOutput
from agent_infra.fleet.secret_sync import SecretSync
from agent_infra.parts import API_KEYS, SecretSettings
from agent_infra.settings import Settings
from agent_infra.stores import said

#: A key's name owns what is made with it.
_FIRST_KEY = "first"


@dataclass(frozen=True)
class Found:
    """One secret."""

    arn: MaybeOutput[str]
    kms_key_arn: MaybeOutput[str] | None
    """The key of one's own that encrypts it."""
    version: pulumi.Output[str] | None
    """Changes with what the program writes into it; None for one that exists."""


class PlatformSecrets:
    """The secrets of an environment and of its fleets; not a component, so that they stay the platform's."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        variables: Mapping[str, pulumi.Output[Any]],
        opts: pulumi.ResourceOptions,
        tags: Mapping[str, str],
    ) -> None:
        self._settings = settings
        self._variables = variables
        self.made = Secrets(
            f"{name}-secrets",
            {
                **said(settings.secret_store, SecretsOptions),
                "values": self._contents(settings.secrets),
                "agents": {
                    fleet: contents
                    for fleet, spec in settings.fleets.items()
                    if (contents := {**self._contents(spec.secrets), **dict.fromkeys(self._drawn(fleet))})
                },
                "generated": {
                    f"{fleet}/{key}": name
                    for fleet in settings.fleets
                    for key, name in self._drawn(fleet).items()
                },
                "environment": settings.environment,
                "kms_key_arn": settings.kms_key_arn,
                "recovery_days": 30 if settings.protect else 0,
                "alarms": settings.alarms,
                "tags": tags,
            },
            opts,
        )

    def _contents(self, secrets: Mapping[str, SecretSettings]) -> dict[str, pulumi.Output[Any] | None]:
        """What each new secret holds; None for those that are filled by hand."""
        contents: dict[str, pulumi.Output[Any] | None] = {}
        for key, secret in secrets.items():
            if secret.existing is not None:
                continue
            chosen = {
                variable: self._variables[variable]
                for variable in secret.from_environment or ()
                if variable in self._variables
            }
            contents[key] = None if secret.from_environment is None else pulumi.Output.secret(chosen)
        return contents

    def _drawn(self, fleet: str) -> dict[str, str]:
        """The fleet's own secrets that start with a drawn value, and what that is called in them."""
        wanted = self._settings.fleets[fleet].makes_api_keys(self._settings.environment)
        return {API_KEYS: _FIRST_KEY} if wanted else {}

    def api_keys(self, fleet: str) -> Found | None:
        """The secret of a fleet's API keys; None where it asks for none."""
        named = self._settings.fleets[fleet].auth.api_keys_secret
        if named is not None:
            return self.find(fleet, named)
        return self._made(f"{fleet}/{API_KEYS}") if self._drawn(fleet) else None

    def find(self, fleet: str | None, key: str) -> Found:
        """A fleet's own secret of that name, else the environment's; the settings say that there is one."""
        own = {} if fleet is None else self._settings.fleets[fleet].secrets
        settings = own.get(key) or self._settings.secrets[key]
        if settings.existing is not None:
            return Found(settings.existing, settings.kms_key_arn, None)
        return self._made(f"{fleet}/{key}" if key in own else key)

    def _made(self, path: str) -> Found:
        return Found(self.made.arns[path], self.made.kms_key_arn, self.made.versions[path])

    @property
    def arns(self) -> dict[str, MaybeOutput[str]]:
        """Every secret's ARN: by its name, a fleet's own by `<fleet>/<name>`."""
        found = {key: self.find(None, key).arn for key in self._settings.secrets}
        for fleet, spec in self._settings.fleets.items():
            found.update({f"{fleet}/{key}": self.find(fleet, key).arn for key in spec.secrets})
            found.update(
                {path: self.made.arns[path] for path in (f"{fleet}/{key}" for key in self._drawn(fleet))}
            )
        return found

    @property
    def api_keys_arns(self) -> dict[str, MaybeOutput[str]]:
        """The ARN of each fleet's API keys, where it has some."""
        found = {fleet: self.api_keys(fleet) for fleet in self._settings.fleets}
        return {fleet: keys.arn for fleet, keys in found.items() if keys is not None}

    @property
    def _on_fargate(self) -> bool:
        """Whether pods cannot get a role by Pod Identity."""
        cluster = self._settings.cluster
        return cluster is not None and cluster.compute.on_fargate_alone

    def synced(
        self, name: str, cluster: EksCluster, opts: pulumi.ResourceOptions, tags: Mapping[str, str]
    ) -> SecretSync | None:
        """Keeps those secrets in Kubernetes that a fleet wants there; None where none does.

        A fleet's secret `llm` is called `llm` in Kubernetes, and one of its own `<fleet>-llm`.
        """
        wanted = {
            spec.kubernetes_name(fleet, key): self.find(fleet, key)
            for fleet, spec in self._settings.fleets.items()
            for key in spec.synced_secrets
        }
        if not wanted:
            return None
        sync = self._settings.secret_sync
        return SecretSync(
            f"{name}-sync",
            {
                "secrets": {
                    key: {"arn": found.arn, "version": found.version} for key, found in wanted.items()
                },
                "cluster_name": cluster.name if sync.install else None,
                "oidc_provider_arn": cluster.oidc_provider_arn if self._on_fargate else None,
                "namespace": self._settings.namespace,
                "region": self._settings.region,
                "kms_key_arns": _once([found.kms_key_arn for found in wanted.values()]),
                "refresh_seconds": sync.refresh_seconds,
                "install": sync.install,
                "controller_role_arn": sync.controller_role_arn,
                "restart": sync.restart,
                "tags": tags,
            },
            opts,
        )


def _once(keys: list[MaybeOutput[str] | None]) -> list[MaybeOutput[str]]:
    """Each key once; Outputs are told apart by which they are."""
    found = {key if isinstance(key, str) else id(key): key for key in keys if key is not None}
    return list(found.values())

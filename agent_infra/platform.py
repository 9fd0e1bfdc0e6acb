"""`AgentPlatform`: one environment, whole."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from agent_infra.aws.artifact_store import ArtifactStore, ArtifactStoreArgs, ArtifactStoreOptions
from agent_infra.aws.cache import RedisCache, RedisCacheArgs, RedisCacheOptions
from agent_infra.aws.cluster import EksCluster, EksClusterArgs, EksClusterOptions
from agent_infra.aws.database import Database, DatabaseArgs, DatabaseOptions
from agent_infra.aws.network import Network, NetworkArgs, NetworkOptions
from agent_infra.aws.queue import WorkQueue, WorkQueueArgs, WorkQueueOptions
from agent_infra.aws.registry import Registry, RegistryArgs, RegistryOptions
from agent_infra.aws.secrets import Secrets, SecretsArgs
from agent_infra.component import Args, Component
from agent_infra.fleet import (
    AgentFleet,
    AgentFleetArgs,
    BucketConnection,
    CacheConnection,
    DatabaseConnection,
    ImageBuild,
    QueueConnection,
    Worker,
)
from agent_infra.parts import BuildSettings, FleetSettings
from agent_infra.settings import Settings

#: What the namespace's pods must satisfy: https://kubernetes.io/docs/concepts/security/pod-security-standards/.
POD_SECURITY = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}


class AgentPlatformArgs(Args):
    """The arguments of `AgentPlatform`."""

    settings: Settings
    project_dir: str = "."
    """What the settings' image contexts are relative to, itself relative to the program's directory."""
    variables: Mapping[str, pulumi.Output[Any]] = {}
    """The values of the environment variables that secrets are made of, as secret `Output`s."""


def secret_variables(settings: Settings, environ: Mapping[str, str]) -> dict[str, pulumi.Output[Any]]:
    """The environment variables that the settings' secrets are made of: those that are set, marked secret."""
    wanted = {
        name
        for secret in settings.secrets.values()
        for name in secret.from_environment or ()
        if environ.get(name)
    }
    return {name: pulumi.Output.secret(environ[name]) for name in sorted(wanted)}


class AgentPlatform(Component):
    """A network, a cluster, the data services that the settings ask for, and the fleets on them.

    Only the cluster's nodes may connect to the cache and the database. Each fleet has its own AWS
    role, its own queue where it has workers, and its own image repository where its image is built.

    Raises:
        ArgsError: an argument is wrong.
    """

    network: Network
    cluster: EksCluster
    cache: RedisCache | None
    database: Database | None
    storage: ArtifactStore | None
    secrets: Secrets
    queues: dict[str, WorkQueue]
    fleets: dict[str, AgentFleet]
    outputs: dict[str, pulumi.Output[Any] | dict[str, Any] | str | None]
    """What a stack should export; nothing of it is secret."""

    def __init__(
        self,
        name: str,
        args: AgentPlatformArgs | Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        self._args = args = AgentPlatformArgs.parse(args, owner=f"AgentPlatform {name!r}")
        self._settings = settings = args.settings
        super().__init__("AgentPlatform", name, opts, tags=settings.tags)
        self._shared_tags = {"environment": settings.environment, **settings.tags}
        self.network = Network(
            f"{name}-network",
            NetworkArgs(**_said(settings.network, NetworkOptions), tags=self._shared_tags),
            self._opts(),
        )
        self.cluster = EksCluster(
            f"{name}-cluster",
            EksClusterArgs(
                **_said(settings.cluster, EksClusterOptions),
                subnet_ids=self.network.private_subnet_ids,
                cluster_name=f"{name}-{settings.environment}",
                deletion_protection=settings.protect,
                tags=self._shared_tags,
            ),
            self._opts(),
        )
        self._data_services()
        self._namespace = kubernetes.core.v1.Namespace(
            f"{name}-namespace",
            metadata={
                "name": settings.namespace,
                "labels": {"app.kubernetes.io/managed-by": "agent-infra", **POD_SECURITY},
            },
            opts=self._opts(provider=self.cluster.provider),
        )
        self.queues = {}
        self.fleets = {fleet: self._fleet(fleet, spec) for fleet, spec in settings.fleets.items()}
        self.outputs = self._outputs()
        self.register_outputs(self.outputs)

    def _data_services(self) -> None:
        name, settings, tags = self._name, self._settings, self._shared_tags
        placed = {
            "vpc_id": self.network.vpc_id,
            "subnet_ids": self.network.isolated_subnet_ids,
            "clients": {"cluster": self.cluster.security_group_id},
            "deletion_protection": settings.protect,
            "tags": tags,
        }
        self.cache = (
            RedisCache(
                f"{name}-cache",
                RedisCacheArgs(**_said(settings.cache, RedisCacheOptions), **placed),
                self._opts(),
            )
            if settings.cache
            else None
        )
        self.database = (
            Database(
                f"{name}-database",
                DatabaseArgs(**_said(settings.database, DatabaseOptions), **placed),
                self._opts(),
            )
            if settings.database
            else None
        )
        self.storage = (
            ArtifactStore(
                f"{name}-storage",
                ArtifactStoreArgs(
                    **_said(settings.storage, ArtifactStoreOptions),
                    deletion_protection=settings.protect,
                    tags=tags,
                ),
                self._opts(),
            )
            if settings.storage
            else None
        )
        values: dict[str, pulumi.Output[Any] | None] = {}
        for key, secret in settings.secrets.items():
            chosen = {
                variable: self._args.variables[variable]
                for variable in secret.from_environment or ()
                if variable in self._args.variables
            }
            values[key] = None if secret.from_environment is None else pulumi.Output.secret(chosen)
        self.secrets = Secrets(
            f"{name}-secrets",
            SecretsArgs(values=values, recovery_days=30 if settings.protect else 0, tags=tags),
            self._opts(),
        )

    def _fleet(self, fleet: str, spec: FleetSettings) -> AgentFleet:
        queue = None
        if spec.worker is not None:
            queue = self.queues[fleet] = WorkQueue(
                f"{self._name}-{fleet}-tasks",
                WorkQueueArgs(
                    **_said(spec.queue, WorkQueueOptions),
                    task_timeout=spec.task_timeout,
                    tags=self._shared_tags,
                ),
                self._opts(),
            )
        args = AgentFleetArgs(
            image=self._image(fleet, spec.image),
            fleet_name=fleet,
            namespace=self._settings.namespace,
            part_of=self._name,
            environment_name=self._settings.environment,
            replicas=spec.replicas,
            resources=spec.resources,
            worker=spec.worker or Worker(),
            task_timeout=spec.task_timeout,
            log_level=spec.log_level,
            model=spec.model,
            cache=self.cache and CacheConnection(url=self.cache.url, secret_arn=self.cache.secret_arn),
            database=self.database
            and DatabaseConnection(url=self.database.url, secret_arn=self.database.secret_arn),
            queue=queue
            and QueueConnection(url=queue.url, arn=queue.arn, max_receives=spec.queue.max_receives),
            bucket=self.storage and BucketConnection(name=self.storage.bucket, arn=self.storage.arn),
            llm_secret_arn=self.secrets.arns[spec.llm_secret] if spec.llm_secret else None,
            secret_environment=spec.secret_environment,
            extra_environment=spec.environment,
            cluster_name=self.cluster.name,
            region=self._settings.region,
            tags=self._shared_tags,
        )
        waits = [self._namespace, *([self.database.ready] if self.database else [])]
        return AgentFleet(fleet, args, self._opts(provider=self.cluster.provider, depends_on=waits))

    def _image(self, fleet: str, image: str | BuildSettings) -> str | ImageBuild:
        if isinstance(image, str):
            return image
        registry = Registry(
            f"{self._name}-{fleet}-images",
            RegistryArgs(
                **_said(self._settings.registry, RegistryOptions),
                deletion_protection=self._settings.protect,
                tags=self._shared_tags,
            ),
            self._opts(),
        )
        token = aws.ecr.get_authorization_token_output(opts=pulumi.InvokeOutputOptions(parent=self))
        context = Path(os.path.normpath(Path(self._args.project_dir) / image.context))
        return ImageBuild(
            context=str(context),
            repository_url=registry.repository_url,
            dockerfile=str(context / image.dockerfile) if image.dockerfile else None,
            target=image.target,
            platform=image.platform,
            arguments=image.arguments,
            username=token.user_name,
            password=pulumi.Output.secret(token.password),
        )

    def _outputs(self) -> dict[str, Any]:
        return {
            "environment": self._settings.environment,
            "region": self._settings.region,
            "cluster_name": self.cluster.name,
            "vpc_id": self.network.vpc_id,
            "cache_url": self.cache.url if self.cache else None,
            "database_url": self.database.url if self.database else None,
            "bucket": self.storage.bucket if self.storage else None,
            "secret_arns": self.secrets.arns,
            "queue_urls": {fleet: queue.url for fleet, queue in self.queues.items()},
            "dead_letter_queue_urls": {fleet: queue.dead_letter_url for fleet, queue in self.queues.items()},
            "fleets": {
                name: {"service": fleet.service, "namespace": fleet.namespace, "image": fleet.image}
                for name, fleet in self.fleets.items()
            },
        }


def _said(settings: Args, options: type[Args]) -> dict[str, Any]:
    """What the settings of a part say of its component's options."""
    return {name: getattr(settings, name) for name in options.model_fields}

"""`AgentPlatform`: one environment, whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pulumi
import pulumi_kubernetes as kubernetes

from agent_infra.aws.cluster import EksCluster, EksClusterOptions
from agent_infra.aws.keda_access import KedaAccess
from agent_infra.aws.network import Network, NetworkOptions
from agent_infra.aws.queue import WorkQueue, WorkQueueOptions
from agent_infra.aws.secrets import Secrets
from agent_infra.component import Args, Component
from agent_infra.fleet import AgentFleet, AgentFleetArgs, QueueConnection, Worker
from agent_infra.fleet.deletion_cost_access import DeletionCostAccess
from agent_infra.fleet.options import FleetOptions
from agent_infra.fleet.secret_sync import SecretSync
from agent_infra.parts import BuildSettings, FleetSettings
from agent_infra.platform_images import PlatformImages, check_images
from agent_infra.platform_secrets import PlatformSecrets
from agent_infra.priority_classes import priority_classes
from agent_infra.settings import Settings
from agent_infra.stores import Place, Stores, check_stores, make_stores, said

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
    """The environment variables that the settings' secrets, also those of builds, are made of: those that are
    set, marked secret."""
    wanted = {
        name
        for secrets in (settings.secrets, *(fleet.secrets for fleet in settings.fleets.values()))
        for secret in secrets.values()
        for name in secret.from_environment or ()
        if environ.get(name)
    }
    builds = [*settings.images.values(), *(fleet.image for fleet in settings.fleets.values())]
    for build in builds:
        if isinstance(build, BuildSettings):
            wanted |= {name for name in build.secrets.values() if environ.get(name)}
    return {name: pulumi.Output.secret(environ[name]) for name in sorted(wanted)}


class AgentPlatform(Component):
    """A network, a cluster, the data services that the settings ask for, and the fleets on them.

    Only the cluster's nodes may connect to the cache and the database. Each fleet has its own AWS
    role, its own queue where it has workers; each image that is built has its own repository.
    Each part can be one that exists already, or be left out where nothing needs it.

    Raises:
        ArgsError: an argument is wrong.
    """

    network: Network | None
    cluster: EksCluster | None
    stores: Stores
    """The cache, the database and the bucket."""
    secrets: Secrets
    secret_sync: SecretSync | None
    """Keeps in Kubernetes what fleets want there; None where none does."""
    queues: dict[str, WorkQueue]
    """By fleet; only those that were made here."""
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
        # Before anything is made: a resource that was registered is made, even where the program fails later.
        check_stores(settings)
        check_images(settings, args.project_dir, args.variables)
        super().__init__("AgentPlatform", name, opts, tags=settings.tags)
        self._shared_tags = {"environment": settings.environment, **settings.tags}
        self._cluster_name = f"{name}-{settings.environment}"
        self.network = self._network()
        # Before the cluster: its autoscaler may read these queues and no others.
        self.queues = {
            fleet: self._queue(fleet, spec)
            for fleet, spec in settings.fleets.items()
            if spec.worker is not None and spec.queue.existing is None
        }
        self._to_queues = {fleet: self._queue_connection(fleet) for fleet in settings.fleets}
        self.cluster = self._cluster()
        self.stores = make_stores(name, settings, self._place(), self._opts(), self._shared_tags)
        self._secrets = PlatformSecrets(name, settings, args.variables, self._opts(), self._shared_tags)
        self.secrets = self._secrets.made
        self._images = PlatformImages(
            name, settings, args.project_dir, args.variables, self._opts(), self._shared_tags
        )
        self._waits = self._namespace()
        self.secret_sync = self._sync()
        self._deletion_cost_role = self._deletion_cost()
        self.fleets = {fleet: self._fleet(fleet, spec) for fleet, spec in settings.fleets.items()}
        self.outputs = self._outputs()
        self.register_outputs(self.outputs)

    def _network(self) -> Network | None:
        options = self._settings.network
        if options is None:
            return None
        return Network(
            f"{self._name}-network",
            {
                **said(options, NetworkOptions),
                "cluster_name": self._cluster_name if self._settings.cluster else None,
                "alarms": self._settings.alarms,
                "tags": self._shared_tags,
            },
            self._opts(),
        )

    def _cluster(self) -> EksCluster | None:
        options = self._settings.cluster
        if options is None:
            return None
        return EksCluster(
            f"{self._name}-cluster",
            {
                **said(options, EksClusterOptions),
                "subnet_ids": self.network.private_subnet_ids if self.network else [],
                "cluster_name": None if options.existing else self._cluster_name,
                "keda_queue_arns": [queue.arn for queue in self._to_queues.values() if queue]
                if options.keda
                else [],
                "keda_reads_metrics": any(
                    fleet.worker is not None and fleet.worker.replicas.queue_age is not None
                    for fleet in self._settings.fleets.values()
                ),
                "deletion_protection": self._settings.protect,
                "tags": self._shared_tags,
            },
            self._opts(),
        )

    def _place(self) -> Place | None:
        if self.network is None:
            return None
        cluster = {"cluster": self.cluster.security_group_id} if self.cluster else {}
        return Place(
            vpc_id=self.network.vpc_id,
            subnet_ids=self.network.isolated_subnet_ids,
            clients={**cluster, **self._settings.clients},
        )

    def _namespace(self) -> list[pulumi.Resource]:
        """The fleets' namespace, and all else that they have to wait for."""
        if self.cluster is None:
            return []
        labels = {"app.kubernetes.io/managed-by": "agent-infra", **POD_SECURITY}
        namespace = kubernetes.core.v1.Namespace(
            f"{self._name}-namespace",
            metadata={"name": self._settings.namespace, "labels": labels},
            opts=self._opts(provider=self.cluster.provider),
        )
        classes = priority_classes(
            self._name, self._settings.priority_classes, self._opts(provider=self.cluster.provider)
        )
        return [namespace, *classes, *self.cluster.ready, *self.stores.ready]

    def _sync(self) -> SecretSync | None:
        if self.cluster is None:
            return None
        opts = self._opts(provider=self.cluster.provider, depends_on=self._waits)
        return self._secrets.synced(self._name, self.cluster, opts, self._shared_tags)

    def _deletion_cost(self) -> pulumi.Output[str] | None:
        """What lets the workers of all fleets tell how busy they are: one for the namespace."""
        fleets = self._settings.fleets.items()
        telling = [name for name, it in fleets if it.worker and it.worker.shrinks and it.deletion_cost]
        if self.cluster is None or not telling:
            return None
        opts = self._opts(provider=self.cluster.provider, depends_on=self._waits)
        where = {"namespace": self._settings.namespace, "service_accounts": telling}
        return DeletionCostAccess(f"{self._name}-deletion-cost", where, opts).role_name

    def _queue(self, fleet: str, spec: FleetSettings) -> WorkQueue:
        return WorkQueue(
            f"{self._name}-{fleet}-tasks",
            {
                **said(spec.queue, WorkQueueOptions),
                "task_timeout": spec.task_timeout,
                "visibility": spec.contract.visibility,
                "kms_key_arn": self._settings.kms_key_arn,
                "alarms": self._settings.alarms,
                "deletion_protection": self._settings.protect,
                "tags": self._shared_tags,
            },
            self._opts(),
        )

    def _queue_connection(self, fleet: str) -> QueueConnection | None:
        spec = self._settings.fleets[fleet]
        if fleet not in self.queues:
            return spec.queue.existing
        queue = self.queues[fleet]
        return QueueConnection(
            url=queue.url,
            arn=queue.arn,
            max_receives=spec.queue.max_receives,
            kms_key_arn=queue.kms_key_arn,
            dead_letter_url=queue.dead_letter_url,
            dead_letter_arn=queue.dead_letter_arn,
        )

    def _fleet(self, fleet: str, spec: FleetSettings) -> AgentFleet:
        # The settings refuse fleets without a cluster.
        cluster = cast("EksCluster", self.cluster)
        llm = self._secrets.find(fleet, spec.llm.secret) if spec.llm.secret else None
        keys = self._secrets.api_keys(fleet)
        written = {"llm": llm and llm.version, "api-keys": keys and keys.version}
        synced = [spec.kubernetes_name(fleet, key) for key in spec.synced_secrets]
        args = AgentFleetArgs(
            **{name: value for name, value in said(spec, FleetOptions).items() if name != "llm"},
            image=self._images.of(fleet),
            image_platforms=self._images.platforms_of(fleet),
            require_digest=self._settings.protect,
            fleet_name=fleet,
            namespace=self._settings.namespace,
            part_of=self._name,
            environment_name=self._settings.environment,
            worker=spec.worker or Worker(),
            cache=self.stores.cache_connection,
            database=self.stores.database_connection,
            queue=self._to_queues[fleet],
            keda=self._keda(),
            bucket=self.stores.bucket_connection,
            llm_secret_arn=llm and llm.arn,
            llm_secret_kms_key_arn=llm and llm.kms_key_arn,
            api_keys_secret_arn=keys and keys.arn,
            api_keys_secret_kms_key_arn=keys and keys.kms_key_arn,
            oidc=spec.auth.oidc,
            llm=spec.llm_of(fleet),
            secret_versions={name: version for name, version in written.items() if version is not None},
            synced_secrets=[self.secret_sync.synced[name] for name in synced] if self.secret_sync else [],
            deletion_cost_role=self._deletion_cost_role,
            extra_environment=spec.environment,
            cluster_name=cluster.name,
            cluster_arn=cluster.arn,
            oidc_provider_arn=cluster.oidc_provider_arn if spec.identity == "irsa" else None,
            region=self._settings.region,
            kubeconfig=cluster.kubeconfig,
            tags=self._shared_tags,
        )
        return AgentFleet(fleet, args, self._opts(provider=cluster.provider, depends_on=self._waits))

    def _keda(self) -> KedaAccess | None:
        """The cluster's KEDA, as its fleets see it."""
        keda = self._settings.cluster.keda if self._settings.cluster else None
        return None if keda is None else KedaAccess(**said(keda, KedaAccess))

    def _outputs(self) -> dict[str, Any]:
        stores = self.stores
        queues = {fleet: queue for fleet, queue in self._to_queues.items() if queue}
        return {
            "environment": self._settings.environment,
            "region": self._settings.region,
            "cluster_name": self.cluster and self.cluster.name,
            "vpc_id": self.network and self.network.vpc_id,
            "cache_url": stores.cache_connection and stores.cache_connection.url,
            "database_url": stores.database_connection and stores.database_connection.url,
            "bucket": stores.bucket_connection and stores.bucket_connection.name,
            "secret_arns": self._secrets.arns,
            "api_keys_secret_arns": self._secrets.api_keys_arns,
            "queue_urls": {fleet: queue.url for fleet, queue in queues.items()},
            "dead_letter_queue_urls": {fleet: queue.dead_letter_url for fleet, queue in self.queues.items()},
            "fleets": {
                name: {
                    "service": fleet.service,
                    "url": fleet.url,
                    "namespace": fleet.namespace,
                    "image": fleet.image,
                    "max_replicas": fleet.max_replicas,
                }
                for name, fleet in self.fleets.items()
            },
        }

"""What can be said about a fleet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

import pulumi
from pydantic import model_validator

from agent_infra.aws.arns import ClusterArn, KmsKeyArn, OidcProviderArn
from agent_infra.aws.keda_access import KedaAccess
from agent_infra.component import Args, MaybeOutput, Problem, Problems, shaped
from agent_infra.contract import TaskContract
from agent_infra.fleet import scaling_plan, shared_state
from agent_infra.fleet.agents_args import unfit_agents
from agent_infra.fleet.connections import (
    BucketConnection,
    CacheConnection,
    DatabaseConnection,
    QueueConnection,
)
from agent_infra.fleet.image_args import ImageBuild, ImageReference, Platform
from agent_infra.fleet.names import ComponentKind
from agent_infra.fleet.options import FleetName, FleetOptions, Worker
from agent_infra.fleet.placement_args import Placement, check_placements, image_architectures
from agent_infra.fleet.probes import check_start
from agent_infra.fleet.references import moves, pinning
from agent_infra.fleet.scaling_args import Replicas
from agent_infra.fleet.scaling_check import scaling_problems
from agent_infra.fleet.variables import PLAIN, VariableName


class SyncedSecret(Args):
    """A Kubernetes secret that somebody else keeps and changes, such as a `SecretSync`."""

    name: MaybeOutput[str]
    environment: bool = True
    """Whether each of its keys becomes an environment variable; the fleet's own settings win over them.
    Without, it only makes the pods be replaced when it changes: for what they read at their start."""
    optional: bool = False
    """Whether a pod starts without it."""


class Oidc(Args):
    """An OpenID Connect issuer whose tokens let people in. A token's subject owns what is made with it."""

    issuer: Annotated[
        str,
        shaped(
            r"https://[^\s?#@]+|http://(localhost|127\.0\.0\.1)(:\d+)?(/[^\s?#@]*)?",
            "the issuer's URL as its tokens say it, such as https://login.example.com/realms/agents",
        ),
    ]
    audience: Annotated[
        str, shaped(r"[\x21-\x2b\x2d-\x7e]+", "what the tokens' `aud` must be, such as agents")
    ]
    owner_claim: str | None = None
    """Which claim names the owner; `sub` where it is not said."""
    scope: Annotated[str, shaped(r"[\x21\x23-\x5b\x5d-\x7e]+", "one scope, such as agents:use")] | None = None
    """A scope without which a token is not enough."""


class AgentFleetArgs(FleetOptions):
    """The arguments of `AgentFleet`."""

    image: ImageReference | ImageBuild | pulumi.Output[str]
    """A ready image by its digest (`repository@sha256:...`), or how to build one."""
    require_digest: bool = True
    """Whether a ready image without a digest is refused. Say False for development alone: a tag, once moved,
    makes pods of one fleet run different images."""
    image_platforms: Sequence[Platform] = ()
    """What a ready image runs on, such as [linux/arm64]; pods of one for one platform go to such nodes."""
    fleet_name: FleetName | None = None
    """What the Kubernetes objects are called; the component's name where it is not said."""
    namespace: MaybeOutput[str] = "default"
    part_of: str | None = None
    """The label app.kubernetes.io/part-of; the fleet's name where it is not said."""
    environment_name: str | None = None
    """Such as dev; the stack's name where it is not said."""

    worker: Worker = Worker()
    """Used where there is a queue."""
    cache: CacheConnection | None = None
    database: DatabaseConnection | None = None
    queue: QueueConnection | None = None
    bucket: BucketConnection | None = None
    llm_secret_arn: MaybeOutput[str] | None = None
    """A Secrets Manager secret: a JSON object with any of OPENAI_API_KEY, ANTHROPIC_API_KEY, LLM_API_KEY."""
    llm_secret_kms_key_arn: MaybeOutput[KmsKeyArn] | None = None
    """The key of one's own that encrypts that secret."""
    api_keys_secret_arn: MaybeOutput[str] | None = None
    """A Secrets Manager secret: a JSON object of names and API keys, each of 20 characters or more, that let
    programs in. Outside the environment `local` the service does not start without this or `oidc`."""
    api_keys_secret_kms_key_arn: MaybeOutput[KmsKeyArn] | None = None
    """The key of one's own that encrypts that secret."""
    oidc: Oidc | None = None
    """Whose tokens let people in."""
    kubernetes_secrets: Mapping[str, Mapping[str, pulumi.Output[Any]]] = {}
    """Kubernetes secrets to make: a name to its keys and their values, as `Output`s. The pods are replaced
    when a value changes."""
    synced_secrets: Sequence[SyncedSecret] = ()
    """Kubernetes secrets that are there, such as `SecretSync.synced`: the pods are replaced when one changes,
    also behind Pulumi's back, where Reloader runs."""
    secret_versions: Mapping[str, MaybeOutput[str]] = {}
    """What tells that a secret which the pods read themselves was written anew, such as `Secrets.versions`:
    the pods are replaced by the `up` that changes it."""

    keda: KedaAccess | None = None
    """The cluster's KEDA; even {} says that there is one. The workers are then scaled by their queue."""
    cluster_name: MaybeOutput[str] | None = None
    """The EKS cluster in which the pods get an AWS role of their own, by EKS Pod Identity."""
    cluster_arn: MaybeOutput[ClusterArn] | None = None
    """That cluster's ARN; without it AWS is asked, for each fleet, for the account and region."""
    oidc_provider_arn: MaybeOutput[OidcProviderArn] | None = None
    """The cluster's OIDC provider in IAM: the pods get their role by it (IRSA) and not by Pod Identity,
    as Fargate and clusters without the Pod Identity agent need. Without either they have no role."""
    region: MaybeOutput[str] | None = None
    """Where the pods call AWS."""
    kubeconfig: MaybeOutput[str] | None = None
    """The cluster's kubeconfig as text, such as `EksCluster.kubeconfig`: a canary asks the cluster how it
    does, beside the provider. Where it is not said: what `kubectl` would use where `up` runs."""

    extra_environment: Annotated[Mapping[VariableName, MaybeOutput[str]], PLAIN] = {}
    """More environment variables; none that a field says, and no secret."""
    extra_policy_statements: Sequence[Mapping[str, Any]] = ()
    """More IAM statements for the pods' role."""
    deletion_cost_role: MaybeOutput[str] | None = None
    """The Role by which its workers may do that already, such as `DeletionCostAccess.role_name`; without it
    the fleet makes one of its own."""
    tags: Mapping[str, str] = {}
    """On what AWS keeps for the fleet."""

    @model_validator(mode="after")
    def _scaling_is_possible(self) -> Self:
        worker = self.worker if self.queue or self.worker.model_fields_set else None
        if found := scaling_problems(self, worker, keda=self.keda, queue=self.queue):
            raise Problems([Problem(path, message) for path, message in found])
        return self

    @model_validator(mode="after")
    def _image_is_pinned(self) -> Self:
        if self.require_digest and isinstance(self.image, str) and moves(self.image):
            raise ValueError(f"image: {pinning(self.image)}; `require_digest` False takes tags")
        return self

    @model_validator(mode="after")
    def _loses_no_task(self) -> Self:
        contract = self.numbers()
        check_placements((self.placement, self.worker.placement), self._architectures(), contract)
        check_start(self.probes, contract)
        return self

    def tells_load(self, kind: ComponentKind) -> bool:
        """Whether pods of that kind tell Kubernetes how busy they are."""
        return kind == "worker" and self.queue is not None and self.deletion_cost and self.worker.shrinks

    def placement_of(self, kind: ComponentKind) -> Placement:
        """Where pods of that kind run."""
        return (self.worker.placement if kind == "worker" else None) or self.placement

    @property
    def architecture(self) -> str | None:
        """The one processor that an image is built for."""
        built = self._architectures()
        return built[0] if len(built) == 1 else None

    def uses_kubernetes(self, kind: ComponentKind) -> bool:
        """Whether pods of that kind talk to Kubernetes' own API."""
        return self.tells_load(kind) or bool(self.extra_pod_spec.get("automountServiceAccountToken"))

    def _architectures(self) -> list[str]:
        return image_architectures(self.image, self.image_platforms)

    def numbers(self) -> TaskContract:
        """The fleet's task contract."""
        visibility = self.queue.visibility if self.queue else None
        return self.task_contract(self.extra_environment, queue_visibility=visibility)

    def replicas_of(self, kind: ComponentKind) -> Replicas:
        """How many pods of that kind run, with `max` lowered to what the model's limits keep busy."""
        return scaling_plan.replicas_of(self, self.worker, kind)

    def situation_of(self, kind: ComponentKind) -> scaling_plan.Situation:
        """What the choice of triggers for that kind depends on."""
        return scaling_plan.Situation(
            kind=kind,
            keda=self.keda,
            has_queue=self.queue is not None,
            worker_concurrency=self.worker.concurrency,
            task_timeout=self.task_timeout,
            queue=self.queue,
        )

    @model_validator(mode="after")
    def _bounds_hold(self) -> Self:
        worker = self.worker.replicas.max if self.queue else 0
        found = [
            *shared_state.missing(
                self,
                processes=self.replicas.max + worker,
                cache=self.cache is not None,
                database=self.database is not None,
            ),
            *unfit_agents(
                self.agents,
                max_receives=self.queue.max_receives if self.queue else None,
                environment=self.extra_environment,
            ),
        ]
        if found:
            raise ValueError("; and ".join(found))
        return self

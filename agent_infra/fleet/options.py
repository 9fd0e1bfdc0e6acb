"""What can be said about a fleet in settings and in a program alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from agent_infra.component import Args, shaped
from agent_infra.contract import DEFAULT_TASK_SECONDS, LONGEST_TASK_SECONDS, TaskContract
from agent_infra.fleet.agents_args import AgentName, AgentType, impossible_agents
from agent_infra.fleet.ceiling import UsualTask
from agent_infra.fleet.contract_args import ContractOverrides
from agent_infra.fleet.exposure_args import FleetGateway, FleetIngress, FleetService, one_way_in
from agent_infra.fleet.fleet_contract import fleet_contract
from agent_infra.fleet.llm_args import LlmAccess
from agent_infra.fleet.network_args import NetworkRules
from agent_infra.fleet.placement_args import Placement
from agent_infra.fleet.probes import Probes
from agent_infra.fleet.resources import Resources
from agent_infra.fleet.rollout_args import Rollout
from agent_infra.fleet.scaling_args import Replicas
from agent_infra.fleet.variables import VariableName

#: A DNS label with room for the suffixes that Kubernetes and this library put behind it.
FleetName = Annotated[
    str,
    shaped(
        r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?",
        "up to 40 lower-case letters, digits and dashes, a letter first and no dash last",
    ),
]


UsageReader = Annotated[str, shaped(r"[^,\s]+", "one name without a comma, such as ops or oidc:ada")]


class Worker(Args):
    """The pods that work on queued tasks."""

    replicas: Replicas = Replicas(min=1)
    concurrency: int = Field(default=4, ge=1, le=1000)
    """How many tasks one works on at once."""
    resources: Resources = Resources()
    placement: Placement | None = None
    """Where they run; where the fleet's pods do where it is not said."""

    @property
    def shrinks(self) -> bool:
        """Whether an autoscaler may choose among several of them which one goes."""
        return self.replicas.max > max(1, self.replicas.min)


class SecretKey(Args):
    """One entry of a Kubernetes secret."""

    name: str
    key: str
    optional: bool = False
    """Whether a pod starts without it."""


class FleetOptions(Args):
    """A fleet's own choices; what it is connected to is said beside them."""

    replicas: Replicas = Replicas()
    resources: Resources = Resources()
    task_timeout: int = Field(default=DEFAULT_TASK_SECONDS, ge=1, le=LONGEST_TASK_SECONDS)
    """The longest a task or a request may take, in seconds; pods are given that long to end."""
    rollout: Rollout = Rollout()
    usual_task: UsualTask = UsualTask()
    """What a task does to the model on average, and so how many workers its limits keep busy."""
    contract: ContractOverrides = ContractOverrides()
    """Numbers in place of those that follow from `task_timeout`."""
    deletion_cost: bool = True
    """Whether workers that an autoscaler may take away tell Kubernetes how busy they are, so that idle ones
    go first. They get a token that can change their own pod's `pod-deletion-cost` and nothing else."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    llm: LlmAccess = LlmAccess()
    """Models, limits, budgets and caches."""
    agents: Mapping[AgentName, AgentType] = {}
    """The agent types; not said, those that the service ships."""
    default_agent: AgentName | None = None
    """Which of them answers where a request names none; not said, the first, which is by the alphabet in
    settings: the engine sorts them."""
    requests_per_minute: int | None = Field(default=None, ge=1, le=1_000_000)
    """What each API key or subject may ask of the service, all replicas together."""
    usage_readers: Sequence[UsageReader] = ()
    """Who sees everybody's usage and not only their own: names of keys, or oidc:<subject>."""
    command: Sequence[str] = ("agent-app", "serve")
    worker_command: Sequence[str] = ("agent-app", "work")
    migrate_command: Sequence[str] = ("agent-app", "migrate")
    """Run in every pod before it starts, where there is a database."""
    port: int = Field(default=8000, ge=1024, le=65535)
    """Where the container listens; below 1024 it would need to be root."""
    service: FleetService = FleetService()
    """The address inside the cluster, or a load balancer of its own."""
    ingress: FleetIngress | None = None
    gateway: FleetGateway | None = None
    """Ingress or Gateway API: how the fleet is reached from outside the cluster; one of them."""
    network_policy: NetworkRules | None = NetworkRules()
    """Whom the pods may talk to; null makes no policy, for clusters that have rules of their own."""
    placement: Placement = Placement()
    """Where the pods run."""
    probes: Probes = Probes()
    secret_environment: Mapping[VariableName, SecretKey] = {}
    """Environment variables out of Kubernetes secrets, such as LLM_API_KEY from agent-secrets/llm-api-key."""
    extra_pod_spec: Mapping[str, Any] = {}
    """Merged into each pod's spec, in Kubernetes' own names: mappings are merged, lists of named things
    are merged by name, all else is replaced. The container is called `agent`."""

    @model_validator(mode="after")
    def _a_usual_task_ends_in_time(self) -> Self:
        usual = self.usual_task
        if "seconds" in usual.model_fields_set and usual.seconds > self.task_timeout:
            raise ValueError(
                f"usual_task.seconds {usual.seconds} is above task_timeout {self.task_timeout}, which ends "
                "every task; lower the first or raise the second"
            )
        return self

    @model_validator(mode="after")
    def _agents_fit(self) -> Self:
        found = impossible_agents(
            self.agents, self.llm, task_timeout=self.task_timeout, default=self.default_agent
        )
        if sentences := list(found):
            raise ValueError("; and ".join(sentences))
        return self

    @model_validator(mode="after")
    def _reached_in_one_way(self) -> Self:
        one_way_in(self.service, self.ingress, self.gateway)
        return self

    def task_contract(
        self, environment: Mapping[str, Any], *, queue_visibility: int | None = None
    ) -> TaskContract:
        """The numbers that follow from `task_timeout`, or were said here or in the pods' environment.

        Raises:
            ContractError: two of them contradict each other.
        """
        return fleet_contract(
            self.task_timeout,
            overrides=self.contract,
            pod_spec=self.extra_pod_spec,
            environment=environment,
            secret_environment=self.secret_environment,
            queue_visibility=queue_visibility,
        )

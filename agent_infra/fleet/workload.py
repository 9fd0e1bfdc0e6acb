"""A fleet's Kubernetes objects as plain mappings in Kubernetes' own names; pure functions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pulumi

from agent_infra.contract import task_contract
from agent_infra.fleet import followed_secrets
from agent_infra.fleet.args import AgentFleetArgs, Replicas, Resources, SecretKey

ComponentKind = Literal["api", "worker"]

#: The user that the pods run as; any but root would do.
USER_ID = 10001
CONTAINER = "agent"
#: How long a pod may take to start: `startupProbe` asks every two seconds.
_START_SECONDS = 120


@dataclass(frozen=True)
class Names:
    """What a fleet's objects are called, and where they are."""

    fleet: str
    namespace: Any
    part_of: str

    def of(self, kind: ComponentKind) -> str:
        """The Deployment and autoscaler of one kind of pods."""
        return self.fleet if kind == "api" else f"{self.fleet}-worker"

    @property
    def config(self) -> str:
        return f"{self.fleet}-config"

    def labels(self, kind: ComponentKind | None = None) -> dict[str, str]:
        component = {"app.kubernetes.io/component": kind} if kind else {}
        return {
            "app.kubernetes.io/name": self.fleet,
            **component,
            "app.kubernetes.io/part-of": self.part_of,
            "app.kubernetes.io/managed-by": "agent-infra",
        }

    def selector(self, kind: ComponentKind) -> dict[str, str]:
        """What never changes of the labels: a Deployment's selector cannot be changed."""
        return {"app.kubernetes.io/name": self.fleet, "app.kubernetes.io/component": kind}

    def metadata(self, name: str, kind: ComponentKind | None = None) -> dict[str, Any]:
        return {"name": name, "namespace": self.namespace, "labels": self.labels(kind)}


def configuration(args: AgentFleetArgs, *, fleet: str, environment: str) -> dict[str, Any]:
    """The pods' environment variables that are no secret; what is not given is left out."""
    values = {
        "AGENT_APP_FLEET": fleet,
        "AGENT_APP_ENVIRONMENT": environment,
        "AGENT_APP_HOST": "0.0.0.0",  # noqa: S104 - inside the pod's own network
        "AGENT_APP_PORT": str(args.port),
        "AGENT_APP_LOG_LEVEL": args.log_level,
        "AGENT_APP_TASK_TIMEOUT": str(args.task_timeout),
        "AGENT_APP_REDIS_URL": args.cache and args.cache.url,
        "AGENT_APP_REDIS_SECRET_ARN": args.cache and args.cache.secret_arn,
        "AGENT_APP_DATABASE_URL": args.database and args.database.url,
        "AGENT_APP_DATABASE_SECRET_ARN": args.database and args.database.secret_arn,
        "AGENT_APP_DATABASE_POOL_SIZE": _text(args.database.pool_size if args.database else None),
        "AGENT_APP_QUEUE_URL": args.queue and args.queue.url,
        "AGENT_APP_DEAD_LETTER_URL": args.queue and args.queue.dead_letter_url,
        "AGENT_APP_MAX_ATTEMPTS": args.queue and str(args.queue.max_receives),
        "AGENT_APP_ARTIFACT_BUCKET": args.bucket and args.bucket.name,
        "AGENT_APP_ARTIFACT_PREFIX": args.bucket and args.bucket.prefix_of(fleet),
        "AGENT_APP_LLM_SECRET_ARN": args.llm_secret_arn,
        "AGENT_APP_API_KEYS_SECRET_ARN": args.api_keys_secret_arn,
        "AGENT_APP_OIDC_ISSUER": args.oidc and args.oidc.issuer,
        "AGENT_APP_OIDC_AUDIENCE": args.oidc and args.oidc.audience,
        "AGENT_APP_OIDC_OWNER_CLAIM": args.oidc and args.oidc.owner_claim,
        "AGENT_APP_OIDC_SCOPE": args.oidc and args.oidc.scope,
        "AGENT_APP_MODEL": args.model,
        "AWS_REGION": args.region,
        **args.extra_environment,
    }
    return {name: value for name, value in values.items() if value is not None}


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def configuration_hash(values: Mapping[str, Any]) -> pulumi.Output[str]:
    """Changes whenever a value does, so that the pods are replaced then."""
    return pulumi.Output.json_dumps(values, sort_keys=True).apply(
        lambda text: hashlib.sha256(text.encode()).hexdigest()[:16]
    )


def deployment(
    args: AgentFleetArgs,
    names: Names,
    kind: ComponentKind,
    *,
    image: Any,
    config_hash: Any,
    secrets_hash: Any = None,
) -> dict[str, Any]:
    """A Deployment; under an autoscaler it says no replicas, or every update would reset them."""
    replicas, resources = (
        (args.replicas, args.resources) if kind == "api" else (args.worker.replicas, args.worker.resources)
    )
    fixed = {} if scales(replicas) else {"replicas": replicas.min}
    return {
        "metadata": {
            **names.metadata(names.of(kind), kind),
            **followed_secrets.reloaded_with(args.synced_secrets),
        },
        "spec": {
            **fixed,
            "selector": {"matchLabels": names.selector(kind)},
            # A new pod is ready before an old one is told to stop.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {
                "metadata": {
                    "labels": names.labels(kind),
                    "annotations": {
                        "agent-infra/config-hash": config_hash,
                        **({} if secrets_hash is None else {"agent-infra/secrets-hash": secrets_hash}),
                    },
                },
                "spec": merge(_pod(args, names, kind, image=image, resources=resources), args.extra_pod_spec),
            },
        },
    }


def _pod(
    args: AgentFleetArgs, names: Names, kind: ComponentKind, *, image: Any, resources: Resources
) -> dict[str, Any]:
    contract = task_contract(args.task_timeout)
    environment: dict[str, Any] = {
        # The last one wins: no secret's key takes the place of a setting.
        "envFrom": [
            *followed_secrets.environment_sources(args.synced_secrets),
            {"configMapRef": {"name": names.config}},
        ],
        **_secret_environment(args.secret_environment),
    }
    common = {
        "image": image,
        **environment,
        "resources": {
            "requests": {"cpu": resources.cpu, "memory": resources.memory},
            "limits": {"cpu": resources.cpu_limit, "memory": resources.memory_limit},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - a volume of the pod's own
    }
    command = args.command if kind == "api" else args.worker_command
    container = {
        "name": CONTAINER,
        **common,
        "command": list(command),
        "ports": [{"name": "http", "containerPort": args.port, "protocol": "TCP"}],
        **_probes(),
        # Requests still arrive while load balancers learn that the pod goes; no shell is needed for this.
        "lifecycle": {"preStop": {"sleep": {"seconds": contract.drain}}},
    }
    migrate = {"name": "migrate", **common, "command": list(args.migrate_command)}
    return {
        "serviceAccountName": names.fleet,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": contract.grace,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **({"initContainers": [migrate]} if args.database else {}),
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}}],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": names.selector(kind)},
            }
            for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
        ],
    }


def _probes() -> dict[str, Any]:
    live = {"httpGet": {"path": "/healthz", "port": "http"}}
    ready = {"httpGet": {"path": "/readyz", "port": "http"}}
    return {
        "startupProbe": {**live, "periodSeconds": 2, "failureThreshold": _START_SECONDS // 2},
        "livenessProbe": {**live, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3},
        "readinessProbe": {**ready, "periodSeconds": 5, "timeoutSeconds": 3, "failureThreshold": 2},
    }


def _secret_environment(keys: Mapping[str, SecretKey]) -> dict[str, Any]:
    if not keys:
        return {}
    return {
        "env": [
            {
                "name": variable,
                "valueFrom": {
                    "secretKeyRef": {
                        "name": key.name,
                        "key": key.key,
                        **({"optional": True} if key.optional else {}),
                    }
                },
            }
            for variable, key in keys.items()
        ]
    }


def service(args: AgentFleetArgs, names: Names) -> dict[str, Any]:
    """The fleet's one address inside the cluster."""
    return {
        "metadata": names.metadata(names.fleet, "api"),
        "spec": {
            "type": "ClusterIP",
            "selector": names.selector("api"),
            "ports": [
                {"name": "http", "port": args.service_port, "targetPort": args.port, "protocol": "TCP"}
            ],
        },
    }


def scales(replicas: Replicas) -> bool:
    """Whether an autoscaler decides."""
    return replicas.max > replicas.min


def autoscaler(replicas: Replicas, names: Names, kind: ComponentKind) -> dict[str, Any]:
    """A HorizontalPodAutoscaler of autoscaling/v2 on CPU."""
    name = names.of(kind)
    return {
        "metadata": names.metadata(name, kind),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": replicas.min,
            "maxReplicas": replicas.max,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": replicas.target_cpu},
                    },
                }
            ],
        },
    }


def merge(base: Any, extra: Any) -> Any:
    """`extra` over `base`: mappings key by key, lists of named things by name, all else replaced."""
    if isinstance(base, Mapping) and isinstance(extra, Mapping):
        joined = {key: merge(base[key], value) if key in base else value for key, value in extra.items()}
        return {**base, **joined}
    if _named(base) and _named(extra):
        by_name = {item["name"]: item for item in extra}
        kept = [merge(item, by_name.pop(item["name"], {})) for item in base]
        return [*kept, *by_name.values()]
    return extra


def _named(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and all(isinstance(item, Mapping) and "name" in item for item in value)
    )

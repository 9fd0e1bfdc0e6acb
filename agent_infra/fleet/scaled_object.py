"""KEDA's objects: a ScaledObject, which owns its HPA, and by what identity it reads the queue.

Fields and their meaning are those of KEDA 2.20: https://keda.sh/docs/2.20/reference/scaledobject-spec/.
All that a trigger says is a text there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agent_infra.aws.arns import part_of_arn
from agent_infra.aws.keda_access import KedaAccess, Prometheus
from agent_infra.component import MaybeOutput
from agent_infra.fleet.args import AgentFleetArgs
from agent_infra.fleet.connections import QueueConnection
from agent_infra.fleet.fleet_contract import CONTAINER
from agent_infra.fleet.names import ComponentKind, Names
from agent_infra.fleet.objects import Manifest
from agent_infra.fleet.scaling_behavior import behavior
from agent_infra.fleet.scaling_plan import Plan, has_sidecars
from agent_infra.outputs import computed

_VERSION = "keda.sh/v1alpha1"
#: SQS tells CloudWatch once a minute; the newest of the last three is taken.
_METRIC_PERIOD_SECONDS = 60
_METRIC_SECONDS = 180
#: What SQS counts is right about a minute after the last message was sent: no sooner is a queue empty.
_CONSISTENT_SECONDS = 60

Trigger = dict[str, Any]


def manifests(
    args: AgentFleetArgs, names: Names, kind: ComponentKind, decided: Plan, *, target: tuple[str, str]
) -> list[Manifest]:
    """A TriggerAuthentication where the queue is not read as KEDA's operator, then the ScaledObject."""
    keda = args.keda or KedaAccess()
    reads_queue = decided.queue_depth is not None or decided.queue_age is not None
    made = _authentication(keda, names, kind) if reads_queue else None
    return [*([made] if made else []), _scaled_object(args, names, kind, decided, target=target)]


def _scaled_object(
    args: AgentFleetArgs, names: Names, kind: ComponentKind, decided: Plan, *, target: tuple[str, str]
) -> Manifest:
    name, replicas = names.of(kind), decided.replicas
    polled = {"pollingInterval": replicas.poll_seconds} if decided.polled else {}
    idle = {"cooldownPeriod": max(decided.down_window, _CONSISTENT_SECONDS)} if replicas.min == 0 else {}
    return {
        "apiVersion": _VERSION,
        "kind": "ScaledObject",
        "metadata": names.metadata(name, kind),
        "spec": {
            "scaleTargetRef": {"apiVersion": target[0], "kind": target[1], "name": name},
            "minReplicaCount": replicas.min,
            "maxReplicaCount": replicas.max,
            **polled,
            **idle,
            "advanced": {
                "horizontalPodAutoscalerConfig": {
                    "behavior": behavior(replicas.speed, down_window=decided.down_window)
                }
            },
            "triggers": list(_triggers(args, names, kind, decided)),
        },
    }


def _triggers(args: AgentFleetArgs, names: Names, kind: ComponentKind, decided: Plan) -> Iterator[Trigger]:
    replicas, keda = decided.replicas, args.keda or KedaAccess()
    if args.queue is not None and decided.queue_depth is not None:
        yield _queue_depth(args.queue, decided, keda, names.of(kind))
    if args.queue is not None and decided.queue_age is not None:
        yield _queue_age(args.queue, decided.queue_age, keda, names.of(kind))
    if replicas.concurrency is not None and keda.prometheus is not None:
        yield _prometheus(
            "concurrency", keda.prometheus, _in_flight(names, kind), target=replicas.concurrency
        )
    for index, query in enumerate(replicas.prometheus):
        server = query.server or keda.prometheus
        if server is not None:
            yield _prometheus(
                f"prometheus-{index}",
                server,
                query.query,
                target=query.target,
                activation=query.activation,
                per_replica=query.per_replica,
            )
    for index, schedule in enumerate(replicas.schedules):
        yield _trigger(
            "cron",
            f"schedule-{index}",
            "AverageValue",
            timezone=schedule.timezone,
            start=" ".join(schedule.start.split()),
            end=" ".join(schedule.end.split()),
            desiredReplicas=str(schedule.replicas),
        )
    alone = not has_sidecars(args.extra_pod_spec, container=CONTAINER)
    container = {} if alone else {"containerName": CONTAINER}
    for resource, share in (("cpu", replicas.target_cpu), ("memory", replicas.target_memory)):
        if share is not None:
            yield _trigger(resource, resource, "Utilization", value=str(share), **container)


def _trigger(type: str, name: str, metric_type: str, **metadata: Any) -> Trigger:
    return {"type": type, "name": name, "metricType": metric_type, "metadata": metadata}


def _queue_depth(queue: QueueConnection, decided: Plan, keda: KedaAccess, owner: str) -> Trigger:
    """Messages for each replica. Those in hand count: whoever works on the last ones is still needed."""
    return _as_reader(
        keda,
        owner,
        _trigger(
            "aws-sqs-queue",
            "queue-depth",
            "AverageValue",
            queueURL=queue.url,
            queueLength=str(decided.queue_depth),
            activationQueueLength="0",
            awsRegion=part_of_arn(queue.arn, 3),
            scaleOnInFlight="true",
            scaleOnDelayed="true" if decided.replicas.count_delayed else "false",
        ),
    )


def _queue_age(queue: QueueConnection, seconds: int, keda: KedaAccess, owner: str) -> Trigger:
    """The oldest task's age. `Value`: an age is not shared out among replicas, so it is no average."""
    trigger = _trigger(
        "aws-cloudwatch",
        "queue-age",
        "Value",
        namespace="AWS/SQS",
        metricName="ApproximateAgeOfOldestMessage",
        dimensionName="QueueName",
        dimensionValue=part_of_arn(queue.arn, 5),
        targetMetricValue=str(seconds),
        activationTargetMetricValue="0",
        # SQS says nothing of a queue that is not used.
        minMetricValue="0",
        metricStat="Maximum",
        metricStatPeriod=str(_METRIC_PERIOD_SECONDS),
        metricCollectionTime=str(_METRIC_SECONDS),
        awsRegion=part_of_arn(queue.arn, 3),
    )
    # CloudWatch is paid by the question, and has a new answer once a minute.
    return _as_reader(keda, owner, {**trigger, "useCachedMetrics": True})


def _as_reader(keda: KedaAccess, owner: str, trigger: Trigger) -> Trigger:
    """The trigger with the identity by which KEDA asks AWS."""
    if keda.authentication is not None:
        return {**trigger, "authenticationRef": {"name": keda.authentication}}
    if keda.role_arn is not None or keda.credentials_secret is not None:
        return {**trigger, "authenticationRef": {"name": _authentication_name(owner)}}
    return {**trigger, "metadata": {**trigger["metadata"], "identityOwner": "operator"}}


def _authentication_name(owner: str) -> str:
    return f"{owner}-queue"


def _authentication(keda: KedaAccess, names: Names, kind: ComponentKind) -> Manifest | None:
    """By what KEDA reads the queue where it is neither its operator's own nor one that is there."""
    spec: dict[str, Any]
    if keda.role_arn is not None:
        spec = {"podIdentity": {"provider": "aws", "roleArn": keda.role_arn}}
    elif keda.credentials_secret is not None:
        spec = {
            "secretTargetRef": [
                {"parameter": key, "name": keda.credentials_secret, "key": key}
                for key in ("awsAccessKeyID", "awsSecretAccessKey")
            ]
        }
    else:
        return None
    metadata = names.metadata(_authentication_name(names.of(kind)), kind)
    return {"apiVersion": _VERSION, "kind": "TriggerAuthentication", "metadata": metadata, "spec": spec}


def _prometheus(
    name: str,
    server: Prometheus,
    query: MaybeOutput[str],
    *,
    target: float,
    activation: float = 0,
    per_replica: bool = True,
) -> Trigger:
    modes = {"authModes": ",".join(server.auth_modes)} if server.auth_modes else {}
    trigger = _trigger(
        "prometheus",
        name,
        "AverageValue" if per_replica else "Value",
        serverAddress=server.url,
        query=query,
        threshold=_number(target),
        activationThreshold=_number(activation),
        # Without an answer nothing is known: that is no reason to stop replicas that may be at work.
        ignoreNullValues="false",
        **modes,
    )
    if server.authentication is None:
        return trigger
    return {**trigger, "authenticationRef": {"name": server.authentication}}


def _in_flight(names: Names, kind: ComponentKind) -> MaybeOutput[str]:
    """The requests in flight in one Deployment's pods, which are called by it and two parts more."""
    pods = f'pod=~"{names.of(kind)}-[^-]+-[^-]+"'
    return computed(
        names.namespace,
        lambda namespace: f'sum(agent_app_http_requests_in_flight{{namespace="{namespace}",{pods}}})',
    )


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")

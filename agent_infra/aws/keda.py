"""KEDA: scales fleets by the work that waits; a Helm release, and the role of its operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Self

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
from pydantic import model_validator

from agent_infra.aws import long_policies, policies
from agent_infra.aws.cluster_compute import NamespaceName
from agent_infra.aws.cluster_roles import made_role
from agent_infra.aws.keda_access import KedaAccess
from agent_infra.aws.trust import pod_identity_trust
from agent_infra.component import Component, MaybeOutput, shaped

REPOSITORY: Final = "https://kedacore.github.io/charts"
#: November 2026: https://github.com/kedacore/charts/releases
CHART_VERSION: Final = "2.20.2"
#: The chart's own name of the operator's service account.
OPERATOR: Final = "keda-operator"
_KINDS: Final = ("operator", "metricsServer", "webhooks")


class Keda(KedaAccess):
    """How KEDA is installed. It costs six small pods: 0.6 CPUs and 600 MiB are asked for."""

    install: bool = True
    """False: it is in the cluster already, and nothing of it is changed. Its operator then needs
    `sqs:GetQueueAttributes` of the fleets' queues, and `cloudwatch:GetMetricData` where a fleet says
    `queue_age`, or another identity that is said here."""
    version: Annotated[str, shaped(r"\d+\.\d+\.\d+", 'a version of the chart, such as "2.20.2"')] = (
        CHART_VERSION
    )
    namespace: NamespaceName = "keda"
    values: Mapping[str, Any] = {}
    """More of the chart's values; they are merged over the ones that are set here."""

    @model_validator(mode="after")
    def _made_or_used(self) -> Self:
        said = sorted({"version", "namespace", "values"} & self.model_fields_set)
        if not self.install and said:
            raise ValueError(
                f"`install: false` leaves the KEDA that is there as it is, and {', '.join(said)} would say "
                "how to install one; leave one of the two out"
            )
        return self


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Two trees of values; where both have a leaf the second one's counts."""
    result = dict(base)
    for key, value in over.items():
        mine = result.get(key)
        if isinstance(mine, Mapping) and isinstance(value, Mapping):
            result[key] = merged(mine, value)
        else:
            result[key] = value
    return result


def chart_values(options: Keda) -> dict[str, Any]:
    """Two of each part, so that the loss of a node stops no scaling."""
    base: dict[str, Any] = {kind: {"replicaCount": 2} for kind in _KINDS}
    base["serviceAccount"] = {"operator": {"name": OPERATOR}}
    base["podDisruptionBudget"] = {
        kind: {"maxUnavailable": 1} for kind in ("operator", "metricServer", "webhooks")
    }
    return merged(base, options.values)


def install(
    component: Component,
    options: Keda,
    *,
    cluster: pulumi.Output[str],
    provider: kubernetes.Provider,
    partition: pulumi.Output[str],
    queue_arns: Sequence[MaybeOutput[str]],
    reads_metrics: bool,
    depends_on: Sequence[pulumi.Resource],
) -> list[pulumi.Resource]:
    """The release and all that it has to wait for; its operator may ask the queues how long they are, and
    CloudWatch how old their tasks are."""
    name = f"{component._name}-keda"
    asked = pulumi.InvokeOutputOptions(parent=component)
    trust = pod_identity_trust(
        account=aws.get_caller_identity_output(opts=asked).account_id,
        cluster={"eks-cluster-name": cluster},
        namespace=options.namespace,
        service_account=OPERATOR,
    )
    role, _ = made_role(component, "keda", trust=trust, managed=(), partition=partition)
    waits = [*depends_on]
    allowed = [
        [policies.allow(["sqs:GetQueueAttributes"], list(arns))]
        for arns in long_policies.batches(queue_arns, each=long_policies.QUEUES)
    ]
    if reads_metrics:
        # CloudWatch knows no narrower resource for it:
        # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html
        metrics = policies.allow(["cloudwatch:GetMetricData"], "*")
        allowed = [[*allowed[0], metrics], *allowed[1:]] if allowed else [[metrics]]
    waits += long_policies.give(component, name, role, allowed)
    waits.append(
        aws.eks.PodIdentityAssociation(
            name,
            cluster_name=cluster,
            namespace=options.namespace,
            service_account=OPERATOR,
            role_arn=role.arn,
            tags=component._tags(name),
            opts=component._opts(),
        )
    )
    namespace = kubernetes.core.v1.Namespace(
        name,
        metadata={
            "name": options.namespace,
            "labels": {"app.kubernetes.io/managed-by": "agent-infra"},
        },
        opts=component._opts(provider=provider, depends_on=list(depends_on)),
    )
    release = kubernetes.helm.v3.Release(
        name,
        name="keda",
        chart="keda",
        version=options.version,
        namespace=options.namespace,
        repository_opts={"repo": REPOSITORY},
        values=chart_values(options),
        # Half an installation is worse than none: its webhooks would refuse every ScaledObject.
        atomic=True,
        timeout=600,
        opts=component._opts(provider=provider, depends_on=[*waits, namespace]),
    )
    return [release]

"""Schemas of KEDA's objects, as far as the components make them.

Fields and their bounds are those of KEDA's own definitions (v2.20, `keda.sh/v1alpha1`); what the components
have no use for is left out, and so refused. What a trigger says is a text there, whatever it means.
"""

from __future__ import annotations

import functools
from typing import Any, Final

from agent_infra.local.standins.kubernetes.custom_shapes import (
    FLAG,
    NAME,
    TEXT,
    count,
    list_of,
    object_of,
    one_of,
    texts,
)

_object = functools.partial(object_of, owner="KEDA")


#: `behavior` of autoscaling/v2.
_RULES: Final = _object(
    stabilizationWindowSeconds=count(0, 3600),
    selectPolicy=one_of("Max", "Min", "Disabled"),
    policies=list_of(
        _object(
            "type",
            "value",
            "periodSeconds",
            type=one_of("Pods", "Percent"),
            value=count(1),
            periodSeconds=count(1, 1800),
        ),
        least=1,
    ),
)
_TRIGGER: Final = _object(
    "type",
    "metadata",
    type=NAME,
    name=TEXT,
    metricType=one_of("AverageValue", "Value", "Utilization"),
    metadata=texts(),
    useCachedMetrics=FLAG,
    authenticationRef=_object(
        "name", name=NAME, kind=one_of("TriggerAuthentication", "ClusterTriggerAuthentication")
    ),
)
_SCALED_OBJECT: Final = _object(
    "scaleTargetRef",
    "triggers",
    scaleTargetRef=_object("name", name=NAME, apiVersion=TEXT, kind=TEXT, envSourceContainerName=TEXT),
    pollingInterval=count(1),
    cooldownPeriod=count(0),
    initialCooldownPeriod=count(0),
    idleReplicaCount=count(0),
    minReplicaCount=count(0),
    maxReplicaCount=count(1),
    advanced=_object(
        horizontalPodAutoscalerConfig=_object(name=TEXT, behavior=_object(scaleUp=_RULES, scaleDown=_RULES)),
        restoreToOriginalReplicaCount=FLAG,
    ),
    triggers=list_of(_TRIGGER, least=1),
    fallback=_object(
        "failureThreshold",
        "replicas",
        failureThreshold=count(0),
        replicas=count(0),
        behavior=one_of("static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"),
    ),
)
_AUTHENTICATION: Final = _object(
    podIdentity=_object(
        "provider",
        provider=one_of("none", "aws", "aws-eks", "azure-workload", "gcp"),
        roleArn=TEXT,
        externalID=TEXT,
        identityOwner=one_of("keda", "workload"),
    ),
    secretTargetRef=list_of(_object("parameter", "name", "key", parameter=TEXT, name=TEXT, key=TEXT)),
)

SPECS: Final[dict[tuple[str, str, str], dict[str, Any]]] = {
    ("keda.sh", "v1alpha1", "ScaledObject"): _SCALED_OBJECT,
    ("keda.sh", "v1alpha1", "TriggerAuthentication"): _AUTHENTICATION,
}

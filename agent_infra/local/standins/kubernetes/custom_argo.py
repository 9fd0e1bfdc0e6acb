"""Schemas of Argo Rollouts' objects, as far as the components make them.

Fields and their bounds are those of its own definitions (v1.8, `argoproj.io/v1alpha1`); what the components
have no use for is left out, and so refused. A pod's template is that of a Deployment, and not looked into.
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

_OBJECT: Final = {"type": "object"}
_SHARE: Final = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^\d+%$"}]}
_DURATION: Final = {"type": "string", "pattern": r"^\d+[smh]$"}
_object = functools.partial(object_of, owner="Argo Rollouts")

_ARGUMENT: Final = _object(
    "name",
    name=NAME,
    value=TEXT,
    valueFrom=_object("podTemplateHashValue", podTemplateHashValue=one_of("Latest", "Stable")),
)
_ANALYSIS: Final = _object(
    "templates",
    templates=list_of(_object("templateName", templateName=NAME), least=1),
    args=list_of(_ARGUMENT),
)
_STEP: Final = {
    **_object(setWeight=count(0, 100), pause=_object(duration=_DURATION), analysis=_ANALYSIS),
    "minProperties": 1,
    "maxProperties": 1,
}
_ROLLOUT: Final = _object(
    "selector",
    "template",
    "strategy",
    replicas=count(0),
    minReadySeconds=count(0),
    revisionHistoryLimit=count(0),
    progressDeadlineSeconds=count(1),
    progressDeadlineAbort=FLAG,
    rollbackWindow=_object("revisions", revisions=count(1)),
    selector=_object("matchLabels", matchLabels=texts()),
    template=_OBJECT,
    strategy=_object(
        "canary",
        canary=_object(
            maxSurge=_SHARE, maxUnavailable=_SHARE, analysis=_ANALYSIS, steps=list_of(_STEP, least=1)
        ),
    ),
)
_JOB: Final = _object(
    "spec",
    spec=_object(
        "template",
        backoffLimit=count(0),
        activeDeadlineSeconds=count(1),
        ttlSecondsAfterFinished=count(0),
        template=_OBJECT,
    ),
)
_METRIC: Final = _object(
    "name",
    "provider",
    name=NAME,
    initialDelay=_DURATION,
    interval=_DURATION,
    successCondition=NAME,
    failureLimit=count(0),
    provider={
        **_object(prometheus=_object("address", "query", address=NAME, query=NAME), job=_JOB),
        "minProperties": 1,
        "maxProperties": 1,
    },
)
#: What a template asks for; only who names the template can say that it is a pod template's hash.
_ASKED: Final = _object("name", name=NAME, value=TEXT)
_TEMPLATE: Final = _object("metrics", args=list_of(_ASKED), metrics=list_of(_METRIC, least=1))

SPECS: Final[dict[tuple[str, str, str], dict[str, Any]]] = {
    ("argoproj.io", "v1alpha1", "Rollout"): _ROLLOUT,
    ("argoproj.io", "v1alpha1", "AnalysisTemplate"): _TEMPLATE,
}

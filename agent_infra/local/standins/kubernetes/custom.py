"""Schemas of the custom resources that the components make.

Here those of External Secrets: fields and their bounds are those of its own definitions (v2.9,
`external-secrets.io/v1`); what the components have no use for is left out, and so refused.
"""

from __future__ import annotations

import functools
from typing import Any, Final

from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it ships no types

from agent_infra.local.standins.kubernetes import custom_keda
from agent_infra.local.standins.kubernetes.custom_shapes import FLAG, TEXT, list_of, object_of, one_of, texts
from agent_infra.local.standins.kubernetes.kinds import Kind

_object = functools.partial(object_of, "External Secrets")
_COUNT: Final = {"type": "integer"}
_LABEL: Final = {
    "type": "string",
    "minLength": 1,
    "maxLength": 253,
    "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
}
#: Go's notation, such as 300s or 1h30m.
_DURATION: Final = {"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$"}
_STORE_REF: Final = _object(name=_LABEL, kind=one_of("SecretStore", "ClusterSecretStore"))
_REMOTE: Final = _object(
    "key",
    key=TEXT,
    property=TEXT,
    version=TEXT,
    conversionStrategy=one_of("Default", "Unicode"),
    decodingStrategy=one_of("Auto", "Base64", "Base64URL", "None"),
    metadataPolicy=one_of("None", "Fetch"),
    nullBytePolicy=one_of("Ignore", "Fail"),
)
_TARGET: Final = _object(
    name=_LABEL,
    creationPolicy=one_of("Owner", "Orphan", "Merge", "None", "CreateOrMerge"),
    deletionPolicy=one_of("Delete", "Merge", "Retain"),
    immutable=FLAG,
    template=_object(
        type=TEXT,
        engineVersion=one_of("v2"),
        mergePolicy=one_of("Replace", "Merge"),
        data=texts(),
        metadata=_object(annotations=texts(), labels=texts(), finalizers=list_of(TEXT)),
    ),
)
_EXTERNAL_SECRET: Final = _object(
    secretStoreRef=_STORE_REF,
    refreshInterval=_DURATION,
    refreshPolicy=one_of("CreatedOnce", "Periodic", "OnChange"),
    target=_TARGET,
    data=list_of(
        _object(
            "secretKey",
            "remoteRef",
            secretKey={"type": "string", "minLength": 1, "maxLength": 253, "pattern": r"^[-._a-zA-Z0-9]+$"},
            remoteRef=_REMOTE,
        )
    ),
    dataFrom=list_of(_object(extract=_REMOTE)),
)
_AWS: Final = _object(
    "service",
    "region",
    service=one_of("SecretsManager", "ParameterStore", "CertificateManager"),
    region=TEXT,
    role=TEXT,
    additionalRoles=list_of(TEXT),
    externalID=TEXT,
    prefix=TEXT,
    auth=_object(jwt=_object(serviceAccountRef=_object("name", name=_LABEL, audiences=list_of(TEXT)))),
    sessionTags=list_of(_object("key", "value", key=TEXT, value=TEXT)),
    transitiveTagKeys=list_of(TEXT),
)
_SECRET_STORE: Final = _object(
    "provider",
    provider=_object("aws", aws=_AWS),
    controller=TEXT,
    refreshInterval=_COUNT,
    retrySettings=_object(maxRetries=_COUNT, retryInterval=TEXT),
)

_SPECS: Final[dict[tuple[str, str, str], dict[str, Any]]] = {
    ("external-secrets.io", "v1", "ExternalSecret"): _EXTERNAL_SECRET,
    ("external-secrets.io", "v1", "SecretStore"): _SECRET_STORE,
    **custom_keda.SPECS,
}


def has_schema(group: str, name: str) -> bool:
    """Whether the fields of a custom kind are checked."""
    return any((group, name) == (known, kind) for known, _, kind in _SPECS)


@functools.cache
def validator(kind: Kind) -> Draft202012Validator | None:
    """The schema of a custom kind, where there is one; another version of such a kind is refused whole."""
    versions = {version for group, version, name in _SPECS if (group, name) == (kind.group, kind.name)}
    if not versions:
        return None
    spec = _SPECS.get((kind.group, kind.version, kind.name))
    if spec is None:
        allowed = sorted(f"{kind.group}/{version}" for version in versions)
        return Draft202012Validator({"type": "object", "properties": {"apiVersion": {"enum": allowed}}})
    metadata = {"type": "object"}
    whole = object_of(
        spec["x-owner"], "spec", apiVersion=TEXT, kind=TEXT, metadata=metadata, spec=spec, status=metadata
    )
    return Draft202012Validator(whole)

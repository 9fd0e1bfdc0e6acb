"""Schemas of the custom resources that the components make.

Fields and their bounds are those of External Secrets' own definitions (v2.9, `external-secrets.io/v1`), as
far as they concern AWS, and of the Gateway API's (v1.4, `gateway.networking.k8s.io/v1`); what the components
have no use for is left out, and so refused.
"""

from __future__ import annotations

import functools
from typing import Any, Final

from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it ships no types

from agent_infra.local.standins.kubernetes import custom_keda
from agent_infra.local.standins.kubernetes.custom_shapes import FLAG as _FLAG
from agent_infra.local.standins.kubernetes.custom_shapes import TEXT as _TEXT
from agent_infra.local.standins.kubernetes.custom_shapes import list_of as _list
from agent_infra.local.standins.kubernetes.custom_shapes import object_of, texts
from agent_infra.local.standins.kubernetes.custom_shapes import one_of as _one_of
from agent_infra.local.standins.kubernetes.kinds import Kind

_OWNER: Final = "External Secrets"
_COUNT: Final = {"type": "integer"}
_LABEL: Final = {
    "type": "string",
    "minLength": 1,
    "maxLength": 253,
    "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
}
#: Go's notation, such as 300s or 1h30m.
_DURATION: Final = {"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$"}
_object = functools.partial(object_of, owner=_OWNER)
_TEXTS: Final = texts()
_STORE_REF: Final = _object(name=_LABEL, kind=_one_of("SecretStore", "ClusterSecretStore"))
_REMOTE: Final = _object(
    "key",
    key=_TEXT,
    property=_TEXT,
    version=_TEXT,
    conversionStrategy=_one_of("Default", "Unicode"),
    decodingStrategy=_one_of("Auto", "Base64", "Base64URL", "None"),
    metadataPolicy=_one_of("None", "Fetch"),
    nullBytePolicy=_one_of("Ignore", "Fail"),
)
_TARGET: Final = _object(
    name=_LABEL,
    creationPolicy=_one_of("Owner", "Orphan", "Merge", "None", "CreateOrMerge"),
    deletionPolicy=_one_of("Delete", "Merge", "Retain"),
    immutable=_FLAG,
    template=_object(
        type=_TEXT,
        engineVersion=_one_of("v2"),
        mergePolicy=_one_of("Replace", "Merge"),
        data=_TEXTS,
        metadata=_object(annotations=_TEXTS, labels=_TEXTS, finalizers=_list(_TEXT)),
    ),
)
_EXTERNAL_SECRET: Final = _object(
    secretStoreRef=_STORE_REF,
    refreshInterval=_DURATION,
    refreshPolicy=_one_of("CreatedOnce", "Periodic", "OnChange"),
    target=_TARGET,
    data=_list(
        _object(
            "secretKey",
            "remoteRef",
            secretKey={"type": "string", "minLength": 1, "maxLength": 253, "pattern": r"^[-._a-zA-Z0-9]+$"},
            remoteRef=_REMOTE,
        )
    ),
    dataFrom=_list(_object(extract=_REMOTE)),
)
_AWS: Final = _object(
    "service",
    "region",
    service=_one_of("SecretsManager", "ParameterStore", "CertificateManager"),
    region=_TEXT,
    role=_TEXT,
    additionalRoles=_list(_TEXT),
    externalID=_TEXT,
    prefix=_TEXT,
    auth=_object(jwt=_object(serviceAccountRef=_object("name", name=_LABEL, audiences=_list(_TEXT)))),
    sessionTags=_list(_object("key", "value", key=_TEXT, value=_TEXT)),
    transitiveTagKeys=_list(_TEXT),
)
_SECRET_STORE: Final = _object(
    "provider",
    provider=_object("aws", aws=_AWS),
    controller=_TEXT,
    refreshInterval=_COUNT,
    retrySettings=_object(maxRetries=_COUNT, retryInterval=_TEXT),
)

_GATEWAY: Final = "Gateway API"
_HOST: Final = {
    "type": "string",
    "minLength": 1,
    "maxLength": 253,
    "pattern": r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
}
_GATEWAY_PORT: Final = {"type": "integer", "minimum": 1, "maximum": 65535}
#: GEP-2257: at most five digits and one unit, up to four times.
_GATEWAY_DURATION: Final = {"type": "string", "pattern": r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"}
_BACKEND: Final = _object(
    "name",
    group=_TEXT,
    kind=_TEXT,
    name=_LABEL,
    namespace=_LABEL,
    port=_GATEWAY_PORT,
    weight={"type": "integer", "minimum": 0, "maximum": 1_000_000},
    owner=_GATEWAY,
)
_ROUTE_PATH: Final = _object(
    type=_one_of("Exact", "PathPrefix", "RegularExpression"),
    value={"type": "string", "maxLength": 1024},
    owner=_GATEWAY,
)
_HEADER: Final = _object(
    "name", "value", type=_one_of("Exact", "RegularExpression"), name=_TEXT, value=_TEXT, owner=_GATEWAY
)
_METHOD: Final = _one_of("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
_ROUTE_MATCH: Final = _object(path=_ROUTE_PATH, headers=_list(_HEADER), method=_METHOD, owner=_GATEWAY)
_ROUTE_RULE: Final = _object(
    name=_LABEL,
    matches=_list(_ROUTE_MATCH),
    backendRefs={**_list(_BACKEND), "maxItems": 16},
    timeouts=_object(request=_GATEWAY_DURATION, backendRequest=_GATEWAY_DURATION, owner=_GATEWAY),
    owner=_GATEWAY,
)
_PARENT: Final = _object(
    "name",
    group=_TEXT,
    kind=_TEXT,
    name=_LABEL,
    namespace=_LABEL,
    sectionName=_LABEL,
    port=_GATEWAY_PORT,
    owner=_GATEWAY,
)
_HTTP_ROUTE: Final = _object(
    parentRefs={**_list(_PARENT), "maxItems": 32},
    hostnames={**_list(_HOST), "maxItems": 16},
    rules={**_list(_ROUTE_RULE), "maxItems": 16},
    owner=_GATEWAY,
)

_SPECS: Final[dict[tuple[str, str, str], dict[str, Any]]] = {
    ("external-secrets.io", "v1", "ExternalSecret"): _EXTERNAL_SECRET,
    ("external-secrets.io", "v1", "SecretStore"): _SECRET_STORE,
    ("gateway.networking.k8s.io", "v1", "HTTPRoute"): _HTTP_ROUTE,
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
    fields = {"apiVersion": _TEXT, "kind": _TEXT, "metadata": metadata, "spec": spec, "status": metadata}
    return Draft202012Validator(_object("spec", owner=spec["x-owner"], **fields))

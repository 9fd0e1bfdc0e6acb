"""Which changes need a new object: the fields for which the official plugin replaces one.

The table follows pulumi-kubernetes 4 (`provider/pkg/provider`), so that a change is planned
locally as it will be in a cluster.
"""

from __future__ import annotations

from typing import Final

from agent_infra.local.standins.kubernetes.kinds import Kind
from agent_infra.local.standins.paths import touches
from agent_infra.local.standins.server import Properties


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_CONTAINER: Final = _words(
    "args command env image imagePullPolicy lifecycle livenessProbe ports readinessProbe "
    "resources securityContext stdin stdinOnce terminationMessagePath terminationMessagePolicy "
    "tty volumeDevices volumeMounts workingDir"
)
_POD: Final = _words(
    "affinity automountServiceAccountToken dnsConfig dnsPolicy enableServiceLinks hostAliases "
    "hostIPC hostNetwork hostPID hostname imagePullSecrets nodeName nodeSelector overhead "
    "preemptionPolicy priority priorityClassName readinessGates restartPolicy runtimeClassName "
    "schedulerName securityContext serviceAccount serviceAccountName shareProcessNamespace "
    "subdomain terminationGracePeriodSeconds volumes"
)
_VOLUME_SOURCES: Final = _words(
    "awsElasticBlockStore azureDisk azureFile cephfs cinder csi fc flexVolume flocker "
    "gcePersistentDisk glusterfs hostPath iscsi local nfs photonPersistentDisk portworxVolume "
    "quobyte rbd scaleIO storageos vsphereVolume"
)


def _spec(*names: str) -> tuple[str, ...]:
    return tuple(f"spec.{name}" for name in names)


_FIELDS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("", "PersistentVolume"): _spec(*_VOLUME_SOURCES),
    ("", "PersistentVolumeClaim"): _spec("accessModes", "selector", "storageClassName", "volumeName"),
    ("", "Pod"): _spec(
        *_POD, *(f"{kind}.{name}" for kind in ("containers", "initContainers") for name in _CONTAINER)
    ),
    ("", "ResourceQuota"): _spec("scopes"),
    ("", "Service"): _spec("clusterIP"),
    ("apps", "DaemonSet"): _spec("selector"),
    ("apps", "Deployment"): _spec("selector"),
    ("apps", "StatefulSet"): _spec(
        "podManagementPolicy", "revisionHistoryLimit", "selector", "serviceName", "volumeClaimTemplates"
    ),
    ("batch", "Job"): _spec("completions", "parallelism", "selector", "template"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): ("roleRef",),
    ("rbac.authorization.k8s.io", "RoleBinding"): ("roleRef",),
    ("storage.k8s.io", "StorageClass"): ("parameters", "provisioner"),
}


def replacing(
    kind: Kind, changed: list[str], old: Properties, *, config_maps_mutable: bool, secrets_mutable: bool
) -> list[str]:
    """Those of the changed paths that an existing object cannot take."""
    fields = ("metadata.name", "metadata.namespace", *_FIELDS.get((kind.group, kind.name), ()))
    frozen = old.get("immutable") is True
    if (kind.group, kind.name) == ("", "Secret"):
        fields += ("type",) if secrets_mutable and not frozen else ("type", "stringData", "data")
    if (kind.group, kind.name) == ("", "ConfigMap") and (frozen or not config_maps_mutable):
        fields += ("binaryData", "data")
    return [path for path in changed if any(touches(path, field) for field in fields)]

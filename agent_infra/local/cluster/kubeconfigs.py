"""How the administrator and each part reach the API server."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from agent_infra.local.cluster.options import Places
from agent_infra.local.environment import write_private

#: Which parts have one, and whose certificate it holds.
_PARTS = ("kube-controller-manager", "kube-scheduler", "kwok", "metrics-server", "keda", "argo-rollouts")


def write(places: Places, *, name: str, server: str) -> None:
    """Writes every kubeconfig; a kubeconfig holds its certificate and key itself, and may be copied."""
    write_private(places.kubeconfig, _content(places, "admin", name=name, server=server))
    for part in _PARTS:
        write_private(places.kubeconfig_of(part), _content(places, part, name=name, server=server))


def _content(places: Places, holder: str, *, name: str, server: str) -> str:
    """JSON, which is YAML too."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": name,
                "cluster": {
                    "server": server,
                    "certificate-authority-data": _encoded(places.certificate("ca")),
                },
            }
        ],
        "users": [
            {
                "name": f"{name}-{holder}",
                "user": {
                    "client-certificate-data": _encoded(places.certificate(holder)),
                    "client-key-data": _encoded(places.key(holder)),
                },
            }
        ],
        "contexts": [
            {
                "name": name,
                "context": {"cluster": name, "user": f"{name}-{holder}", "namespace": "default"},
            }
        ],
        "current-context": name,
        "preferences": {},
    }
    return json.dumps(content, indent=1) + "\n"


def _encoded(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()

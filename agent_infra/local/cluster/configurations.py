"""What parts read from files beside their command lines."""

from __future__ import annotations

import json


def authentication() -> str:
    """Who is let in without a certificate or a token: as on EKS since 1.32, who asks for its health."""
    content = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthenticationConfiguration",
        "anonymous": {
            "enabled": True,
            "conditions": [{"path": path} for path in ("/livez", "/readyz", "/healthz")],
        },
    }
    return json.dumps(content, indent=1) + "\n"


def kwok_configuration() -> str:
    """The rates at which it works, as its own manifests have them."""
    content = {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokConfiguration",
        "options": {
            "nodeLeaseParallelism": 4,
            "podPlayStageParallelism": 8,
            "nodePlayStageParallelism": 4,
            "enablePodsOnNodeSyncStreamWatch": False,
        },
    }
    return json.dumps(content, indent=1) + "\n"

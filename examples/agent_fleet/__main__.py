"""An agent service in whatever cluster the current kubeconfig leads to: no AWS, no EKS.

`pulumi config set oidc '{"issuer": "https://login.example.com", "audience": "agents"}'` says who may ask;
in the environment `local` anybody may. The model's key is in a Kubernetes secret that is there already:
`kubectl -n agents create secret generic agent-secrets --from-literal llm-api-key=...`; without it a
deterministic built-in model answers.
"""

import pulumi
import pulumi_kubernetes as kubernetes

from agent_infra import AgentFleet

config = pulumi.Config()
labels = {"pod-security.kubernetes.io/enforce": "restricted"}
namespace = kubernetes.core.v1.Namespace("agents", metadata={"name": "agents", "labels": labels})

key = {"name": "agent-secrets", "key": "llm-api-key", "optional": True}
fleet = AgentFleet(
    "support",
    {
        "image": config.get("image") or "registry.example/agents/support@sha256:" + "0" * 64,
        "namespace": namespace.metadata.name,
        "oidc": config.get_object("oidc"),
        "secret_environment": {"LLM_API_KEY": key},
    },
)

pulumi.export("url", fleet.url)
pulumi.export("service", fleet.service)

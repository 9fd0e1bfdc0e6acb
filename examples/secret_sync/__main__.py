"""An LLM's key out of Secrets Manager in a fleet's environment; the pods are replaced when it changes.

The objects go where the Kubernetes provider of the stack points: here, the current kubeconfig.
"""

import pulumi

from agent_infra import AgentFleet, Secrets, SecretSync

secrets = Secrets(
    "agents",
    {
        "values": {"llm": pulumi.Output.secret({"OPENAI_API_KEY": "sk-placeholder"})},
        # On this machine everything can be deleted at once; leave this out where it matters.
        "recovery_days": 0,
    },
)
sync = SecretSync(
    "sync",
    {
        "cluster_name": "agents",
        "secrets": {"llm-keys": {"arn": secrets.arns["llm"], "version": secrets.versions["llm"]}},
        "refresh_seconds": 60,
    },
)
fleet = AgentFleet(
    "support",
    {
        "image": "registry.example/agents/support@sha256:" + "0" * 64,
        "replicas": {"min": 1, "max": 1},
        "synced_secrets": list(sync.synced.values()),
    },
    pulumi.ResourceOptions(depends_on=[sync]),
)

pulumi.export("secret_arn", secrets.arns["llm"])
pulumi.export("role_arn", sync.role_arn)
pulumi.export("service", fleet.service)

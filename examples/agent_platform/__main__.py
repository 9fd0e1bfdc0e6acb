"""A whole environment in a VPC that somebody else made: cluster, bucket, secret, queue and a fleet."""

import pulumi

from agent_infra import AgentPlatform, AgentPlatformArgs, Network, Settings

# Stands for the VPC that is there already; say your own ids instead.
theirs = Network("theirs", {"zones": 2, "flow_log_retention_days": None})

settings = Settings(
    environment=pulumi.get_stack(),
    region="eu-central-1",
    # So that `destroy` ends this example; leave it out for an environment that matters.
    protect=False,
    network={
        "existing": {
            "vpc_id": theirs.vpc_id,
            "public_subnet_ids": theirs.public_subnet_ids,
            "private_subnet_ids": theirs.private_subnet_ids,
            "isolated_subnet_ids": theirs.isolated_subnet_ids,
        }
    },
    storage={"expire_after_days": 30},
    secrets={"llm": {}},
    fleets={
        "support": {
            "image": "agent-app:local",
            "llm": {"secret": "llm"},
            "replicas": {"min": 1, "max": 1},
        }
    },
)
platform = AgentPlatform("agents", AgentPlatformArgs(settings=settings))

for name, value in platform.outputs.items():
    pulumi.export(name, value)

"""The secrets of one environment: a shared one, one agent type's own, and one that a function rotates."""

import pulumi

from agent_infra import Secrets

secrets = Secrets(
    "agents",
    {
        "environment": "prod",
        # What the program knows is given as a secret; None is filled by hand and left alone.
        "values": {"llm": pulumi.Output.secret({"OPENAI_API_KEY": "sk-placeholder"})},
        "agents": {"support": {"crm": None}},
        "encryption": "own-key",
        "rotation": {
            "support/crm": {
                # A function of one's own; it implements Secrets Manager's four steps.
                "lambda_arn": "arn:aws:lambda:eu-central-1:123456789012:function:rotate-crm-token",
                "schedule": "cron(0 2 ? * SUN *)",
                "window_hours": 3,
            }
        },
        # On this machine everything can be deleted at once; leave this out where it matters.
        "recovery_days": 0,
    },
)

pulumi.export("arns", secrets.arns)
pulumi.export("versions", secrets.versions)
pulumi.export("support_may", secrets.read_statements("llm", "support/crm"))

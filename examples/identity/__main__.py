"""A role for the service account `agents/reports` of a cluster that is already there."""

import pulumi

from agent_infra import ArtifactStore, FleetRole, Secrets, WorkQueue

# Protection is lifted so that `destroy` ends this example; leave that out for what matters.
tasks = WorkQueue("tasks", {"task_timeout": 600, "deletion_protection": False})
artifacts = ArtifactStore("artifacts", {"deletion_protection": False})
secrets = Secrets("keys", {"values": {"llm": None}, "recovery_days": 0})

# It may work on that queue, read that secret, and touch the bucket's objects under reports/: no more.
role = FleetRole(
    "reports",
    {
        "namespace": "agents",
        "cluster_name": pulumi.Config().require("cluster"),
        "queue": {"url": tasks.url, "arn": tasks.arn},
        "bucket": {"name": artifacts.bucket, "arn": artifacts.arn},
        "llm_secret_arn": secrets.arns["llm"],
    },
)

pulumi.export("role_arn", role.arn)
pulumi.export("queue_url", tasks.url)

"""Objects that move to cheaper storage by their use, in a bucket whose requests are logged in another one."""

import pulumi

from agent_infra import ArtifactStore

logs = ArtifactStore(
    "access-logs", {"receives_access_logs": True, "expire_after_days": 90, "deletion_protection": False}
)
artifacts = ArtifactStore(
    "artifacts",
    {
        "transition": "intelligent-tiering",
        "transition_after_days": 0,
        "old_versions_days": 14,
        "request_metrics": True,
        "alarms": {},
        "access_log_bucket": logs.bucket,
        "deletion_protection": False,
    },
)

pulumi.export("bucket", artifacts.bucket)
pulumi.export("log_bucket", logs.bucket)

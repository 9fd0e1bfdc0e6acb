"""An Aurora Serverless Postgres that goes down to nothing after five idle minutes: for development."""

import pulumi

from agent_infra import Database, Network

network = Network("net", {"zones": 2, "nat": "none", "flow_log_retention_days": None})
database = Database(
    "store",
    {
        "vpc_id": network.vpc_id,
        "subnet_ids": network.isolated_subnet_ids,
        "mode": "aurora-serverless",
        "min_capacity": 0,
        "max_capacity": 2,
        "backup_retention_days": 1,
        "deletion_protection": False,
    },
)

pulumi.export("url", database.url)
pulumi.export("secret_arn", database.secret_arn)

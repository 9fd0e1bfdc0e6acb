"""A Postgres instance with a standby in another zone, a proxy and alarms; two fleets share it."""

import pulumi

from agent_infra import Database, Network

network = Network("net", {"zones": 2, "nat": "none", "flow_log_retention_days": None})
database = Database(
    "store",
    {
        "vpc_id": network.vpc_id,
        "subnet_ids": network.isolated_subnet_ids,
        "instance_class": "db.t4g.medium",
        "backup_window": "02:00-02:30",
        "maintenance_window": "sun:04:00-sun:04:30",
        "parameters": {"log_min_duration_statement": "1000"},
        "proxy": {},
        # The most processes of each fleet; what each may keep follows.
        "fleets": {"support": 30, "research": 12},
        "alarms": {},
        # So that `destroy` ends this example; leave it out for a database that matters.
        "deletion_protection": False,
    },
)

pulumi.export("url", database.url)
pulumi.export("secret_arn", database.secret_arn)
pulumi.export("pool_size", database.pool_size)

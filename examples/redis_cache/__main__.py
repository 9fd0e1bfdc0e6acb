"""A Valkey cache with a replica in another zone, alarms and logs, in a network of its own."""

import pulumi

from agent_infra import Network, RedisCache

network = Network("net", {"zones": 2, "nat": "none", "flow_log_retention_days": None})
cache = RedisCache(
    "sessions",
    {
        "vpc_id": network.vpc_id,
        "subnet_ids": network.isolated_subnet_ids,
        "node_type": "cache.t4g.micro",
        "parameters": {"maxmemory-policy": "volatile-lru"},
        "snapshot_window": "02:00-03:00",
        "maintenance_window": "sun:04:00-sun:05:00",
        "log_retention_days": 30,
        "alarms": {},
        # So that `destroy` ends this example; leave it out for a cache that matters.
        "deletion_protection": False,
    },
)

pulumi.export("url", cache.url)
pulumi.export("secret_arn", cache.secret_arn)

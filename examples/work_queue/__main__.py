"""Two queues: one for tasks of up to half an hour, and one that keeps the order of each customer's orders."""

import pulumi
import pulumi_aws as aws

from agent_infra import WorkQueue

# So that `destroy` ends this example; leave it out for queues that matter.
UNPROTECTED = {"deletion_protection": False}

# Those that fail five times wait as dead letters, and the alarms say so.
tasks = WorkQueue("tasks", {"task_timeout": 1800, "max_receives": 5, "alarms": {}, **UNPROTECTED})

key = aws.kms.Key("orders", description="The orders in the queue", enable_key_rotation=True)
orders = WorkQueue(
    "orders",
    {
        "fifo": True,
        "fifo_high_throughput": True,
        "task_timeout": 60,
        "kms_key_arn": key.arn,
        # The shop's own account sends; it needs the key as well, which the key's policy says.
        "senders": [{"principal_arn": "arn:aws:iam::210987654321:role/shop"}],
        **UNPROTECTED,
    },
)

pulumi.export("queue_urls", {"tasks": tasks.url, "orders": orders.url})
pulumi.export("dead_letter_queue_urls", {"tasks": tasks.dead_letter_url, "orders": orders.dead_letter_url})

"""A queue for tasks of up to half an hour; those that fail five times wait in the dead-letter queue."""

import pulumi

from agent_infra import WorkQueue

queue = WorkQueue("tasks", {"task_timeout": 1800, "max_receives": 5})

pulumi.export("queue_url", queue.url)
pulumi.export("dead_letter_url", queue.dead_letter_url)

"""A cluster in EKS Auto Mode, with nodes of one's own for batches beside; KEDA scales by a queue's length."""

import pulumi

from agent_infra import EksCluster, Network, WorkQueue

network = Network("net", {"zones": 2, "nat": "one", "flow_log_retention_days": None})
queue = WorkQueue("tasks", {"task_timeout": 900, "deletion_protection": False})
cluster = EksCluster(
    "agents",
    {
        "subnet_ids": network.private_subnet_ids,
        "compute": {
            "auto": True,
            "node_groups": {
                "batch": {
                    "instance_types": ["m7g.large", "m8g.large"],
                    "capacity": "spot",
                    "min": 0,
                    "max": 6,
                    "taints": [{"key": "batch"}],
                }
            },
        },
        "access": {
            "developers": {
                "principal": "arn:aws:iam::123456789012:role/developers",
                "policy": "edit",
                "namespaces": ["agents"],
            }
        },
        "keda": {},
        "keda_queue_arns": [queue.arn],
        "irsa": True,
        # So that `destroy` ends this example; leave it out for a cluster that matters.
        "deletion_protection": False,
    },
)

pulumi.export("name", cluster.name)
pulumi.export("kubeconfig", cluster.kubeconfig)
pulumi.export("oidc_provider_arn", cluster.oidc_provider_arn)

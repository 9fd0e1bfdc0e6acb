"""A network of two zones without NAT: nodes reach AWS by endpoints. Another component adopts it."""

import pulumi

from agent_infra import Network

network = Network(
    "net",
    {
        "cidr": "10.20.0.0/18",
        "zones": 2,
        "nat": "none",
        "gateway_endpoints": ["s3", "dynamodb"],
        "interface_endpoints": ["ecr.api", "ecr.dkr", "sts", "sqs"],
        "cluster_name": "agents-example",
        "subnet_tags": {"isolated": {"tier": "data"}},
    },
)
adopted = Network(
    "adopted",
    {
        "existing": {
            "vpc_id": network.vpc_id,
            "private_subnet_ids": network.private_subnet_ids,
            "isolated_subnet_ids": network.isolated_subnet_ids,
        },
        "interface_endpoints": ["secretsmanager"],
    },
)

pulumi.export("vpc_id", adopted.vpc_id)
pulumi.export("private_subnet_ids", adopted.private_subnet_ids)
pulumi.export("isolated_subnet_ids", adopted.isolated_subnet_ids)
pulumi.export("endpoint_security_group_id", network.endpoint_security_group_id)

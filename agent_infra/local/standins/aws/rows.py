"""The whole table, by type."""

from __future__ import annotations

from agent_infra.local.standins.aws import (
    cloudwatch,
    ec2,
    ecr,
    eks,
    elasticache,
    iam,
    kms,
    lambdas,
    logs,
    rds,
    s3,
    secretsmanager,
    sqs,
)
from agent_infra.local.standins.aws.table import Row

_MODULES = (cloudwatch, ec2, ecr, eks, elasticache, iam, kms, lambdas, logs, rds, s3, secretsmanager, sqs)

ROWS: dict[str, Row] = {row.type: row for module in _MODULES for row in module.ROWS}

"""For every type of the aws stand-in's table: what it needs, its inputs, and a change; a file a service."""

from __future__ import annotations

from tests.engine.standin_cases import (
    cloudwatch,
    ec2,
    ecr,
    eks,
    elasticache,
    iam,
    kms,
    lambdas,
    rds,
    s3,
    secretsmanager,
    sqs,
)
from tests.engine.standin_cases.case import Case, World, allow, trust

_SERVICES = (cloudwatch, ec2, ecr, eks, elasticache, iam, kms, lambdas, rds, s3, secretsmanager, sqs)
CASES: dict[str, Case] = {type: case for service in _SERVICES for type, case in service.CASES.items()}

__all__ = ["CASES", "Case", "World", "allow", "trust"]

"""What a case of a resource type says, and the world that it is tried in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agent_infra.local.standins.aws import AwsStandin
from agent_infra.local.standins.server import Properties


def trust(service: str = "ec2.amazonaws.com") -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def allow(action: str | list[str], **more: Any) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*", **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class World:
    """Makes what a resource depends on, through the stand-in itself."""

    def __init__(self, standin: AwsStandin) -> None:
        self.standin = standin
        self.made: list[tuple[str, str, Properties, Properties]] = []
        self._count = 0

    def make(self, type: str, **inputs: Any) -> Properties:
        self._count += 1
        name = f"dep{self._count}"
        checked = self.standin.check(type, name, {}, inputs)
        id, state = self.standin.create(type, name, checked, preview=False)
        self.made.append((type, id, checked, state))
        return {**state, "id": id}

    def end(self) -> None:
        for type, id, inputs, state in reversed(self.made):
            self.standin.delete(type, id, inputs, state)

    def vpc(self) -> str:
        return str(self.make("aws:ec2/vpc:Vpc", cidrBlock="10.9.0.0/16")["id"])

    def subnets(self, vpc: str | None = None) -> list[str]:
        vpc = vpc or self.vpc()
        return [
            self.make(
                "aws:ec2/subnet:Subnet",
                vpcId=vpc,
                cidrBlock=f"10.9.{n}.0/24",
                availabilityZone=f"eu-west-1{z}",
            )["id"]
            for n, z in enumerate("ab")
        ]

    def role(self) -> Properties:
        return self.make("aws:iam/role:Role", assumeRolePolicy=trust())

    def cluster(self) -> str:
        subnets = self.subnets()
        role = self.role()["arn"]
        made = self.make("aws:eks/cluster:Cluster", roleArn=role, vpcConfig={"subnetIds": subnets})
        return str(made["id"])

    def queue(self) -> str:
        return str(self.make("aws:sqs/queue:Queue")["id"])

    def bucket(self) -> str:
        return str(self.make("aws:s3/bucket:Bucket", forceDestroy=True)["id"])

    def group(self) -> str:
        return str(self.make("aws:ec2/securityGroup:SecurityGroup", vpcId=self.vpc())["id"])


@dataclass
class Case:
    """`make` gives the inputs; `change` is laid over them for the update."""

    make: Callable[[World], Properties]
    change: Properties = field(default_factory=dict)
    #: What an import cannot know.
    unknown_to_import: set[str] = field(default_factory=set)
    #: AWS keeps it, as the official provider's delete does.
    stays: bool = False
    import_id: Callable[[str, Properties], str] = lambda made, _inputs: made


TAGS = {"tags": {"team": "agents", "stage": "test"}}
NEW_TAGS = {"tags": {"team": "agents", "owner": "me"}}

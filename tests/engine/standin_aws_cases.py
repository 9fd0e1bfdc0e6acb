"""For every type of the aws stand-in's table: what it needs, its inputs, and a change."""

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


def _flow_log(world: World) -> Properties:
    group = world.make("aws:cloudwatch/logGroup:LogGroup")
    return {
        "vpcId": world.vpc(),
        "trafficType": "ALL",
        "logDestination": group["arn"],
        "iamRoleArn": world.role()["arn"],
        **TAGS,
    }


def _route(world: World) -> Properties:
    vpc = world.vpc()
    table = world.make("aws:ec2/routeTable:RouteTable", vpcId=vpc)
    gateway = world.make("aws:ec2/internetGateway:InternetGateway", vpcId=vpc)
    return {"routeTableId": table["id"], "destinationCidrBlock": "0.0.0.0/0", "gatewayId": gateway["id"]}


def _association(world: World) -> Properties:
    vpc = world.vpc()
    table = world.make("aws:ec2/routeTable:RouteTable", vpcId=vpc)
    return {"routeTableId": table["id"], "subnetId": world.subnets(vpc)[0]}


def _nat(world: World) -> Properties:
    address = world.make("aws:ec2/eip:Eip", domain="vpc")
    return {"allocationId": address["id"], "subnetId": world.subnets()[0], **TAGS}


def _rule(direction: str) -> Callable[[World], Properties]:
    def make(world: World) -> Properties:
        group = world.group()
        other = {"referencedSecurityGroupId": group} if direction == "ingress" else {"cidrIpv4": "10.0.0.0/8"}
        ports = {"fromPort": 6379, "toPort": 6379}
        return {
            "securityGroupId": group,
            "ipProtocol": "tcp",
            **ports,
            "description": "cache",
            **other,
            **TAGS,
        }

    return make


def _pod_identity(world: World) -> Properties:
    return {
        "clusterName": world.cluster(),
        "namespace": "agents",
        "serviceAccount": "api",
        "roleArn": world.role()["arn"],
        **TAGS,
    }


def _node_group(world: World) -> Properties:
    vpc = world.subnets()
    cluster = world.make("aws:eks/cluster:Cluster", roleArn=world.role()["arn"], vpcConfig={"subnetIds": vpc})
    return {
        "clusterName": cluster["id"],
        "nodeRoleArn": world.role()["arn"],
        "subnetIds": vpc,
        "scalingConfig": {"minSize": 1, "maxSize": 3, "desiredSize": 1},
        "instanceTypes": ["m7g.large"],
        "labels": {"a": "b"},
        "taints": [{"key": "k", "value": "v", "effect": "NO_SCHEDULE"}],
        **TAGS,
    }


def _attachment(world: World) -> Properties:
    policy = world.make("aws:iam/policy:Policy", policy=allow("s3:GetObject"))
    return {"role": world.role()["name"], "policyArn": policy["arn"]}


def _rds_cluster(world: World) -> Properties:
    group = world.make("aws:rds/subnetGroup:SubnetGroup", subnetIds=world.subnets())
    parameters = world.make(
        "aws:rds/clusterParameterGroup:ClusterParameterGroup", family="aurora-postgresql16"
    )
    return {
        "engine": "aurora-postgresql",
        "engineVersion": "16.6",
        "databaseName": "agents",
        "masterUsername": "agent",
        "manageMasterUserPassword": True,
        "dbSubnetGroupName": group["id"],
        "dbClusterParameterGroupName": parameters["id"],
        "vpcSecurityGroupIds": [world.group()],
        "storageEncrypted": True,
        "skipFinalSnapshot": True,
        "serverlessv2ScalingConfiguration": {
            "minCapacity": 0,
            "maxCapacity": 4,
            "secondsUntilAutoPause": 300,
        },
        "backupRetentionPeriod": 7,
        "deletionProtection": False,
        "port": 5432,
        "enabledCloudwatchLogsExports": ["postgresql"],
        "preferredBackupWindow": "03:00-04:00",
        **TAGS,
    }


def _cluster_member(world: World) -> Properties:
    cluster = world.make(
        "aws:rds/cluster:Cluster",
        engine="aurora-postgresql",
        masterUsername="member_admin",
        masterPassword="a-long-password",
        skipFinalSnapshot=True,
    )
    return {
        "clusterIdentifier": cluster["id"],
        "engine": "aurora-postgresql",
        "instanceClass": "db.serverless",
        **TAGS,
    }


def _rds_instance(world: World) -> Properties:
    group = world.make("aws:rds/subnetGroup:SubnetGroup", subnetIds=world.subnets())
    parameters = world.make("aws:rds/parameterGroup:ParameterGroup", family="postgres16")
    return {
        "engine": "postgres",
        "engineVersion": "16.4",
        "instanceClass": "db.t4g.micro",
        "dbName": "single",
        "username": "single_admin",
        "password": "a-long-password",
        "allocatedStorage": 20,
        "maxAllocatedStorage": 100,
        "storageType": "gp3",
        "dbSubnetGroupName": group["id"],
        "multiAz": True,
        "parameterGroupName": parameters["id"],
        "vpcSecurityGroupIds": [world.group()],
        "storageEncrypted": True,
        "skipFinalSnapshot": True,
        "backupRetentionPeriod": 7,
        "port": 5432,
        **TAGS,
    }


def _replication_group(world: World) -> Properties:
    subnets = world.make("aws:elasticache/subnetGroup:SubnetGroup", subnetIds=world.subnets())
    key = world.make("aws:kms/key:Key", deletionWindowInDays=7)
    return {
        "description": "agents' cache",
        "engine": "valkey",
        "engineVersion": "8.0",
        "nodeType": "cache.t4g.small",
        "numCacheClusters": 2,
        "automaticFailoverEnabled": True,
        "multiAzEnabled": True,
        "port": 6379,
        "subnetGroupName": subnets["id"],
        "securityGroupIds": [world.group()],
        "kmsKeyId": key["arn"],
        "transitEncryptionEnabled": True,
        "atRestEncryptionEnabled": True,
        "authToken": "a-very-long-token",
        "snapshotRetentionLimit": 3,
        "parameterGroupName": "default.valkey8",
        "applyImmediately": True,
        **TAGS,
    }


def _redrive(world: World) -> Properties:
    dead = world.make("aws:sqs/queue:Queue")
    text = json.dumps({"deadLetterTargetArn": dead["arn"], "maxReceiveCount": 5})
    return {"queueUrl": world.queue(), "redrivePolicy": text}


def _encryption(world: World) -> Properties:
    rule = {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms"}, "bucketKeyEnabled": True}
    return {"bucket": world.bucket(), "rules": [rule]}


def _encryption_rule(algorithm: str) -> Properties:
    return {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": algorithm}}]}


def _lifecycle_rules(days: int) -> Properties:
    return {
        "rules": [
            {
                "id": "old",
                "status": "Enabled",
                "filter": {"prefix": "artifacts/"},
                "expiration": {"days": days},
                "noncurrentVersionExpiration": {"noncurrentDays": 7},
                "abortIncompleteMultipartUpload": {"daysAfterInitiation": 3},
                "transitions": [{"days": 30, "storageClass": "STANDARD_IA"}],
            }
        ]
    }


def _ecr_policy(days: int) -> str:
    selection = {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": days,
    }
    rule = {"rulePriority": 1, "description": "old", "selection": selection, "action": {"type": "expire"}}
    return json.dumps({"rules": [rule]})


def _repository(world: World) -> str:
    return str(world.make("aws:ecr/repository:Repository", forceDelete=True)["id"])


def _pull_policy(account: str) -> str:
    return allow("ecr:BatchGetImage", Principal={"AWS": account})


def _send_policy(action: str) -> str:
    return allow(action, Principal={"Service": "sns.amazonaws.com"})


def _access_entry(world: World) -> Properties:
    return {"clusterName": world.cluster(), "principalArn": world.role()["arn"], **TAGS}


def _access_association(world: World) -> Properties:
    return {
        "clusterName": world.cluster(),
        "principalArn": world.role()["arn"],
        "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
        "accessScope": {"type": "cluster"},
    }


def _eks_cluster(world: World) -> Properties:
    key = world.make("aws:kms/key:Key", deletionWindowInDays=7)
    return {
        "roleArn": world.role()["arn"],
        "version": "1.33",
        "vpcConfig": {
            "subnetIds": world.subnets(),
            "endpointPrivateAccess": True,
            "publicAccessCidrs": ["0.0.0.0/0"],
        },
        "accessConfig": {"authenticationMode": "API"},
        "bootstrapSelfManagedAddons": False,
        "computeConfig": {"enabled": True, "nodePools": ["general-purpose", "system"]},
        "kubernetesNetworkConfig": {"elasticLoadBalancing": {"enabled": True}},
        "enabledClusterLogTypes": ["api", "audit"],
        "encryptionConfig": {"provider": {"keyArn": key["arn"]}, "resources": ["secrets"]},
        **TAGS,
    }


CASES: dict[str, Case] = {
    "aws:ec2/vpc:Vpc": Case(
        lambda w: {"cidrBlock": "10.0.0.0/16", "enableDnsHostnames": True, **TAGS},
        {"enableDnsHostnames": False, **NEW_TAGS},
    ),
    "aws:ec2/subnet:Subnet": Case(
        lambda w: {
            "vpcId": w.vpc(),
            "cidrBlock": "10.9.1.0/24",
            "availabilityZone": "eu-west-1a",
            "mapPublicIpOnLaunch": True,
            **TAGS,
        },
        {"mapPublicIpOnLaunch": False, **NEW_TAGS},
    ),
    "aws:ec2/internetGateway:InternetGateway": Case(lambda w: {"vpcId": w.vpc(), **TAGS}, NEW_TAGS),
    "aws:ec2/natGateway:NatGateway": Case(_nat, NEW_TAGS),
    "aws:ec2/eip:Eip": Case(lambda w: {"domain": "vpc", **TAGS}, NEW_TAGS),
    "aws:ec2/routeTable:RouteTable": Case(lambda w: {"vpcId": w.vpc(), **TAGS}, NEW_TAGS),
    "aws:ec2/route:Route": Case(
        _route, import_id=lambda _, inputs: f"{inputs['routeTableId']}_{inputs['destinationCidrBlock']}"
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": Case(_association),
    "aws:ec2/securityGroup:SecurityGroup": Case(
        lambda w: {
            "vpcId": w.vpc(),
            "description": "a cache",
            "ingress": [
                {
                    "protocol": "tcp",
                    "fromPort": 6379,
                    "toPort": 6379,
                    "cidrBlocks": ["10.0.0.0/16", "10.1.0.0/16"],
                    "description": "from the pods",
                },
                {"protocol": "-1", "fromPort": 0, "toPort": 0, "self": True},
            ],
            "egress": [{"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": ["0.0.0.0/0"]}],
            **TAGS,
        },
        {"ingress": [{"protocol": "tcp", "fromPort": 5432, "toPort": 5432, "cidrBlocks": ["10.0.0.0/16"]}]},
        {"ingress", "egress"},
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": Case(
        lambda w: {
            "vpcId": (vpc := w.vpc()),
            "serviceName": "com.amazonaws.eu-west-1.s3",
            "routeTableIds": [w.make("aws:ec2/routeTable:RouteTable", vpcId=vpc)["id"]],
            **TAGS,
        },
        NEW_TAGS,
    ),
    "aws:ec2/flowLog:FlowLog": Case(_flow_log, NEW_TAGS),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": Case(
        lambda w: {"vpcId": w.vpc(), **TAGS}, NEW_TAGS, stays=True
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": Case(
        _rule("ingress"), {"fromPort": 6378}, {"description"}
    ),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": Case(
        _rule("egress"), {"cidrIpv4": "10.2.0.0/16"}
    ),
    "aws:iam/role:Role": Case(
        lambda w: {"assumeRolePolicy": trust(), "description": "d", "maxSessionDuration": 7200, **TAGS},
        {"assumeRolePolicy": trust("pods.eks.amazonaws.com"), "description": "e", **NEW_TAGS},
    ),
    "aws:iam/rolePolicy:RolePolicy": Case(
        lambda w: {"role": w.role()["name"], "policy": allow("s3:GetObject")},
        {"policy": allow(["s3:GetObject", "s3:PutObject"])},
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": Case(_attachment),
    "aws:iam/policy:Policy": Case(
        lambda w: {"policy": allow("s3:GetObject"), "description": "d", **TAGS},
        {"policy": allow("s3:PutObject"), **NEW_TAGS},
    ),
    "aws:eks/cluster:Cluster": Case(
        _eks_cluster,
        {"enabledClusterLogTypes": ["api"], "version": "1.34", **NEW_TAGS},
        {"version", "accessConfig", "computeConfig", "bootstrapSelfManagedAddons"},
    ),
    "aws:eks/nodeGroup:NodeGroup": Case(
        _node_group,
        {
            "labels": {"c": "d"},
            "taints": [],
            "scalingConfig": {"minSize": 2, "maxSize": 4, "desiredSize": 2},
            **NEW_TAGS,
        },
    ),
    "aws:eks/accessEntry:AccessEntry": Case(_access_entry, NEW_TAGS),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": Case(_access_association),
    "aws:eks/addon:Addon": Case(
        lambda w: {"clusterName": w.cluster(), "addonName": "coredns", **TAGS},
        {"configurationValues": '{"replicaCount": 3}', **NEW_TAGS},
    ),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": Case(_pod_identity, NEW_TAGS),
    "aws:kms/key:Key": Case(
        lambda w: {"description": "d", "enableKeyRotation": True, "deletionWindowInDays": 7, **TAGS},
        {"description": "e", "enableKeyRotation": False, **NEW_TAGS},
        {"deletionWindowInDays"},
    ),
    "aws:kms/alias:Alias": Case(
        lambda w: {"targetKeyId": w.make("aws:kms/key:Key", deletionWindowInDays=7)["id"]}
    ),
    "aws:cloudwatch/logGroup:LogGroup": Case(
        lambda w: {"retentionInDays": 30, **TAGS}, {"retentionInDays": 7, **NEW_TAGS}
    ),
    "aws:elasticache/subnetGroup:SubnetGroup": Case(
        lambda w: {"subnetIds": w.subnets(), **TAGS}, {"description": "other", **NEW_TAGS}
    ),
    "aws:elasticache/replicationGroup:ReplicationGroup": Case(
        _replication_group,
        {"snapshotRetentionLimit": 5, "authToken": "another-long-token", "description": "e", **NEW_TAGS},
        {
            "engine",
            "engineVersion",
            "numCacheClusters",
            "port",
            "subnetGroupName",
            "securityGroupIds",
            "authToken",
            "parameterGroupName",
            "applyImmediately",
        },
    ),
    "aws:elasticache/parameterGroup:ParameterGroup": Case(
        lambda w: {
            "family": "valkey8",
            "parameters": [{"name": "maxmemory-policy", "value": "noeviction"}],
            **TAGS,
        },
        {"parameters": [{"name": "maxmemory-policy", "value": "volatile-lru"}]},
    ),
    "aws:elasticache/user:User": Case(
        lambda w: {
            "userId": "agent",
            "userName": "agent",
            "engine": "valkey",
            "accessString": "on ~* +@all",
            "passwords": ["a-very-long-password"],
            **TAGS,
        },
        {"accessString": "on ~app:* +@all"},
    ),
    "aws:elasticache/userGroup:UserGroup": Case(
        lambda w: {"userGroupId": "agents", "engine": "valkey", "userIds": ["default", "agent"], **TAGS},
        {"userIds": ["default"]},
    ),
    "aws:rds/subnetGroup:SubnetGroup": Case(
        lambda w: {"subnetIds": w.subnets(), **TAGS}, {"description": "other", **NEW_TAGS}
    ),
    "aws:rds/cluster:Cluster": Case(
        _rds_cluster,
        {
            "serverlessv2ScalingConfiguration": {"minCapacity": 0.5, "maxCapacity": 8},
            "backupRetentionPeriod": 14,
            "enabledCloudwatchLogsExports": [],
            **NEW_TAGS,
        },
        {"skipFinalSnapshot", "enabledCloudwatchLogsExports"},
    ),
    "aws:rds/clusterInstance:ClusterInstance": Case(
        _cluster_member, {"instanceClass": "db.r8g.large", **NEW_TAGS}
    ),
    "aws:rds/instance:Instance": Case(
        _rds_instance,
        {"instanceClass": "db.t4g.small", "allocatedStorage": 40, "password": "another-password", **NEW_TAGS},
        {"password", "skipFinalSnapshot", "maxAllocatedStorage"},
    ),
    "aws:rds/parameterGroup:ParameterGroup": Case(
        lambda w: {"family": "postgres16", "parameters": [{"name": "log_statement", "value": "ddl"}], **TAGS},
        {"parameters": [{"name": "log_statement", "value": "all"}]},
        {"parameters"},
    ),
    "aws:rds/clusterParameterGroup:ClusterParameterGroup": Case(
        lambda w: {
            "family": "aurora-postgresql16",
            "parameters": [{"name": "log_statement", "value": "ddl"}],
            **TAGS,
        },
        {"parameters": [{"name": "log_statement", "value": "all"}], **NEW_TAGS},
        {"parameters"},
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Case(
        lambda w: {
            "namespace": "AWS/SQS",
            "metricName": "ApproximateAgeOfOldestMessage",
            "dimensions": {"QueueName": "jobs"},
            "statistic": "Maximum",
            "comparisonOperator": "GreaterThanThreshold",
            "threshold": 600,
            "period": 60,
            "evaluationPeriods": 5,
            "treatMissingData": "notBreaching",
            **TAGS,
        },
        change={"threshold": 900, "alarmDescription": "late", **NEW_TAGS},
    ),
    "aws:sqs/queue:Queue": Case(
        lambda w: {"visibilityTimeoutSeconds": 300, "messageRetentionSeconds": 1209600, **TAGS},
        {"visibilityTimeoutSeconds": 600, "receiveWaitTimeSeconds": 20, **NEW_TAGS},
    ),
    "aws:sqs/queuePolicy:QueuePolicy": Case(
        lambda w: {"queueUrl": w.queue(), "policy": _send_policy("sqs:SendMessage")},
        {"policy": _send_policy("sqs:*")},
    ),
    "aws:sqs/redrivePolicy:RedrivePolicy": Case(_redrive),
    "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy": Case(
        lambda w: {"queueUrl": w.queue(), "redriveAllowPolicy": json.dumps({"redrivePermission": "denyAll"})},
        {"redriveAllowPolicy": json.dumps({"redrivePermission": "allowAll"})},
    ),
    "aws:secretsmanager/secret:Secret": Case(
        lambda w: {"description": "d", "recoveryWindowInDays": 7, **TAGS},
        {"description": "e", **NEW_TAGS},
        {"recoveryWindowInDays"},
    ),
    "aws:secretsmanager/secretVersion:SecretVersion": Case(
        lambda w: {
            "secretId": w.make("aws:secretsmanager/secret:Secret", recoveryWindowInDays=0)["id"],
            "secretString": '{"password": "x"}',
        },
        stays=True,
    ),
    "aws:ecr/repository:Repository": Case(
        lambda w: {
            "imageScanningConfiguration": {"scanOnPush": True},
            "forceDelete": True,
            "imageTagMutability": "IMMUTABLE",
            **TAGS,
        },
        {"imageTagMutability": "MUTABLE", "imageScanningConfiguration": {"scanOnPush": False}, **NEW_TAGS},
        {"forceDelete"},
    ),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": Case(
        lambda w: {"repository": _repository(w), "policy": _ecr_policy(7)}, {"policy": _ecr_policy(14)}
    ),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": Case(
        lambda w: {"repository": _repository(w), "policy": _pull_policy("111111111111")},
        {"policy": _pull_policy("222222222222")},
    ),
    "aws:s3/bucket:Bucket": Case(lambda w: {"forceDestroy": True, **TAGS}, NEW_TAGS, {"forceDestroy"}),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": Case(
        lambda w: {
            "bucket": w.bucket(),
            "blockPublicAcls": True,
            "blockPublicPolicy": True,
            "ignorePublicAcls": True,
            "restrictPublicBuckets": True,
        },
        {"blockPublicAcls": False},
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": Case(
        _encryption, _encryption_rule("AES256")
    ),
    "aws:s3/bucketVersioning:BucketVersioning": Case(
        lambda w: {"bucket": w.bucket(), "versioningConfiguration": {"status": "Enabled"}},
        {"versioningConfiguration": {"status": "Suspended"}},
        stays=True,
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Case(
        lambda w: {"bucket": w.bucket(), **_lifecycle_rules(90)}, _lifecycle_rules(60)
    ),
    "aws:s3/bucketPolicy:BucketPolicy": Case(
        lambda w: {"bucket": w.bucket(), "policy": allow("s3:GetObject", Principal="*")},
        {"policy": allow(["s3:GetObject", "s3:PutObject"], Principal="*")},
    ),
}

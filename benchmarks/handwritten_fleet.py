"""A fleet as somebody would write it by hand, without this library: what `benchmarks.fleets` compares with.

It registers the very objects that `AgentFleet` does for `benchmarks.fleets.CONNECTED`, which that benchmark checks.
Plain mappings are used, which cost the SDK less than its typed classes.
"""

# ruff: noqa: E501, S104, S108

from __future__ import annotations

import json

import pulumi
import pulumi_aws as aws
from pulumi_kubernetes import apps, autoscaling, core, networking, policy

IMAGE = "registry.example/agents@sha256:" + "1" * 64


def fleet(name: str) -> None:
    """Registers it, under a component of its own."""
    component = pulumi.ComponentResource("agent-infra:index:AgentFleet", name)
    inside = pulumi.ResourceOptions(parent=component)

    def after(*needed: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=component, depends_on=list(needed))

    role = aws.iam.Role(
        f"{name}-role",
        assume_role_policy=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Sid": "PodIdentity",
                        "Effect": "Allow",
                        "Principal": {"Service": "pods.eks.amazonaws.com"},
                        "Action": ["sts:AssumeRole", "sts:TagSession"],
                        "Condition": {
                            "StringEquals": {
                                "aws:SourceAccount": "123456789012",
                                "aws:RequestTag/eks-cluster-arn": "arn:aws:eks:eu-central-1:123456789012:cluster/agents",
                                "aws:RequestTag/kubernetes-namespace": "agents",
                                "aws:RequestTag/kubernetes-service-account": name,
                            }
                        },
                    }
                ],
            }
        ),
        tags={"managed-by": "agent-infra", "Name": f"{name}-role"},
        opts=inside,
    )
    serviceaccount_api = core.v1.ServiceAccount(
        name,
        metadata={
            "name": name,
            "namespace": "agents",
            "labels": {
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/managed-by": "agent-infra",
            },
        },
        automount_service_account_token=False,
        opts=inside,
    )
    networkpolicy_api = networking.v1.NetworkPolicy(
        name,
        metadata={
            "name": name,
            "namespace": "agents",
            "labels": {
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/managed-by": "agent-infra",
                "app.kubernetes.io/component": "api",
                "agent-infra/kind": "api",
            },
        },
        spec={
            "ingress": [{"ports": [{"port": 8000, "protocol": "TCP"}], "from": [{"namespaceSelector": {}}]}],
            "policyTypes": ["Ingress", "Egress"],
            "egress": [
                {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]},
                {
                    "ports": [{"port": 443, "protocol": "TCP"}],
                    "to": [
                        {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}},
                        {"ipBlock": {"cidr": "::/0", "except": ["fd00:ec2::/32", "fe80::/10"]}},
                        {"namespaceSelector": {}},
                    ],
                },
                {
                    "ports": [{"port": 5432, "protocol": "TCP"}, {"port": 6379, "protocol": "TCP"}],
                    "to": [
                        {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}},
                        {"ipBlock": {"cidr": "::/0", "except": ["fd00:ec2::/32", "fe80::/10"]}},
                        {"namespaceSelector": {}},
                    ],
                },
                {
                    "ports": [{"port": 80, "protocol": "TCP"}],
                    "to": [
                        {"ipBlock": {"cidr": "169.254.170.23/32"}},
                        {"ipBlock": {"cidr": "fd00:ec2::23/128"}},
                    ],
                },
            ],
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": name, "agent-infra/kind": "api"}},
        },
        opts=inside,
    )
    networkpolicy_worker = networking.v1.NetworkPolicy(
        f"{name}-worker",
        metadata={
            "name": f"{name}-worker",
            "namespace": "agents",
            "labels": {
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/managed-by": "agent-infra",
                "app.kubernetes.io/component": "worker",
                "agent-infra/kind": "worker",
            },
        },
        spec={
            "ingress": [],
            "policyTypes": ["Ingress", "Egress"],
            "egress": [
                {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]},
                {
                    "ports": [{"port": 443, "protocol": "TCP"}],
                    "to": [
                        {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}},
                        {"ipBlock": {"cidr": "::/0", "except": ["fd00:ec2::/32", "fe80::/10"]}},
                        {"namespaceSelector": {}},
                    ],
                },
                {
                    "ports": [{"port": 5432, "protocol": "TCP"}, {"port": 6379, "protocol": "TCP"}],
                    "to": [
                        {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}},
                        {"ipBlock": {"cidr": "::/0", "except": ["fd00:ec2::/32", "fe80::/10"]}},
                        {"namespaceSelector": {}},
                    ],
                },
                {
                    "ports": [{"port": 80, "protocol": "TCP"}],
                    "to": [
                        {"ipBlock": {"cidr": "169.254.170.23/32"}},
                        {"ipBlock": {"cidr": "fd00:ec2::23/128"}},
                    ],
                },
                {
                    "ports": [{"port": 443, "protocol": "TCP"}, {"port": 6443, "protocol": "TCP"}],
                    "to": [
                        {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}},
                        {"ipBlock": {"cidr": "::/0", "except": ["fd00:ec2::/32", "fe80::/10"]}},
                        {"namespaceSelector": {}},
                    ],
                },
            ],
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": name, "agent-infra/kind": "worker"}},
        },
        opts=inside,
    )
    policy.v1.PodDisruptionBudget(
        name,
        metadata={
            "name": name,
            "namespace": "agents",
            "labels": {
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/managed-by": "agent-infra",
                "app.kubernetes.io/component": "api",
                "agent-infra/kind": "api",
            },
        },
        spec={
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "maxUnavailable": "25%",
            "selector": {"matchLabels": {"app.kubernetes.io/name": name, "agent-infra/kind": "api"}},
        },
        opts=inside,
    )
    policy.v1.PodDisruptionBudget(
        f"{name}-worker",
        metadata={
            "name": f"{name}-worker",
            "namespace": "agents",
            "labels": {
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/managed-by": "agent-infra",
                "app.kubernetes.io/component": "worker",
                "agent-infra/kind": "worker",
            },
        },
        spec={
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "maxUnavailable": "25%",
            "selector": {"matchLabels": {"app.kubernetes.io/name": name, "agent-infra/kind": "worker"}},
        },
        opts=inside,
    )
    permissions = aws.iam.RolePolicy(
        f"{name}-role",
        role=role.id,
        policy=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Sid": "Secrets",
                        "Effect": "Allow",
                        "Action": ["secretsmanager:GetSecretValue"],
                        "Resource": [
                            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:cache-1",
                            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-1",
                            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:keys-1",
                        ],
                    },
                    {
                        "Sid": "Queue",
                        "Effect": "Allow",
                        "Action": [
                            "sqs:SendMessage",
                            "sqs:ReceiveMessage",
                            "sqs:DeleteMessage",
                            "sqs:ChangeMessageVisibility",
                            "sqs:GetQueueAttributes",
                        ],
                        "Resource": "arn:aws:sqs:eu-central-1:123456789012:tasks",
                    },
                    {
                        "Sid": "Objects",
                        "Effect": "Allow",
                        "Action": [
                            "s3:GetObject",
                            "s3:PutObject",
                            "s3:DeleteObject",
                            "s3:AbortMultipartUpload",
                        ],
                        "Resource": f"arn:aws:s3:::artifacts/{name}/*",
                    },
                    {
                        "Sid": "ObjectList",
                        "Effect": "Allow",
                        "Action": ["s3:ListBucket"],
                        "Resource": "arn:aws:s3:::artifacts",
                        "Condition": {"StringLike": {"s3:prefix": f"{name}/*"}},
                    },
                ],
            }
        ),
        opts=inside,
    )
    association = aws.eks.PodIdentityAssociation(
        f"{name}-role",
        cluster_name="agents",
        namespace="agents",
        service_account=name,
        role_arn=role.arn,
        tags={"managed-by": "agent-infra", "Name": f"{name}-role"},
        opts=inside,
    )
    deployment_api = apps.v1.Deployment(
        name,
        metadata={
            "name": name,
            "namespace": "agents",
            "annotations": {"pulumi.com/timeoutSeconds": "1535", "pulumi.com/patchForce": "true"},
            "labels": {
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/managed-by": "agent-infra",
                "app.kubernetes.io/component": "api",
                "agent-infra/kind": "api",
            },
        },
        spec={
            "progressDeadlineSeconds": 935,
            "template": {
                "spec": {
                    "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}}],
                    "initContainers": [
                        {
                            "securityContext": {
                                "readOnlyRootFilesystem": True,
                                "capabilities": {"drop": ["ALL"]},
                                "allowPrivilegeEscalation": False,
                            },
                            "name": "migrate",
                            "volumeMounts": [{"mountPath": "/tmp", "name": "tmp"}],
                            "image": IMAGE,
                            "command": ["agent-app", "migrate"],
                            "resources": {
                                "requests": {"cpu": "250m", "memory": "256Mi"},
                                "limits": {"cpu": "500m", "memory": "512Mi"},
                            },
                            "env": [
                                {
                                    "value": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:keys-1",
                                    "name": "AGENT_APP_API_KEYS_SECRET_ARN",
                                },
                                {"value": "artifacts", "name": "AGENT_APP_ARTIFACT_BUCKET"},
                                {"value": f"{name}/", "name": "AGENT_APP_ARTIFACT_PREFIX"},
                                {
                                    "value": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-1",
                                    "name": "AGENT_APP_DATABASE_SECRET_ARN",
                                },
                                {
                                    "value": "postgresql://db:5432/agents?sslmode=require",
                                    "name": "AGENT_APP_DATABASE_URL",
                                },
                                {"value": "315", "name": "AGENT_APP_DRAIN_SECONDS"},
                                {"value": "test", "name": "AGENT_APP_ENVIRONMENT"},
                                {"value": name, "name": "AGENT_APP_FLEET"},
                                {"value": "0.0.0.0", "name": "AGENT_APP_HOST"},
                                {"value": "info", "name": "AGENT_APP_LOG_LEVEL"},
                                {"value": "5", "name": "AGENT_APP_MAX_ATTEMPTS"},
                                {"value": "8000", "name": "AGENT_APP_PORT"},
                                {
                                    "value": "https://sqs.eu-central-1.amazonaws.com/123456789012/tasks",
                                    "name": "AGENT_APP_QUEUE_URL",
                                },
                                {
                                    "value": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:cache-1",
                                    "name": "AGENT_APP_REDIS_SECRET_ARN",
                                },
                                {"value": "rediss://cache:6379/0", "name": "AGENT_APP_REDIS_URL"},
                                {"value": "300", "name": "AGENT_APP_TASK_TIMEOUT"},
                                {"value": "60", "name": "AGENT_APP_VISIBILITY_SECONDS"},
                                {"value": "4", "name": "AGENT_APP_WORKER_CONCURRENCY"},
                                {"value": "eu-central-1", "name": "AWS_REGION"},
                            ],
                        }
                    ],
                    "containers": [
                        {
                            "readinessProbe": {
                                "failureThreshold": 2,
                                "periodSeconds": 5,
                                "timeoutSeconds": 3,
                                "httpGet": {"port": "http", "path": "/readyz"},
                            },
                            "name": "agent",
                            "volumeMounts": [{"mountPath": "/tmp", "name": "tmp"}],
                            "image": IMAGE,
                            "securityContext": {
                                "readOnlyRootFilesystem": True,
                                "capabilities": {"drop": ["ALL"]},
                                "allowPrivilegeEscalation": False,
                            },
                            "livenessProbe": {
                                "failureThreshold": 3,
                                "periodSeconds": 10,
                                "timeoutSeconds": 5,
                                "httpGet": {"port": "http", "path": "/healthz"},
                            },
                            "ports": [{"containerPort": 8000, "name": "http", "protocol": "TCP"}],
                            "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
                            "startupProbe": {
                                "failureThreshold": 60,
                                "periodSeconds": 2,
                                "httpGet": {"port": "http", "path": "/healthz"},
                            },
                            "command": ["agent-app", "serve"],
                            "resources": {
                                "requests": {"cpu": "250m", "memory": "256Mi"},
                                "limits": {"cpu": "500m", "memory": "512Mi"},
                            },
                            "env": [
                                {
                                    "value": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:keys-1",
                                    "name": "AGENT_APP_API_KEYS_SECRET_ARN",
                                },
                                {"value": "artifacts", "name": "AGENT_APP_ARTIFACT_BUCKET"},
                                {"value": f"{name}/", "name": "AGENT_APP_ARTIFACT_PREFIX"},
                                {
                                    "value": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-1",
                                    "name": "AGENT_APP_DATABASE_SECRET_ARN",
                                },
                                {
                                    "value": "postgresql://db:5432/agents?sslmode=require",
                                    "name": "AGENT_APP_DATABASE_URL",
                                },
                                {"value": "315", "name": "AGENT_APP_DRAIN_SECONDS"},
                                {"value": "test", "name": "AGENT_APP_ENVIRONMENT"},
                                {"value": name, "name": "AGENT_APP_FLEET"},
                                {"value": "0.0.0.0", "name": "AGENT_APP_HOST"},
                                {"value": "info", "name": "AGENT_APP_LOG_LEVEL"},
                                {"value": "5", "name": "AGENT_APP_MAX_ATTEMPTS"},
                                {"value": "8000", "name": "AGENT_APP_PORT"},
                                {
                                    "value": "https://sqs.eu-central-1.amazonaws.com/123456789012/tasks",
                                    "name": "AGENT_APP_QUEUE_URL",
                                },
                                {
                                    "value": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:cache-1",
                                    "name": "AGENT_APP_REDIS_SECRET_ARN",
                                },
                                {"value": "rediss://cache:6379/0", "name": "AGENT_APP_REDIS_URL"},
                                {"value": "300", "name": "AGENT_APP_TASK_TIMEOUT"},
                                {"value": "60", "name": "AGENT_APP_VISIBILITY_SECONDS"},
                                {"value": "4", "name": "AGENT_APP_WORKER_CONCURRENCY"},
                                {"value": "eu-central-1", "name": "AWS_REGION"},
                            ],
                        }
                    ],
                    "securityContext": {
                        "runAsNonRoot": True,
                        "seccompProfile": {"type": "RuntimeDefault"},
                        "fsGroup": 10001,
                        "runAsGroup": 10001,
                        "runAsUser": 10001,
                    },
                    "topologySpreadConstraints": [
                        {
                            "topologyKey": "topology.kubernetes.io/zone",
                            "maxSkew": 1,
                            "labelSelector": {
                                "matchLabels": {"app.kubernetes.io/name": name, "agent-infra/kind": "api"}
                            },
                            "whenUnsatisfiable": "ScheduleAnyway",
                        },
                        {
                            "topologyKey": "kubernetes.io/hostname",
                            "maxSkew": 1,
                            "labelSelector": {
                                "matchLabels": {"app.kubernetes.io/name": name, "agent-infra/kind": "api"}
                            },
                            "whenUnsatisfiable": "ScheduleAnyway",
                        },
                    ],
                    "terminationGracePeriodSeconds": 335,
                    "enableServiceLinks": False,
                    "automountServiceAccountToken": False,
                    "serviceAccountName": name,
                },
                "metadata": {
                    "annotations": {},
                    "labels": {
                        "app.kubernetes.io/part-of": name,
                        "app.kubernetes.io/name": name,
                        "app.kubernetes.io/managed-by": "agent-infra",
                        "app.kubernetes.io/component": "api",
                        "agent-infra/kind": "api",
                    },
                },
            },
            "revisionHistoryLimit": 5,
            "selector": {
                "matchLabels": {"app.kubernetes.io/name": name, "app.kubernetes.io/component": "api"}
            },
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
        },
        opts=after(association, permissions, serviceaccount_api, networkpolicy_api, networkpolicy_worker),
    )
    deployment_worker = apps.v1.Deployment(
        f"{name}-worker",
        metadata={
            "name": f"{name}-worker",
            "namespace": "agents",
            "annotations": {"pulumi.com/timeoutSeconds": "1535", "pulumi.com/patchForce": "true"},
            "labels": {
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/managed-by": "agent-infra",
                "app.kubernetes.io/component": "worker",
                "agent-infra/kind": "worker",
            },
        },
        spec={
            "progressDeadlineSeconds": 935,
            "template": {
                "spec": {
                    "volumes": [
                        {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
                        {
                            "projected": {
                                "defaultMode": 288,
                                "sources": [
                                    {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
                                    {
                                        "configMap": {
                                            "name": "kube-root-ca.crt",
                                            "items": [{"key": "ca.crt", "path": "ca.crt"}],
                                        }
                                    },
                                    {
                                        "downwardAPI": {
                                            "items": [
                                                {"fieldRef": {"fieldPath": "metadata.name"}, "path": "name"},
                                                {
                                                    "fieldRef": {"fieldPath": "metadata.namespace"},
                                                    "path": "namespace",
                                                },
                                            ]
                                        }
                                    },
                                ],
                            },
                            "name": "pod",
                        },
                    ],
                    "initContainers": [
                        {
                            "securityContext": {
                                "readOnlyRootFilesystem": True,
                                "capabilities": {"drop": ["ALL"]},
                                "allowPrivilegeEscalation": False,
                            },
                            "name": "migrate",
                            "volumeMounts": [{"mountPath": "/tmp", "name": "tmp"}],
                            "image": IMAGE,
                            "command": ["agent-app", "migrate"],
                            "resources": {
                                "requests": {"cpu": "250m", "memory": "256Mi"},
                                "limits": {"cpu": "500m", "memory": "512Mi"},
                            },
                            "env": [
                                {
                                    "value": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:keys-1",
                                    "name": "AGENT_APP_API_KEYS_SECRET_ARN",
                                },
                                {"value": "artifacts", "name": "AGENT_APP_ARTIFACT_BUCKET"},
                                {"value": f"{name}/", "name": "AGENT_APP_ARTIFACT_PREFIX"},
                                {
                                    "value": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-1",
                                    "name": "AGENT_APP_DATABASE_SECRET_ARN",
                                },
                                {
                                    "value": "postgresql://db:5432/agents?sslmode=require",
                                    "name": "AGENT_APP_DATABASE_URL",
                                },
                                {"value": "315", "name": "AGENT_APP_DRAIN_SECONDS"},
                                {"value": "test", "name": "AGENT_APP_ENVIRONMENT"},
                                {"value": name, "name": "AGENT_APP_FLEET"},
                                {"value": "0.0.0.0", "name": "AGENT_APP_HOST"},
                                {"value": "info", "name": "AGENT_APP_LOG_LEVEL"},
                                {"value": "5", "name": "AGENT_APP_MAX_ATTEMPTS"},
                                {"value": "8000", "name": "AGENT_APP_PORT"},
                                {
                                    "value": "https://sqs.eu-central-1.amazonaws.com/123456789012/tasks",
                                    "name": "AGENT_APP_QUEUE_URL",
                                },
                                {
                                    "value": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:cache-1",
                                    "name": "AGENT_APP_REDIS_SECRET_ARN",
                                },
                                {"value": "rediss://cache:6379/0", "name": "AGENT_APP_REDIS_URL"},
                                {"value": "300", "name": "AGENT_APP_TASK_TIMEOUT"},
                                {"value": "60", "name": "AGENT_APP_VISIBILITY_SECONDS"},
                                {"value": "4", "name": "AGENT_APP_WORKER_CONCURRENCY"},
                                {"value": "eu-central-1", "name": "AWS_REGION"},
                            ],
                        }
                    ],
                    "containers": [
                        {
                            "readinessProbe": {
                                "failureThreshold": 2,
                                "periodSeconds": 5,
                                "timeoutSeconds": 3,
                                "httpGet": {"port": "http", "path": "/readyz"},
                            },
                            "name": "agent",
                            "volumeMounts": [
                                {"mountPath": "/tmp", "name": "tmp"},
                                {"mountPath": "/var/run/agent-infra/pod", "name": "pod", "readOnly": True},
                            ],
                            "image": IMAGE,
                            "securityContext": {
                                "readOnlyRootFilesystem": True,
                                "capabilities": {"drop": ["ALL"]},
                                "allowPrivilegeEscalation": False,
                            },
                            "livenessProbe": {
                                "failureThreshold": 3,
                                "periodSeconds": 10,
                                "timeoutSeconds": 5,
                                "httpGet": {"port": "http", "path": "/healthz"},
                            },
                            "ports": [{"containerPort": 8000, "name": "http", "protocol": "TCP"}],
                            "startupProbe": {
                                "failureThreshold": 60,
                                "periodSeconds": 2,
                                "httpGet": {"port": "http", "path": "/healthz"},
                            },
                            "command": ["agent-app", "work"],
                            "resources": {
                                "requests": {"cpu": "250m", "memory": "256Mi"},
                                "limits": {"cpu": "500m", "memory": "512Mi"},
                            },
                            "env": [
                                {
                                    "value": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:keys-1",
                                    "name": "AGENT_APP_API_KEYS_SECRET_ARN",
                                },
                                {"value": "artifacts", "name": "AGENT_APP_ARTIFACT_BUCKET"},
                                {"value": f"{name}/", "name": "AGENT_APP_ARTIFACT_PREFIX"},
                                {
                                    "value": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-1",
                                    "name": "AGENT_APP_DATABASE_SECRET_ARN",
                                },
                                {
                                    "value": "postgresql://db:5432/agents?sslmode=require",
                                    "name": "AGENT_APP_DATABASE_URL",
                                },
                                {"value": "315", "name": "AGENT_APP_DRAIN_SECONDS"},
                                {"value": "test", "name": "AGENT_APP_ENVIRONMENT"},
                                {"value": name, "name": "AGENT_APP_FLEET"},
                                {"value": "0.0.0.0", "name": "AGENT_APP_HOST"},
                                {"value": "info", "name": "AGENT_APP_LOG_LEVEL"},
                                {"value": "5", "name": "AGENT_APP_MAX_ATTEMPTS"},
                                {"value": "8000", "name": "AGENT_APP_PORT"},
                                {
                                    "value": "https://sqs.eu-central-1.amazonaws.com/123456789012/tasks",
                                    "name": "AGENT_APP_QUEUE_URL",
                                },
                                {
                                    "value": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:cache-1",
                                    "name": "AGENT_APP_REDIS_SECRET_ARN",
                                },
                                {"value": "rediss://cache:6379/0", "name": "AGENT_APP_REDIS_URL"},
                                {"value": "300", "name": "AGENT_APP_TASK_TIMEOUT"},
                                {"value": "60", "name": "AGENT_APP_VISIBILITY_SECONDS"},
                                {"value": "4", "name": "AGENT_APP_WORKER_CONCURRENCY"},
                                {"value": "eu-central-1", "name": "AWS_REGION"},
                                {"value": "/var/run/agent-infra/pod", "name": "AGENT_APP_POD_DIRECTORY"},
                            ],
                        }
                    ],
                    "securityContext": {
                        "runAsNonRoot": True,
                        "seccompProfile": {"type": "RuntimeDefault"},
                        "fsGroup": 10001,
                        "runAsGroup": 10001,
                        "runAsUser": 10001,
                    },
                    "topologySpreadConstraints": [
                        {
                            "topologyKey": "topology.kubernetes.io/zone",
                            "maxSkew": 1,
                            "labelSelector": {
                                "matchLabels": {"app.kubernetes.io/name": name, "agent-infra/kind": "worker"}
                            },
                            "whenUnsatisfiable": "ScheduleAnyway",
                        },
                        {
                            "topologyKey": "kubernetes.io/hostname",
                            "maxSkew": 1,
                            "labelSelector": {
                                "matchLabels": {"app.kubernetes.io/name": name, "agent-infra/kind": "worker"}
                            },
                            "whenUnsatisfiable": "ScheduleAnyway",
                        },
                    ],
                    "terminationGracePeriodSeconds": 335,
                    "enableServiceLinks": False,
                    "automountServiceAccountToken": False,
                    "serviceAccountName": name,
                },
                "metadata": {
                    "annotations": {},
                    "labels": {
                        "app.kubernetes.io/part-of": name,
                        "app.kubernetes.io/name": name,
                        "app.kubernetes.io/managed-by": "agent-infra",
                        "app.kubernetes.io/component": "worker",
                        "agent-infra/kind": "worker",
                    },
                },
            },
            "revisionHistoryLimit": 5,
            "selector": {
                "matchLabels": {"app.kubernetes.io/name": name, "app.kubernetes.io/component": "worker"}
            },
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
        },
        opts=after(association, permissions, serviceaccount_api, networkpolicy_api, networkpolicy_worker),
    )
    core.v1.Service(
        name,
        metadata={
            "name": name,
            "namespace": "agents",
            "labels": {
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/managed-by": "agent-infra",
                "app.kubernetes.io/component": "api",
                "agent-infra/kind": "api",
            },
        },
        spec={
            "ports": [{"targetPort": 8000, "name": "http", "port": 80, "protocol": "TCP"}],
            "type": "ClusterIP",
            "selector": {"app.kubernetes.io/name": name, "agent-infra/kind": "api"},
        },
        opts=after(deployment_api),
    )
    autoscaling.v2.HorizontalPodAutoscaler(
        name,
        metadata={
            "name": name,
            "namespace": "agents",
            "annotations": {"validations.keda.sh/hpa-ownership": "false"},
            "labels": {
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/managed-by": "agent-infra",
                "app.kubernetes.io/component": "api",
                "agent-infra/kind": "api",
            },
        },
        spec={
            "maxReplicas": 10,
            "scaleTargetRef": {"name": name, "kind": "Deployment", "apiVersion": "apps/v1"},
            "behavior": {
                "scaleDown": {
                    "selectPolicy": "Max",
                    "policies": [{"value": 10, "type": "Percent", "periodSeconds": 60}],
                    "stabilizationWindowSeconds": 300,
                },
                "scaleUp": {
                    "selectPolicy": "Max",
                    "policies": [
                        {"value": 100, "type": "Percent", "periodSeconds": 15},
                        {"value": 4, "type": "Pods", "periodSeconds": 15},
                    ],
                    "stabilizationWindowSeconds": 0,
                },
            },
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
                }
            ],
            "minReplicas": 3,
        },
        opts=after(deployment_api),
    )
    autoscaling.v2.HorizontalPodAutoscaler(
        f"{name}-worker",
        metadata={
            "name": f"{name}-worker",
            "namespace": "agents",
            "annotations": {"validations.keda.sh/hpa-ownership": "false"},
            "labels": {
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/managed-by": "agent-infra",
                "app.kubernetes.io/component": "worker",
                "agent-infra/kind": "worker",
            },
        },
        spec={
            "maxReplicas": 10,
            "scaleTargetRef": {"name": f"{name}-worker", "kind": "Deployment", "apiVersion": "apps/v1"},
            "behavior": {
                "scaleDown": {
                    "selectPolicy": "Max",
                    "policies": [{"value": 10, "type": "Percent", "periodSeconds": 60}],
                    "stabilizationWindowSeconds": 300,
                },
                "scaleUp": {
                    "selectPolicy": "Max",
                    "policies": [
                        {"value": 100, "type": "Percent", "periodSeconds": 15},
                        {"value": 4, "type": "Pods", "periodSeconds": 15},
                    ],
                    "stabilizationWindowSeconds": 0,
                },
            },
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
                }
            ],
            "minReplicas": 1,
        },
        opts=after(deployment_worker),
    )
    component.register_outputs({})

"""A fleet as somebody would write it by hand, without this library: what `benchmarks.fleets` compares with.

It registers the very objects that `AgentFleet` does for `benchmarks.fleets.CONNECTED`, which that benchmark checks.
Plain mappings are used, which cost the SDK less than its typed classes.
"""

# ruff: noqa: E501, S104, S108

from __future__ import annotations

import hashlib
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
        tags={"Name": f"{name}-role", "managed-by": "agent-infra"},
        opts=inside,
    )
    serviceaccount_api = core.v1.ServiceAccount(
        name,
        metadata={
            "labels": {
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/managed-by": "agent-infra",
            },
            "name": name,
            "namespace": "agents",
        },
        automount_service_account_token=False,
        opts=inside,
    )
    data = {
        "AGENT_APP_ARTIFACT_BUCKET": "artifacts",
        "AGENT_APP_VISIBILITY_SECONDS": "60",
        "AGENT_APP_FLEET": name,
        "AGENT_APP_API_KEYS_SECRET_ARN": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:keys-1",
        "AGENT_APP_REDIS_URL": "rediss://cache:6379/0",
        "AGENT_APP_DATABASE_URL": "postgresql://db:5432/agents?sslmode=require",
        "AGENT_APP_ENVIRONMENT": "test",
        "AWS_REGION": "eu-central-1",
        "AGENT_APP_WORKER_CONCURRENCY": "4",
        "AGENT_APP_LOG_LEVEL": "info",
        "AGENT_APP_MAX_ATTEMPTS": "5",
        "AGENT_APP_TASK_TIMEOUT": "300",
        "AGENT_APP_REDIS_SECRET_ARN": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:cache-1",
        "AGENT_APP_HOST": "0.0.0.0",
        "AGENT_APP_DATABASE_SECRET_ARN": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-1",
        "AGENT_APP_ARTIFACT_PREFIX": f"{name}/",
        "AGENT_APP_PORT": "8000",
        "AGENT_APP_DRAIN_SECONDS": "315",
        "AGENT_APP_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/tasks",
    }
    config_hash = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]
    configmap_api = core.v1.ConfigMap(
        name,
        metadata={
            "labels": {
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/managed-by": "agent-infra",
            },
            "name": f"{name}-config",
            "namespace": "agents",
        },
        data=data,
        opts=inside,
    )
    networkpolicy_api = networking.v1.NetworkPolicy(
        name,
        metadata={
            "labels": {
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/component": "api",
                "agent-infra/kind": "api",
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/managed-by": "agent-infra",
            },
            "name": name,
            "namespace": "agents",
        },
        spec={
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
            "podSelector": {"matchLabels": {"agent-infra/kind": "api", "app.kubernetes.io/name": name}},
            "ingress": [{"ports": [{"port": 8000, "protocol": "TCP"}], "from": [{"namespaceSelector": {}}]}],
        },
        opts=inside,
    )
    networkpolicy_worker = networking.v1.NetworkPolicy(
        f"{name}-worker",
        metadata={
            "labels": {
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/component": "worker",
                "agent-infra/kind": "worker",
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/managed-by": "agent-infra",
            },
            "name": f"{name}-worker",
            "namespace": "agents",
        },
        spec={
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
            "podSelector": {"matchLabels": {"agent-infra/kind": "worker", "app.kubernetes.io/name": name}},
            "ingress": [],
        },
        opts=inside,
    )
    policy.v1.PodDisruptionBudget(
        name,
        metadata={
            "labels": {
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/component": "api",
                "agent-infra/kind": "api",
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/managed-by": "agent-infra",
            },
            "name": name,
            "namespace": "agents",
        },
        spec={
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": {"agent-infra/kind": "api", "app.kubernetes.io/name": name}},
            "maxUnavailable": "25%",
        },
        opts=inside,
    )
    policy.v1.PodDisruptionBudget(
        f"{name}-worker",
        metadata={
            "labels": {
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/component": "worker",
                "agent-infra/kind": "worker",
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/managed-by": "agent-infra",
            },
            "name": f"{name}-worker",
            "namespace": "agents",
        },
        spec={
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": {"agent-infra/kind": "worker", "app.kubernetes.io/name": name}},
            "maxUnavailable": "25%",
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
        tags={"Name": f"{name}-role", "managed-by": "agent-infra"},
        opts=inside,
    )
    deployment_api = apps.v1.Deployment(
        name,
        metadata={
            "labels": {
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/component": "api",
                "agent-infra/kind": "api",
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/managed-by": "agent-infra",
            },
            "annotations": {"pulumi.com/timeoutSeconds": "1535"},
            "name": name,
            "namespace": "agents",
        },
        spec={
            "template": {
                "metadata": {
                    "labels": {
                        "app.kubernetes.io/part-of": name,
                        "app.kubernetes.io/component": "api",
                        "agent-infra/kind": "api",
                        "app.kubernetes.io/name": name,
                        "app.kubernetes.io/managed-by": "agent-infra",
                    },
                    "annotations": {"agent-infra/config-hash": config_hash},
                },
                "spec": {
                    "terminationGracePeriodSeconds": 335,
                    "topologySpreadConstraints": [
                        {
                            "labelSelector": {
                                "matchLabels": {"agent-infra/kind": "api", "app.kubernetes.io/name": name}
                            },
                            "topologyKey": "topology.kubernetes.io/zone",
                            "maxSkew": 1,
                            "whenUnsatisfiable": "ScheduleAnyway",
                        },
                        {
                            "labelSelector": {
                                "matchLabels": {"agent-infra/kind": "api", "app.kubernetes.io/name": name}
                            },
                            "topologyKey": "kubernetes.io/hostname",
                            "maxSkew": 1,
                            "whenUnsatisfiable": "ScheduleAnyway",
                        },
                    ],
                    "securityContext": {
                        "seccompProfile": {"type": "RuntimeDefault"},
                        "fsGroup": 10001,
                        "runAsGroup": 10001,
                        "runAsNonRoot": True,
                        "runAsUser": 10001,
                    },
                    "serviceAccountName": name,
                    "containers": [
                        {
                            "readinessProbe": {
                                "timeoutSeconds": 3,
                                "periodSeconds": 5,
                                "failureThreshold": 2,
                                "httpGet": {"port": "http", "path": "/readyz"},
                            },
                            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                            "livenessProbe": {
                                "timeoutSeconds": 5,
                                "periodSeconds": 10,
                                "failureThreshold": 3,
                                "httpGet": {"port": "http", "path": "/healthz"},
                            },
                            "name": "agent",
                            "image": IMAGE,
                            "command": ["agent-app", "serve"],
                            "securityContext": {
                                "readOnlyRootFilesystem": True,
                                "allowPrivilegeEscalation": False,
                                "capabilities": {"drop": ["ALL"]},
                            },
                            "ports": [{"name": "http", "protocol": "TCP", "containerPort": 8000}],
                            "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
                            "envFrom": [{"configMapRef": {"name": f"{name}-config"}}],
                            "startupProbe": {
                                "periodSeconds": 2,
                                "failureThreshold": 60,
                                "httpGet": {"port": "http", "path": "/healthz"},
                            },
                            "resources": {
                                "limits": {"memory": "512Mi", "cpu": "500m"},
                                "requests": {"memory": "256Mi", "cpu": "250m"},
                            },
                        }
                    ],
                    "automountServiceAccountToken": False,
                    "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}}],
                    "enableServiceLinks": False,
                    "initContainers": [
                        {
                            "command": ["agent-app", "migrate"],
                            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                            "envFrom": [{"configMapRef": {"name": f"{name}-config"}}],
                            "name": "migrate",
                            "image": IMAGE,
                            "securityContext": {
                                "readOnlyRootFilesystem": True,
                                "allowPrivilegeEscalation": False,
                                "capabilities": {"drop": ["ALL"]},
                            },
                            "resources": {
                                "limits": {"memory": "512Mi", "cpu": "500m"},
                                "requests": {"memory": "256Mi", "cpu": "250m"},
                            },
                        }
                    ],
                },
            },
            "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}, "type": "RollingUpdate"},
            "revisionHistoryLimit": 5,
            "selector": {
                "matchLabels": {"app.kubernetes.io/component": "api", "app.kubernetes.io/name": name}
            },
            "progressDeadlineSeconds": 935,
        },
        opts=after(
            association,
            permissions,
            configmap_api,
            serviceaccount_api,
            networkpolicy_api,
            networkpolicy_worker,
        ),
    )
    deployment_worker = apps.v1.Deployment(
        f"{name}-worker",
        metadata={
            "labels": {
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/component": "worker",
                "agent-infra/kind": "worker",
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/managed-by": "agent-infra",
            },
            "annotations": {"pulumi.com/timeoutSeconds": "1535"},
            "name": f"{name}-worker",
            "namespace": "agents",
        },
        spec={
            "template": {
                "metadata": {
                    "labels": {
                        "app.kubernetes.io/part-of": name,
                        "app.kubernetes.io/component": "worker",
                        "agent-infra/kind": "worker",
                        "app.kubernetes.io/name": name,
                        "app.kubernetes.io/managed-by": "agent-infra",
                    },
                    "annotations": {"agent-infra/config-hash": config_hash},
                },
                "spec": {
                    "terminationGracePeriodSeconds": 335,
                    "topologySpreadConstraints": [
                        {
                            "labelSelector": {
                                "matchLabels": {"agent-infra/kind": "worker", "app.kubernetes.io/name": name}
                            },
                            "topologyKey": "topology.kubernetes.io/zone",
                            "maxSkew": 1,
                            "whenUnsatisfiable": "ScheduleAnyway",
                        },
                        {
                            "labelSelector": {
                                "matchLabels": {"agent-infra/kind": "worker", "app.kubernetes.io/name": name}
                            },
                            "topologyKey": "kubernetes.io/hostname",
                            "maxSkew": 1,
                            "whenUnsatisfiable": "ScheduleAnyway",
                        },
                    ],
                    "securityContext": {
                        "seccompProfile": {"type": "RuntimeDefault"},
                        "fsGroup": 10001,
                        "runAsGroup": 10001,
                        "runAsNonRoot": True,
                        "runAsUser": 10001,
                    },
                    "serviceAccountName": name,
                    "containers": [
                        {
                            "env": [{"name": "AGENT_APP_POD_DIRECTORY", "value": "/var/run/agent-infra/pod"}],
                            "volumeMounts": [
                                {"name": "tmp", "mountPath": "/tmp"},
                                {"readOnly": True, "name": "pod", "mountPath": "/var/run/agent-infra/pod"},
                            ],
                            "livenessProbe": {
                                "timeoutSeconds": 5,
                                "periodSeconds": 10,
                                "failureThreshold": 3,
                                "httpGet": {"port": "http", "path": "/healthz"},
                            },
                            "name": "agent",
                            "image": IMAGE,
                            "command": ["agent-app", "work"],
                            "securityContext": {
                                "readOnlyRootFilesystem": True,
                                "allowPrivilegeEscalation": False,
                                "capabilities": {"drop": ["ALL"]},
                            },
                            "readinessProbe": {
                                "timeoutSeconds": 3,
                                "periodSeconds": 5,
                                "failureThreshold": 2,
                                "httpGet": {"port": "http", "path": "/readyz"},
                            },
                            "ports": [{"name": "http", "protocol": "TCP", "containerPort": 8000}],
                            "envFrom": [{"configMapRef": {"name": f"{name}-config"}}],
                            "startupProbe": {
                                "periodSeconds": 2,
                                "failureThreshold": 60,
                                "httpGet": {"port": "http", "path": "/healthz"},
                            },
                            "resources": {
                                "limits": {"memory": "512Mi", "cpu": "500m"},
                                "requests": {"memory": "256Mi", "cpu": "250m"},
                            },
                        }
                    ],
                    "automountServiceAccountToken": False,
                    "volumes": [
                        {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
                        {
                            "projected": {
                                "defaultMode": 288,
                                "sources": [
                                    {"serviceAccountToken": {"expirationSeconds": 3600, "path": "token"}},
                                    {
                                        "configMap": {
                                            "name": "kube-root-ca.crt",
                                            "items": [{"path": "ca.crt", "key": "ca.crt"}],
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
                    "enableServiceLinks": False,
                    "initContainers": [
                        {
                            "command": ["agent-app", "migrate"],
                            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                            "envFrom": [{"configMapRef": {"name": f"{name}-config"}}],
                            "name": "migrate",
                            "image": IMAGE,
                            "securityContext": {
                                "readOnlyRootFilesystem": True,
                                "allowPrivilegeEscalation": False,
                                "capabilities": {"drop": ["ALL"]},
                            },
                            "resources": {
                                "limits": {"memory": "512Mi", "cpu": "500m"},
                                "requests": {"memory": "256Mi", "cpu": "250m"},
                            },
                        }
                    ],
                },
            },
            "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}, "type": "RollingUpdate"},
            "revisionHistoryLimit": 5,
            "selector": {
                "matchLabels": {"app.kubernetes.io/component": "worker", "app.kubernetes.io/name": name}
            },
            "progressDeadlineSeconds": 935,
        },
        opts=after(
            association,
            permissions,
            configmap_api,
            serviceaccount_api,
            networkpolicy_api,
            networkpolicy_worker,
        ),
    )
    core.v1.Service(
        name,
        metadata={
            "labels": {
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/component": "api",
                "agent-infra/kind": "api",
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/managed-by": "agent-infra",
            },
            "name": name,
            "namespace": "agents",
        },
        spec={
            "ports": [{"port": 80, "name": "http", "targetPort": 8000, "protocol": "TCP"}],
            "selector": {"agent-infra/kind": "api", "app.kubernetes.io/name": name},
            "type": "ClusterIP",
        },
        opts=after(deployment_api),
    )
    autoscaling.v2.HorizontalPodAutoscaler(
        f"{name}-worker",
        metadata={
            "labels": {
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/component": "worker",
                "agent-infra/kind": "worker",
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/managed-by": "agent-infra",
            },
            "annotations": {"validations.keda.sh/hpa-ownership": "false"},
            "name": f"{name}-worker",
            "namespace": "agents",
        },
        spec={
            "metrics": [
                {
                    "resource": {"name": "cpu", "target": {"averageUtilization": 70, "type": "Utilization"}},
                    "type": "Resource",
                }
            ],
            "scaleTargetRef": {"name": f"{name}-worker", "kind": "Deployment", "apiVersion": "apps/v1"},
            "minReplicas": 1,
            "behavior": {
                "scaleUp": {
                    "policies": [
                        {"value": 100, "periodSeconds": 15, "type": "Percent"},
                        {"value": 4, "periodSeconds": 15, "type": "Pods"},
                    ],
                    "selectPolicy": "Max",
                    "stabilizationWindowSeconds": 0,
                },
                "scaleDown": {
                    "policies": [{"value": 10, "periodSeconds": 60, "type": "Percent"}],
                    "selectPolicy": "Max",
                    "stabilizationWindowSeconds": 300,
                },
            },
            "maxReplicas": 10,
        },
        opts=after(deployment_worker),
    )
    autoscaling.v2.HorizontalPodAutoscaler(
        name,
        metadata={
            "labels": {
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/component": "api",
                "agent-infra/kind": "api",
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/managed-by": "agent-infra",
            },
            "annotations": {"validations.keda.sh/hpa-ownership": "false"},
            "name": name,
            "namespace": "agents",
        },
        spec={
            "metrics": [
                {
                    "resource": {"name": "cpu", "target": {"averageUtilization": 70, "type": "Utilization"}},
                    "type": "Resource",
                }
            ],
            "scaleTargetRef": {"name": name, "kind": "Deployment", "apiVersion": "apps/v1"},
            "minReplicas": 3,
            "behavior": {
                "scaleUp": {
                    "policies": [
                        {"value": 100, "periodSeconds": 15, "type": "Percent"},
                        {"value": 4, "periodSeconds": 15, "type": "Pods"},
                    ],
                    "selectPolicy": "Max",
                    "stabilizationWindowSeconds": 0,
                },
                "scaleDown": {
                    "policies": [{"value": 10, "periodSeconds": 60, "type": "Percent"}],
                    "selectPolicy": "Max",
                    "stabilizationWindowSeconds": 300,
                },
            },
            "maxReplicas": 10,
        },
        opts=after(deployment_api),
    )
    component.register_outputs({})

"""A fleet as somebody would write it by hand, without this library: what `benchmarks.fleets` compares with.

It registers the very objects that `AgentFleet` does for `benchmarks.fleets.CONNECTED`, which that benchmark checks. Plain
mappings are used, which cost the SDK less than its typed classes.
"""

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

    serviceaccount_api = core.v1.ServiceAccount(
        name,
        automount_service_account_token=False,
        metadata={
            "namespace": "agents",
            "labels": {
                "app.kubernetes.io/managed-by": "agent-infra",
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/part-of": name,
            },
            "name": name,
        },
        opts=inside,
    )
    data = {
        "AGENT_APP_ARTIFACT_BUCKET": "artifacts",
        "AGENT_APP_MAX_ATTEMPTS": "5",
        "AGENT_APP_FLEET": name,
        "AGENT_APP_DATABASE_URL": "postgresql://db:5432/agents?sslmode=require",
        "AGENT_APP_LOG_LEVEL": "info",
        "AGENT_APP_DRAIN_SECONDS": "315",
        "AGENT_APP_HOST": "0.0.0.0",
        "AGENT_APP_PORT": "8000",
        "AWS_REGION": "eu-central-1",
        "AGENT_APP_WORKER_CONCURRENCY": "4",
        "AGENT_APP_API_KEYS_SECRET_ARN": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:keys-1",
        "AGENT_APP_ENVIRONMENT": "test",
        "AGENT_APP_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/tasks",
        "AGENT_APP_TASK_TIMEOUT": "300",
        "AGENT_APP_REDIS_SECRET_ARN": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:cache-1",
        "AGENT_APP_REDIS_URL": "rediss://cache:6379/0",
        "AGENT_APP_ARTIFACT_PREFIX": f"{name}/",
        "AGENT_APP_DATABASE_SECRET_ARN": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-1",
        "AGENT_APP_VISIBILITY_SECONDS": "60",
    }
    config_hash = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]
    configmap_api = core.v1.ConfigMap(
        name,
        metadata={
            "namespace": "agents",
            "labels": {
                "app.kubernetes.io/managed-by": "agent-infra",
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/part-of": name,
            },
            "name": f"{name}-config",
        },
        data=data,
        opts=inside,
    )
    networkpolicy_api = networking.v1.NetworkPolicy(
        name,
        spec={
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": name, "agent-infra/kind": "api"}},
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
            "ingress": [{"ports": [{"port": 8000, "protocol": "TCP"}], "from": [{"namespaceSelector": {}}]}],
            "policyTypes": ["Ingress", "Egress"],
        },
        metadata={
            "namespace": "agents",
            "labels": {
                "app.kubernetes.io/managed-by": "agent-infra",
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/component": "api",
                "agent-infra/kind": "api",
            },
            "name": name,
        },
        opts=inside,
    )
    networkpolicy_worker = networking.v1.NetworkPolicy(
        f"{name}-worker",
        spec={
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": name, "agent-infra/kind": "worker"}},
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
            "ingress": [],
            "policyTypes": ["Ingress", "Egress"],
        },
        metadata={
            "namespace": "agents",
            "labels": {
                "app.kubernetes.io/managed-by": "agent-infra",
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/component": "worker",
                "agent-infra/kind": "worker",
            },
            "name": f"{name}-worker",
        },
        opts=inside,
    )
    poddisruptionbudget_api = policy.v1.PodDisruptionBudget(
        name,
        spec={
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "maxUnavailable": "25%",
            "selector": {"matchLabels": {"app.kubernetes.io/name": name, "agent-infra/kind": "api"}},
        },
        metadata={
            "namespace": "agents",
            "labels": {
                "app.kubernetes.io/managed-by": "agent-infra",
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/component": "api",
                "agent-infra/kind": "api",
            },
            "name": name,
        },
        opts=inside,
    )
    poddisruptionbudget_worker = policy.v1.PodDisruptionBudget(
        f"{name}-worker",
        spec={
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "maxUnavailable": "25%",
            "selector": {"matchLabels": {"app.kubernetes.io/name": name, "agent-infra/kind": "worker"}},
        },
        metadata={
            "namespace": "agents",
            "labels": {
                "app.kubernetes.io/managed-by": "agent-infra",
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/component": "worker",
                "agent-infra/kind": "worker",
            },
            "name": f"{name}-worker",
        },
        opts=inside,
    )
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
    deployment_worker = apps.v1.Deployment(
        f"{name}-worker",
        spec={
            "template": {
                "spec": {
                    "automountServiceAccountToken": False,
                    "containers": [
                        {
                            "readinessProbe": {
                                "timeoutSeconds": 3,
                                "failureThreshold": 2,
                                "periodSeconds": 5,
                                "httpGet": {"port": "http", "path": "/readyz"},
                            },
                            "name": "agent",
                            "livenessProbe": {
                                "timeoutSeconds": 5,
                                "failureThreshold": 3,
                                "periodSeconds": 10,
                                "httpGet": {"port": "http", "path": "/healthz"},
                            },
                            "command": ["agent-app", "work"],
                            "resources": {
                                "limits": {"cpu": "500m", "memory": "512Mi"},
                                "requests": {"cpu": "250m", "memory": "256Mi"},
                            },
                            "startupProbe": {
                                "failureThreshold": 60,
                                "periodSeconds": 2,
                                "httpGet": {"port": "http", "path": "/healthz"},
                            },
                            "securityContext": {
                                "readOnlyRootFilesystem": True,
                                "allowPrivilegeEscalation": False,
                                "capabilities": {"drop": ["ALL"]},
                            },
                            "volumeMounts": [
                                {"name": "tmp", "mountPath": "/tmp"},
                                {"name": "pod", "mountPath": "/var/run/agent-infra/pod", "readOnly": True},
                            ],
                            "envFrom": [{"configMapRef": {"name": f"{name}-config"}}],
                            "ports": [{"name": "http", "protocol": "TCP", "containerPort": 8000}],
                            "image": IMAGE,
                            "env": [{"name": "AGENT_APP_POD_DIRECTORY", "value": "/var/run/agent-infra/pod"}],
                        }
                    ],
                    "serviceAccountName": name,
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
                    "initContainers": [
                        {
                            "envFrom": [{"configMapRef": {"name": f"{name}-config"}}],
                            "securityContext": {
                                "readOnlyRootFilesystem": True,
                                "allowPrivilegeEscalation": False,
                                "capabilities": {"drop": ["ALL"]},
                            },
                            "command": ["agent-app", "migrate"],
                            "name": "migrate",
                            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                            "image": IMAGE,
                            "resources": {
                                "limits": {"cpu": "500m", "memory": "512Mi"},
                                "requests": {"cpu": "250m", "memory": "256Mi"},
                            },
                        }
                    ],
                    "volumes": [
                        {"emptyDir": {"sizeLimit": "256Mi"}, "name": "tmp"},
                        {
                            "name": "pod",
                            "projected": {
                                "defaultMode": 288,
                                "sources": [
                                    {"serviceAccountToken": {"expirationSeconds": 3600, "path": "token"}},
                                    {
                                        "configMap": {
                                            "items": [{"key": "ca.crt", "path": "ca.crt"}],
                                            "name": "kube-root-ca.crt",
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
                        },
                    ],
                    "terminationGracePeriodSeconds": 335,
                    "securityContext": {
                        "fsGroup": 10001,
                        "seccompProfile": {"type": "RuntimeDefault"},
                        "runAsUser": 10001,
                        "runAsNonRoot": True,
                        "runAsGroup": 10001,
                    },
                    "enableServiceLinks": False,
                },
                "metadata": {
                    "labels": {
                        "app.kubernetes.io/managed-by": "agent-infra",
                        "app.kubernetes.io/name": name,
                        "app.kubernetes.io/part-of": name,
                        "app.kubernetes.io/component": "worker",
                        "agent-infra/kind": "worker",
                    },
                    "annotations": {"agent-infra/config-hash": config_hash},
                },
            },
            "selector": {
                "matchLabels": {"app.kubernetes.io/name": name, "app.kubernetes.io/component": "worker"}
            },
            "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}, "type": "RollingUpdate"},
            "progressDeadlineSeconds": 935,
            "revisionHistoryLimit": 5,
        },
        metadata={
            "namespace": "agents",
            "labels": {
                "app.kubernetes.io/managed-by": "agent-infra",
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/component": "worker",
                "agent-infra/kind": "worker",
            },
            "name": f"{name}-worker",
            "annotations": {"pulumi.com/timeoutSeconds": "1535"},
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
    deployment_api = apps.v1.Deployment(
        name,
        spec={
            "template": {
                "spec": {
                    "automountServiceAccountToken": False,
                    "containers": [
                        {
                            "readinessProbe": {
                                "timeoutSeconds": 3,
                                "failureThreshold": 2,
                                "periodSeconds": 5,
                                "httpGet": {"port": "http", "path": "/readyz"},
                            },
                            "name": "agent",
                            "livenessProbe": {
                                "timeoutSeconds": 5,
                                "failureThreshold": 3,
                                "periodSeconds": 10,
                                "httpGet": {"port": "http", "path": "/healthz"},
                            },
                            "command": ["agent-app", "serve"],
                            "resources": {
                                "limits": {"cpu": "500m", "memory": "512Mi"},
                                "requests": {"cpu": "250m", "memory": "256Mi"},
                            },
                            "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
                            "securityContext": {
                                "readOnlyRootFilesystem": True,
                                "allowPrivilegeEscalation": False,
                                "capabilities": {"drop": ["ALL"]},
                            },
                            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                            "envFrom": [{"configMapRef": {"name": f"{name}-config"}}],
                            "ports": [{"name": "http", "protocol": "TCP", "containerPort": 8000}],
                            "startupProbe": {
                                "failureThreshold": 60,
                                "periodSeconds": 2,
                                "httpGet": {"port": "http", "path": "/healthz"},
                            },
                            "image": IMAGE,
                        }
                    ],
                    "serviceAccountName": name,
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
                    "initContainers": [
                        {
                            "envFrom": [{"configMapRef": {"name": f"{name}-config"}}],
                            "securityContext": {
                                "readOnlyRootFilesystem": True,
                                "allowPrivilegeEscalation": False,
                                "capabilities": {"drop": ["ALL"]},
                            },
                            "command": ["agent-app", "migrate"],
                            "name": "migrate",
                            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                            "image": IMAGE,
                            "resources": {
                                "limits": {"cpu": "500m", "memory": "512Mi"},
                                "requests": {"cpu": "250m", "memory": "256Mi"},
                            },
                        }
                    ],
                    "volumes": [{"emptyDir": {"sizeLimit": "256Mi"}, "name": "tmp"}],
                    "terminationGracePeriodSeconds": 335,
                    "securityContext": {
                        "fsGroup": 10001,
                        "seccompProfile": {"type": "RuntimeDefault"},
                        "runAsUser": 10001,
                        "runAsNonRoot": True,
                        "runAsGroup": 10001,
                    },
                    "enableServiceLinks": False,
                },
                "metadata": {
                    "labels": {
                        "app.kubernetes.io/managed-by": "agent-infra",
                        "app.kubernetes.io/name": name,
                        "app.kubernetes.io/part-of": name,
                        "app.kubernetes.io/component": "api",
                        "agent-infra/kind": "api",
                    },
                    "annotations": {"agent-infra/config-hash": config_hash},
                },
            },
            "selector": {
                "matchLabels": {"app.kubernetes.io/name": name, "app.kubernetes.io/component": "api"}
            },
            "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}, "type": "RollingUpdate"},
            "progressDeadlineSeconds": 935,
            "revisionHistoryLimit": 5,
        },
        metadata={
            "namespace": "agents",
            "labels": {
                "app.kubernetes.io/managed-by": "agent-infra",
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/component": "api",
                "agent-infra/kind": "api",
            },
            "name": name,
            "annotations": {"pulumi.com/timeoutSeconds": "1535"},
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
    service_api = core.v1.Service(
        name,
        spec={
            "ports": [{"targetPort": 8000, "port": 80, "name": "http", "protocol": "TCP"}],
            "selector": {"app.kubernetes.io/name": name, "agent-infra/kind": "api"},
            "type": "ClusterIP",
        },
        metadata={
            "namespace": "agents",
            "labels": {
                "app.kubernetes.io/managed-by": "agent-infra",
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/component": "api",
                "agent-infra/kind": "api",
            },
            "name": name,
        },
        opts=after(deployment_api),
    )
    horizontalpodautoscaler_worker = autoscaling.v2.HorizontalPodAutoscaler(
        f"{name}-worker",
        spec={
            "behavior": {
                "scaleUp": {
                    "stabilizationWindowSeconds": 0,
                    "selectPolicy": "Max",
                    "policies": [
                        {"periodSeconds": 15, "value": 100, "type": "Percent"},
                        {"periodSeconds": 15, "value": 4, "type": "Pods"},
                    ],
                },
                "scaleDown": {
                    "stabilizationWindowSeconds": 300,
                    "selectPolicy": "Max",
                    "policies": [{"periodSeconds": 60, "value": 10, "type": "Percent"}],
                },
            },
            "metrics": [
                {
                    "resource": {"name": "cpu", "target": {"averageUtilization": 70, "type": "Utilization"}},
                    "type": "Resource",
                }
            ],
            "minReplicas": 1,
            "maxReplicas": 10,
            "scaleTargetRef": {"name": f"{name}-worker", "apiVersion": "apps/v1", "kind": "Deployment"},
        },
        metadata={
            "namespace": "agents",
            "labels": {
                "app.kubernetes.io/managed-by": "agent-infra",
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/component": "worker",
                "agent-infra/kind": "worker",
            },
            "name": f"{name}-worker",
            "annotations": {"validations.keda.sh/hpa-ownership": "false"},
        },
        opts=after(deployment_worker),
    )
    horizontalpodautoscaler_api = autoscaling.v2.HorizontalPodAutoscaler(
        name,
        spec={
            "behavior": {
                "scaleUp": {
                    "stabilizationWindowSeconds": 0,
                    "selectPolicy": "Max",
                    "policies": [
                        {"periodSeconds": 15, "value": 100, "type": "Percent"},
                        {"periodSeconds": 15, "value": 4, "type": "Pods"},
                    ],
                },
                "scaleDown": {
                    "stabilizationWindowSeconds": 300,
                    "selectPolicy": "Max",
                    "policies": [{"periodSeconds": 60, "value": 10, "type": "Percent"}],
                },
            },
            "metrics": [
                {
                    "resource": {"name": "cpu", "target": {"averageUtilization": 70, "type": "Utilization"}},
                    "type": "Resource",
                }
            ],
            "minReplicas": 3,
            "maxReplicas": 10,
            "scaleTargetRef": {"name": name, "apiVersion": "apps/v1", "kind": "Deployment"},
        },
        metadata={
            "namespace": "agents",
            "labels": {
                "app.kubernetes.io/managed-by": "agent-infra",
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/part-of": name,
                "app.kubernetes.io/component": "api",
                "agent-infra/kind": "api",
            },
            "name": name,
            "annotations": {"validations.keda.sh/hpa-ownership": "false"},
        },
        opts=after(deployment_api),
    )
    component.register_outputs({})

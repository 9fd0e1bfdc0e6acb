"""Fleets that show every option at least once: what each makes is checked against Kubernetes and checkov.

Whoever adds an option adds it here: `python -m tests.unit.fleet_examples DIRECTORY` writes the objects of
all, which `make checks` hands to checkov.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import yaml

from agent_infra import AgentFleet, SecretKey
from tests.unit.fleet_objects import CERTIFICATE, IMAGE, QUEUE, Object, objects_of
from tests.unit.recording import record

#: Stands for an `Output`, which belongs to the program that makes it.
SECRET = object()
CONNECTED: dict[str, Any] = {
    "cache": {
        "url": "rediss://cache.example:6379/0",
        "secret_arn": "arn:cache",
    },
    "database": {"url": "postgresql://db.example:5432/agents?sslmode=require", "secret_arn": "arn:db"},
    "queue": {
        **QUEUE,
        "dead_letter_url": "https://sqs/dead",
        "dead_letter_arn": "arn:dead",
    },
    "bucket": {"name": "artifacts", "arn": "arn:aws:s3:::artifacts"},
    "llm_secret_arn": "arn:aws:secretsmanager:r:1:secret:llm",
    "api_keys_secret_arn": "arn:aws:secretsmanager:r:1:secret:keys",
    "oidc": {"issuer": "https://login.example.com", "audience": "agents"},
    "cluster_name": "agents",
    "cluster_arn": "arn:aws:eks:eu-central-1:123456789012:cluster/agents",
    "region": "eu-central-1",
}

FLEETS: dict[str, dict[str, Any]] = {
    "minimal": {},
    "seed": {
        "port": 8000,
        "service": {"port": 80},
        "replicas": {"min": 3, "max": 10, "target_cpu": 70},
        "secret_environment": {"LLM_API_KEY": SecretKey(name="agent-secrets", key="llm-api-key")},
    },
    "whole": CONNECTED,
    "fixed": {**CONNECTED, "replicas": {"min": 2, "max": 2}},
    "irsa": {
        **CONNECTED,
        "oidc_provider_arn": "arn:aws:iam::123456789012:oidc-provider/oidc.eks.r.amazonaws.com/id/E",
    },
    "with-secrets": {
        "kubernetes_secrets": {"own": {"key": SECRET}},
        "synced_secrets": [{"name": "synced"}, {"name": "watched", "environment": False, "optional": True}],
    },
    "balanced": {"service": {"type": "load-balancer"}, "task_timeout": 3600},
    "balanced-public": {
        "service": {
            "type": "load-balancer",
            "internal": False,
            "certificate_arn": CERTIFICATE,
            "source_ranges": ["203.0.113.0/24"],
            "load_balancer_class": "eks.amazonaws.com/nlb",
        }
    },
    "ingress-alb": {
        "ingress": {"host": "a.example.com", "class_name": "alb", "certificate_arn": CERTIFICATE}
    },
    "ingress-nginx": {"ingress": {"host": "a.example.com", "class_name": "nginx", "tls_secret": "a-tls"}},
    "gateway": {"gateway": {"name": "shared", "namespace": "gateways", "hostnames": ["a.example.com"]}},
    "tuned": {
        **CONNECTED,
        "command": ["agent-app", "serve"],
        "worker_command": ["agent-app", "work"],
        "migrate_command": ["agent-app", "migrate"],
        "resources": {"cpu": "1", "memory": "1Gi", "cpu_limit": "2", "memory_limit": "2Gi"},
        "contract": {"pre_stop": 20},
        "deletion_cost": False,
        "log_level": "debug",
        "llm": {"model": "anthropic:claude-sonnet-4-5", "monthly_budget_usd": 100},
        "agents": {"editor": {"agent": "own_agents.editor:agent"}},
        "default_agent": "editor",
        "requests_per_minute": 90,
        "usage_readers": ["ops"],
        "extra_environment": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.monitoring:4318"},
        "extra_pod_spec": {"dnsPolicy": "ClusterFirst"},
        "secret_versions": {"llm": "1"},
    },
    "scaled": {
        **CONNECTED,
        "keda": {"prometheus": {"url": "http://prometheus.monitoring:9090"}},
        "usual_task": {"seconds": 20},
        "replicas": {
            "min": 2,
            "max": 8,
            "concurrency": 20,
            "target_memory": 80,
            "prometheus": [{"query": "sum(rate(asked_total[1m])) or vector(0)", "target": 5}],
            "schedules": [
                {"start": "0 8 * * 1-5", "end": "0 18 * * 1-5", "timezone": "Europe/Berlin", "replicas": 4}
            ],
            "speed": {"up_percent": 200, "down_window": 600},
        },
        "worker": {"replicas": {"min": 0, "max": 20, "target_cpu": None, "queue_depth": 2, "queue_age": 60}},
    },
    "scaled-elsewhere": {
        **CONNECTED,
        "keda": {"credentials_secret": "aws-keys"},
        "worker": {"replicas": {"min": 1}},
        "deletion_cost_role": "made-for-all",
    },
    "canary": {
        **CONNECTED,
        "kubeconfig": "",
        "rollout": {
            "strategy": "canary",
            "steps": [{"weight": 10, "minutes": 5}, {"weight": 50, "minutes": 15}],
            "analysis": {
                "max_error_rate": 0.02,
                "max_latency_ratio": 2,
                "max_latency_seconds": 30,
                "max_task_failure_rate": 0.05,
                "max_cost_ratio": 1.2,
                "max_cost_per_task_usd": 0.5,
                "min_requests": 100,
                "min_tasks": 50,
                "evaluation": {
                    "cases": [{"prompt": "What is 2 + 2?", "contains": ["4"], "excludes": ["5"]}],
                    "agent": "assistant",
                    "min_score": 0.9,
                    "minutes": 5,
                },
            },
            "revisions": 3,
        },
    },
    "canary-evaluated": {
        "rollout": {"strategy": "canary", "analysis": {"evaluation": {"command": ["python", "-m", "mine"]}}},
    },
    "fenced": {
        **CONNECTED,
        "network_policy": {
            "client_namespaces": ["gateways"],
            "client_cidrs": ["10.0.0.0/16"],
            "metrics_namespaces": ["monitoring"],
            "https_cidrs": ["203.0.113.0/24"],
            "egress": [{"ports": [9092], "namespaces": ["kafka"], "cidrs": ["10.1.0.0/16"]}],
        },
    },
    "placed": {
        **CONNECTED,
        "placement": {
            "zones": "require",
            "min_zones": 3,
            "nodes": "require",
            "priority_class": "agents",
            "architecture": "arm64",
            "capacity": "on-demand",
            "node_selector": {"example.com/pool": "agents"},
            "tolerations": [{"key": "agents", "operator": "Exists", "effect": "NoSchedule"}],
            "affinity": {"podAntiAffinity": {}},
        },
        "worker": {"placement": {"capacity": "spot"}},
        "task_timeout": 60,
        "probes": {"live_path": "/alive", "start_seconds": 300},
    },
}


def objects(name: str) -> list[Object]:
    """The Kubernetes objects of one of the fleets."""
    return objects_of(
        record(
            lambda: AgentFleet(name, {"image": IMAGE, "namespace": "agents", **_args(FLEETS[name])}) and None
        )
    )


def _args(said: Any) -> Any:
    if isinstance(said, dict):
        return {key: _args(value) for key, value in said.items()}
    return pulumi.Output.from_input("value") if said is SECRET else said


def written(directory: Path) -> Iterator[Path]:
    """A file for each fleet."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in FLEETS:
        path = directory / f"{name}.yaml"
        path.write_text(yaml.safe_dump_all(objects(name), sort_keys=False))
        yield path


if __name__ == "__main__":
    for file in written(Path(sys.argv[1])):
        print(file)  # noqa: T201 - a command

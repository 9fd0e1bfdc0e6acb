"""`EksCluster` under the real engine: upgrades, kinds of compute, and a cluster that is there already."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_infra.automation import Environment
from tests.engine.conftest import Steps, aws, change_settings, local_program

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("examples")]

PROGRAM = """
import json
import pulumi
from agent_infra import EksCluster, Network

args = json.loads(pulumi.Config().require("args"))
network = Network("net", {"zones": 2, "nat": "none", "flow_log_retention_days": None})
cluster = EksCluster(
    "agents", {"subnet_ids": network.private_subnet_ids, "deletion_protection": False, **args}
)
pulumi.export("name", cluster.name)
used = json.loads(pulumi.Config().get("used") or "{}")
if used:
    other = EksCluster("other", {"existing": {"name": "agents-local"}, **used})
    pulumi.export("found", {"arn": other.arn, "group": other.security_group_id, "issuer": other.oidc_issuer})
"""


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    with local_program(tmp_path, "upgrades", PROGRAM, args='{"version": "1.33"}') as made:
        yield made


def say(environment: Environment, key: str = "args", **args: Any) -> None:
    def change(config: dict[str, Any]) -> None:
        config[f"upgrades:{key}"] = json.dumps(args)

    change_settings(environment.project, "local", change)


def cluster_steps(steps: Steps) -> set[tuple[str, str]]:
    return {(op, kind) for op, kind in steps.types() if kind == "aws:eks/cluster:Cluster"}


def test_a_cluster_goes_up_by_one_minor_version_at_a_time_and_never_back(environment: Environment) -> None:
    environment.up()
    say(environment, version="1.35")
    for run in (environment.preview, environment.up):
        with pytest.raises(Exception, match=r"'1\.35' is wrong: the cluster runs 1\.33.*\"1\.34\""):
            run()
    say(environment, version="1.32")
    with pytest.raises(Exception, match=r"never goes back; say \"1\.33\" or \"1\.34\""):
        environment.preview()
    steps = Steps()
    say(environment, version="1.34")
    environment.up(listener=steps)
    assert cluster_steps(steps) == {("update", "aws:eks/cluster:Cluster")}
    assert environment.up().changed == 0
    say(environment, version="1.35")
    environment.up()
    environment.destroy()


def test_a_new_cluster_may_start_at_any_version(environment: Environment) -> None:
    say(environment, version="1.36")
    environment.up()
    environment.destroy()


def test_nodes_and_fargate_profiles_live_their_whole_life(environment: Environment) -> None:
    fargate = {"all": {"selectors": [{"namespace": "kube-system"}]}}
    say(environment, compute={"node_groups": {"general": {"min": 1}}, "fargate_profiles": fargate})
    environment.up()
    assert environment.up().changed == 0
    assert environment.refresh().changed == 0
    eks = aws(environment, "eks")
    (group,) = eks.list_nodegroups(clusterName="agents-local")["nodegroups"]
    assert eks.list_fargate_profiles(clusterName="agents-local")["fargateProfileNames"]
    steps = Steps()
    say(environment, compute={"node_groups": {"general": {"min": 1, "max": 6}}, "fargate_profiles": fargate})
    environment.up(listener=steps)
    assert {op for op, kind in steps.types() if kind.startswith("aws:eks/nodeGroup")} == {"update"}
    assert eks.list_nodegroups(clusterName="agents-local")["nodegroups"] == [group]
    environment.destroy()


def test_an_existing_cluster_is_used_and_outlives_its_user(environment: Environment) -> None:
    environment.up()
    admins = {"ops": "arn:aws:iam::123456789012:role/ops"}
    say(environment, "used", admins=admins, irsa=True, keda={})
    outputs = environment.up().outputs
    assert outputs["found"]["arn"].endswith(":cluster/agents-local")
    assert outputs["found"]["group"].startswith("sg-")
    assert outputs["found"]["issuer"].startswith("https://")
    assert environment.up().changed == 0
    say(environment, "used")
    steps = Steps()
    environment.up(listener=steps)
    assert not cluster_steps(steps)
    assert aws(environment, "eks").list_clusters()["clusters"] == ["agents-local"]
    environment.destroy()

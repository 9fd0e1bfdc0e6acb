"""What the parts of a control plane are started with, and the objects that a cluster has."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from agent_infra.local.cluster import FLEET_LABELS, ClusterOptions, certificates, kubeconfigs, plan, stages
from agent_infra.local.cluster.objects import definitions, nodes, rbac
from agent_infra.local.cluster.objects.stages import narrowed
from agent_infra.local.cluster.options import Places
from agent_infra.local.cluster.parts import OBJECTS, Part, environment_variables, parts
from agent_infra.local.cluster.plan import Plan
from agent_infra.local.environment import LocalEnvironment, LocalError
from agent_infra.local.standins.kubernetes.kinds import KNOWN_CUSTOM
from agent_infra.local.tools import ClusterTools

ALL = parts(argo=True)
NAMES = [part.name for part in ALL]
TOOLS = ClusterTools(
    **{
        name: Path("/programs") / name
        for name in (
            "etcd",
            "kube_apiserver",
            "kube_controller_manager",
            "kube_scheduler",
            "kwok",
            "metrics_server",
            "keda_operator",
            "keda_adapter",
            "crds",
            "rollouts_controller",
        )
    }
)


def planned(root: Path, **options: Any) -> Plan:
    names = [name for part in ALL for name in part.ports]
    ports = {name: 4000 + number for number, name in enumerate(names)}
    return Plan(LocalEnvironment(root), Places(root / "cluster"), TOOLS, ClusterOptions(**options), ports)


def flags(part: Part, plan: Plan) -> dict[str, str]:
    pairs = [word.removeprefix("--").partition("=") for word in part.command(plan)[1:]]
    return {name: value for name, _, value in pairs}


@pytest.mark.parametrize("part", ALL, ids=NAMES)
def test_no_part_is_told_a_secret_in_its_arguments(part: Part, tmp_path: Path) -> None:
    found = planned(tmp_path)
    certificates.ensure(found.places.certificates)
    kubeconfigs.write(found.places, name="local", server=found.server)
    words = " ".join(part.command(found))
    for key in found.places.certificates.rglob("*.key"):
        secret = key.read_text().splitlines()[1]
        assert secret not in words
    assert "token" not in words
    assert "password" not in words


@pytest.mark.parametrize("part", ALL, ids=NAMES)
def test_every_address_that_a_part_is_given_is_of_loopback(part: Part, tmp_path: Path) -> None:
    words = " ".join(part.command(planned(tmp_path)))
    addresses = re.findall(r"(?<![\d.])(\d+\.\d+\.\d+\.\d+)(?![\d.]*/)", words)
    assert all(ipaddress.ip_address(address).is_loopback for address in addresses)


@pytest.mark.parametrize("part", ALL, ids=NAMES)
def test_nothing_of_the_users_variables_reaches_a_part(
    part: Part, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the user's")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    monkeypatch.setenv("KUBECONFIG", "/home/user/.kube/config")
    variables = environment_variables(part, planned(tmp_path))
    assert "the user's" not in variables.values()
    assert "HTTPS_PROXY" not in variables
    assert variables.get("KUBECONFIG", str(tmp_path)).startswith(str(tmp_path))
    assert variables["PATH"] == os.environ["PATH"]


def test_keda_asks_this_machine_for_its_queues_whether_moto_runs_or_not(tmp_path: Path) -> None:
    (keda,) = (part for part in ALL if part.name == "keda-operator")
    found = planned(tmp_path)
    assert environment_variables(keda, found)["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
    found.environment.services_file.write_text('{"services": {"moto": {"url": "http://127.0.0.1:4999"}}}')
    assert environment_variables(keda, found)["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4999"


def test_every_need_is_of_a_part_before_and_every_port_has_one_owner() -> None:
    seen: set[str] = set()
    for part in ALL:
        assert set(part.needs) <= seen, part.name
        seen.add(part.name)
        if part.name == "kube-apiserver":
            seen.add(OBJECTS)
    ports = [name for part in ALL for name in part.ports]
    assert len(ports) == len(set(ports))


def test_the_api_server_lets_in_whom_eks_lets_in_and_admits_what_eks_admits(tmp_path: Path) -> None:
    (server,) = (part for part in ALL if part.name == "kube-apiserver")
    found = flags(server, planned(tmp_path, eviction_seconds=7))
    assert found["authorization-mode"] == "Node,RBAC"
    assert "NodeRestriction" in found["enable-admission-plugins"].split(",")
    assert "disable-admission-plugins" not in found
    assert "anonymous-auth" not in found
    assert found["default-not-ready-toleration-seconds"] == "7"


def test_the_speeds_are_kubernetes_own_until_somebody_asks_for_others(tmp_path: Path) -> None:
    (manager,) = (part for part in ALL if part.name == "kube-controller-manager")
    usual = flags(manager, planned(tmp_path))
    assert usual["horizontal-pod-autoscaler-sync-period"] == "15s"
    assert usual["horizontal-pod-autoscaler-downscale-stabilization"] == "300s"
    assert usual["node-monitor-grace-period"] == "50s"
    fast = flags(manager, planned(tmp_path, hpa_sync_seconds=0.5, node_grace_seconds=4))
    assert fast["horizontal-pod-autoscaler-sync-period"] == "0.5s"
    assert fast["node-monitor-grace-period"] == "4s"
    assert fast["node-monitor-period"] == "1s"


def test_metrics_server_gives_up_on_a_node_before_its_next_round(tmp_path: Path) -> None:
    (server,) = (part for part in ALL if part.name == "metrics-server")
    found = flags(server, planned(tmp_path, metrics_seconds=10))
    assert (found["metric-resolution"], found["kubelet-request-timeout"]) == ("10s", "5s")


@pytest.mark.parametrize(
    "wrong", [{"nodes": 0}, {"hpa_sync_seconds": 0}, {"metrics_seconds": 5}, {"speed": 1}]
)
def test_options_that_no_cluster_can_have_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ClusterOptions(**wrong)


def test_what_was_asked_for_is_read_as_it_was_written(tmp_path: Path) -> None:
    environment = LocalEnvironment(tmp_path)
    options = ClusterOptions(nodes=5, argo=True)
    plan.write(environment, options, TOOLS)
    assert plan.read(environment) == (options, TOOLS)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"options": {"nodes": -1}, "programs": {}}'])
def test_a_damaged_plan_names_its_file_and_the_way_out(tmp_path: Path, content: str) -> None:
    environment = LocalEnvironment(tmp_path)
    file = Places(environment.cluster_dir).plan
    file.parent.mkdir()
    file.write_text(content)
    with pytest.raises(LocalError, match=r"plan\.json .*cluster start"):
        plan.read(environment)


def test_nodes_are_spread_over_three_zones_and_say_where_their_figures_are() -> None:
    found = nodes.nodes(ClusterOptions(nodes=4, region="us-east-1"))
    zones = [node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in found]
    assert zones == ["us-east-1a", "us-east-1b", "us-east-1c", "us-east-1a"]
    paths = {node["metadata"]["annotations"]["metrics.k8s.io/resource-metrics-path"] for node in found}
    assert paths == {f"/metrics/nodes/node-{number}/metrics/resource" for number in range(4)}


def test_stages_leave_the_fleets_pods_to_a_kubelet_only_when_told() -> None:
    assert not any(label in str(stages()) for label in FLEET_LABELS)
    for stage in stages(leave_fleets=True):
        keys = [each["key"] for each in stage["spec"]["selector"]["matchExpressions"]]
        left = [label for label in FLEET_LABELS if f'.metadata.labels["{label}"]' in keys]
        pods = stage["spec"]["resourceRef"]["kind"] == "Pod"
        assert left == (list(FLEET_LABELS) if pods else []), stage["metadata"]["name"]


def test_stages_that_a_kubelet_has_narrowed_stay_so_when_they_are_applied_again() -> None:
    assert narrowed([]) == stages()
    found = stages(leave_fleets=True)
    assert narrowed(found) == found
    (ready,) = (stage for stage in found if stage["metadata"]["name"] == "pod-ready")
    ready["spec"]["selector"]["matchExpressions"] = [{"key": ".of.an.older.edition", "operator": "Exists"}]
    (again,) = (stage for stage in narrowed(found) if stage["metadata"]["name"] == "pod-ready")
    assert again in stages()


def test_only_the_kinds_that_somebody_uses_are_defined() -> None:
    def of(group: str, kind: str) -> dict[str, Any]:
        return {"spec": {"group": group, "names": {"kind": kind}}}

    stage = of("kwok.x-k8s.io", "Stage")
    secret = of("external-secrets.io", "ExternalSecret")
    run = of("argoproj.io", "AnalysisRun")
    unused = of("gateway.networking.k8s.io", "GRPCRoute")
    every = [stage, secret, run, unused]
    assert definitions.used(every, argo=False) == [stage, secret]
    assert definitions.used(every, argo=True) == [stage, secret, run]


def test_a_kind_that_somebody_has_defined_is_not_defined_again(tmp_path: Path) -> None:
    real = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "rollouts.argoproj.io"},
        "spec": {"group": "argoproj.io", "names": {"kind": "Rollout"}},
    }
    (tmp_path / "some.yaml").write_text(yaml.safe_dump_all([real, {"kind": "Namespace"}]))
    found = definitions.real(tmp_path)
    assert found == [real]
    rest = definitions.kinds(definitions.open_ones(definitions.kinds(found)))
    assert rest == set(KNOWN_CUSTOM) - {("argoproj.io", "Rollout")}


def test_a_kind_without_a_definition_takes_any_content() -> None:
    for found in definitions.open_ones(set()):
        group, kind = found["spec"]["group"], found["spec"]["names"]["kind"]
        assert (found["spec"]["scope"] == "Namespaced") == KNOWN_CUSTOM[group, kind]
        assert found["metadata"]["name"] == f"{found['spec']['names']['plural']}.{group}"
        assert sum(version["storage"] for version in found["spec"]["versions"]) == 1


def test_no_part_may_do_everything() -> None:
    for role in (found for found in rbac.roles() if found["kind"] == "ClusterRole"):
        for rule in role["rules"]:
            assert "*" not in rule["verbs"], role["metadata"]["name"]
            assert "*" not in rule["resources"], role["metadata"]["name"]

"""The kubernetes stand-in, with its objects in files."""

from __future__ import annotations

import base64
import copy
import stat
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.standins.kubernetes import KubernetesStandin
from agent_infra.local.standins.server import UNKNOWN, Refused, StandinError

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
SECRET = "kubernetes:core/v1:Secret"
RELEASE = "kubernetes:helm.sh/v3:Release"


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalEnvironment:
    monkeypatch.delenv("AGENT_INFRA_KUBECONFIG", raising=False)
    return LocalEnvironment(tmp_path / "env")


@pytest.fixture
def standin(environment: LocalEnvironment) -> KubernetesStandin:
    made = KubernetesStandin(environment)
    made.configure({"kubeconfig": "the simulated cluster's", "version": "4.34.2"})
    return made


def _deployment(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "web:1"}]},
            },
            **spec,
        },
    }


def _made(
    standin: KubernetesStandin, type: str, news: dict[str, Any], name: str = "thing"
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    inputs = standin.check(type, name, {}, news)
    return (*standin.create(type, name, inputs, preview=False), inputs)


def _refusals(standin: KubernetesStandin, type: str, news: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(Refused) as caught:
        standin.check(type, "thing", {}, news)
    return dict(caught.value.failures)


class TestNames:
    def test_an_object_without_a_name_gets_one_and_keeps_it(self, standin: KubernetesStandin) -> None:
        first = standin.check(CONFIG_MAP, "settings", {}, {"data": {}})
        again = standin.check(CONFIG_MAP, "settings", first, {"data": {"a": "b"}})
        fresh = standin.check(CONFIG_MAP, "settings", {}, {"data": {}})
        assert first["metadata"]["name"].startswith("settings-")
        assert len(first["metadata"]["name"]) == len("settings-") + 8
        assert first["metadata"]["annotations"] == {"pulumi.com/autonamed": "true"}
        assert first["metadata"]["namespace"] == "default"
        assert again["metadata"] == first["metadata"]
        assert fresh["metadata"]["name"] != first["metadata"]["name"]

    def test_a_given_name_takes_the_place_of_a_generated_one(self, standin: KubernetesStandin) -> None:
        first = standin.check(CONFIG_MAP, "settings", {}, {})
        named = standin.check(CONFIG_MAP, "settings", first, {"metadata": {"name": "mine"}})
        difference = standin.diff(CONFIG_MAP, "x", first, {}, named)
        assert named["metadata"] == {"name": "mine", "namespace": "default"}
        assert "metadata.name" in difference.replaces
        assert not difference.delete_before_replace

    def test_the_providers_namespace_is_the_default_one(self, standin: KubernetesStandin) -> None:
        standin.configure({"namespace": "agents"})
        assert standin.check(CONFIG_MAP, "x", {}, {})["metadata"]["namespace"] == "agents"

    def test_a_cluster_scoped_object_has_no_namespace(self, standin: KubernetesStandin) -> None:
        id, state, _ = _made(standin, "kubernetes:core/v1:Namespace", {"metadata": {"name": "agents"}})
        assert id == "agents"
        assert "namespace" not in state["metadata"]
        told = _refusals(
            standin, "kubernetes:core/v1:Namespace", {"metadata": {"name": "a", "namespace": "b"}}
        )
        assert "belongs to no namespace" in told["metadata.namespace"]


class TestRefusals:
    def test_every_mistake_is_told_with_its_path_value_and_what_is_allowed(
        self, standin: KubernetesStandin
    ) -> None:
        news = _deployment(replicas="3", strategie={})
        container = news["spec"]["template"]["spec"]["containers"][0]
        container["prots"] = []
        container["env"] = [{"name": "PORT", "value": 8000}]
        del container["name"]
        told = _refusals(standin, DEPLOYMENT, news)
        assert told["spec.replicas"] == "is the string '3'; allowed: an integer"
        assert "did you mean 'strategy'" in told["spec.strategie"]
        where = "spec.template.spec.containers[0]"
        assert "did you mean 'ports'" in told[f"{where}.prots"]
        assert told[f"{where}.env[0].value"] == "is a number; allowed: a string"
        assert told[f"{where}.name"] == "is missing, and must be given"

    def test_the_value_of_a_secret_is_never_told(self, standin: KubernetesStandin) -> None:
        told = _refusals(standin, SECRET, {"metadata": {"name": "s"}, "stringData": {"key": 424242}})
        assert told == {"stringData.key": "is a number; allowed: a string"}

    @pytest.mark.parametrize(
        ("type", "news", "path"),
        [
            (DEPLOYMENT, {"metadata": {"name": "Web"}}, "spec"),
            (CONFIG_MAP, {"metadata": {"name": "Web"}}, "metadata.name"),
            (CONFIG_MAP, {"metadata": {"name": "a" * 254}}, "metadata.name"),
            (CONFIG_MAP, {"metadata": {"name": "a", "namespace": "a.b"}}, "metadata.namespace"),
            (CONFIG_MAP, {"metadata": {"labels": {"a": "no spaces"}}}, "metadata.labels.a"),
            (CONFIG_MAP, {"metadata": {"labels": {"a/b/c": "x"}}}, 'metadata.labels["a/b/c"]'),
            (CONFIG_MAP, {"metadata": "web"}, "metadata"),
            (CONFIG_MAP, {"apiVersion": "v2"}, "apiVersion"),
            ("kubernetes:core/v1:Service", {"metadata": {"name": "1st"}}, "metadata.name"),
        ],
    )
    def test_what_a_server_refuses_is_refused(
        self, standin: KubernetesStandin, type: str, news: dict[str, Any], path: str
    ) -> None:
        if type == DEPLOYMENT:
            news = {**news, "spec": "none"}
        assert path in _refusals(standin, type, news)

    def test_a_selector_that_misses_its_own_pods_is_refused(self, standin: KubernetesStandin) -> None:
        news = _deployment(selector={"matchLabels": {"app": "other"}})
        assert "template's labels" in _refusals(standin, DEPLOYMENT, news)["spec.selector.matchLabels"]

    def test_a_wrong_quantity_is_refused(self, standin: KubernetesStandin) -> None:
        news = _deployment()
        news["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"memory": "1 GB"}}
        assert [*_refusals(standin, DEPLOYMENT, news)] == [
            "spec.template.spec.containers[0].resources.limits.memory"
        ]

    @pytest.mark.parametrize(
        ("type", "told"),
        [
            ("kubernetes:apps/v1:Deploymnt", "close: deployment-apps-v1"),
            ("kubernetes:apps/v1:DeploymentSpec", "no kind 'DeploymentSpec'"),
            ("kubernetes:apps.acme.dev/v1:Deployment", "no CustomResourceDefinition"),
            ("kubernetes:core/v1:ConfigMapPatch", "register a ConfigMap"),
            ("kubernetes:core/v1:ConfigMapList", "as a ConfigMap of its own"),
            ("kubernetes:helm.sh/v3:Chart", "helm template"),
            ("kubernetes:helm.sh/v4:Chart", "helm template"),
            ("kubernetes:yaml/v2:ConfigGroup", "one by one"),
            ("kubernetes:kustomize/v2:Directory", "kubectl kustomize"),
        ],
    )
    def test_what_is_no_single_known_object_is_refused_with_the_way_out(
        self, standin: KubernetesStandin, type: str, told: str
    ) -> None:
        with pytest.raises(StandinError, match=told) as caught:
            standin.check(type, "x", {}, {})
        assert type in str(caught.value)

    def test_functions_are_refused_by_name(self, standin: KubernetesStandin) -> None:
        with pytest.raises(StandinError, match="kubernetes:yaml:decode"):
            standin.invoke("kubernetes:yaml:decode", {})

    def test_unknown_values_are_let_be(self, standin: KubernetesStandin) -> None:
        news = _deployment(replicas=UNKNOWN, selector=UNKNOWN)
        news["metadata"]["labels"] = UNKNOWN
        news["spec"]["template"]["spec"]["containers"][0] |= {"image": UNKNOWN, "resources": UNKNOWN}
        inputs = standin.check(DEPLOYMENT, "web", {}, news)
        assert standin.create(DEPLOYMENT, "web", inputs, preview=True)[0] == ""
        whole = standin.check(CONFIG_MAP, "x", {}, {"metadata": UNKNOWN, "data": UNKNOWN})
        assert standin.create(CONFIG_MAP, "x", whole, preview=True)[1]["data"] is UNKNOWN
        service = {"spec": {"ports": [{"port": 80, "targetPort": UNKNOWN}]}}
        assert standin.check("kubernetes:core/v1:Service", "x", {}, service)

    def test_unknown_values_do_not_hide_other_mistakes(self, standin: KubernetesStandin) -> None:
        told = _refusals(standin, DEPLOYMENT, _deployment(replicas=UNKNOWN, paused="no"))
        assert [*told] == ["spec.paused"]


class TestCustomResources:
    def test_known_ones_are_taken_and_noted_as_not_simulated(
        self, standin: KubernetesStandin, environment: LocalEnvironment
    ) -> None:
        trigger = {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "70"}}
        news = {
            "metadata": {"name": "web"},
            "spec": {"scaleTargetRef": {"name": "web"}, "triggers": [trigger]},
        }
        id, _, _ = _made(standin, "kubernetes:keda.sh/v1alpha1:ScaledObject", news)
        pool, _, _ = _made(standin, "kubernetes:karpenter.sh/v1:NodePool", {"metadata": {"name": "spot"}})
        assert (id, pool) == ("default/web", "spot")
        names = {path.name for path in (environment.manifests_dir / "1-manifest").iterdir()}
        assert names == {
            "keda.sh-v1alpha1-scaledobject-default-web.yaml",
            "karpenter.sh-v1-nodepool-spot.yaml",
        }
        noted = {note.type for note in standin.not_simulated()}
        assert {"kubernetes:keda.sh/*:ScaledObject", "pulumi:providers:kubernetes"} <= noted

    def test_each_missing_field_of_several_is_told_once(self, standin: KubernetesStandin) -> None:
        scaled_object = "kubernetes:keda.sh/v1alpha1:ScaledObject"
        with pytest.raises(Refused) as caught:
            standin.check(scaled_object, "web", {}, {"metadata": {"name": "web"}, "spec": {}})
        assert [path for path, _ in caught.value.failures] == ["spec.scaleTargetRef", "spec.triggers"]

    def test_a_scaled_object_that_keda_would_refuse_is_refused(self, standin: KubernetesStandin) -> None:
        trigger = {"type": "cpu", "metricType": "Average", "metadata": {"value": 70}}
        spec = {"scaleTargetRef": {"name": "web"}, "maxReplicas": 3, "triggers": [trigger]}
        told = _refusals(
            standin,
            "kubernetes:keda.sh/v1alpha1:ScaledObject",
            {"metadata": {"name": "web"}, "spec": spec},
        )
        assert told["spec.triggers[0].metadata.value"] == "is the number 70; allowed: a string"
        assert told["spec.triggers[0].metricType"].endswith("allowed: AverageValue, Value, Utilization")
        assert "no field that KEDA has here; did you mean 'maxReplicaCount'" in told["spec.maxReplicas"]

    def test_a_definition_among_the_objects_makes_its_kind_known(
        self, standin: KubernetesStandin, environment: LocalEnvironment
    ) -> None:
        definition = {
            "metadata": {"name": "things.acme.dev"},
            "spec": {
                "group": "acme.dev",
                "scope": "Cluster",
                "names": {"plural": "things", "kind": "Thing"},
                "versions": [{"name": "v1", "served": True, "storage": True}],
            },
        }
        type = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"
        inputs = standin.check(type, "things", {}, definition)
        assert "namespace" not in standin.check("kubernetes:acme.dev/v1:Thing", "x", {}, {})["metadata"]
        standin.create(type, "things", inputs, preview=False)
        assert len([*(environment.manifests_dir / "0-crd").iterdir()]) == 1
        later = KubernetesStandin(environment)
        later.configure({})
        assert later.check("kubernetes:acme.dev/v1:Thing", "x", {}, {"spec": {"any": 1}})


class TestDifferences:
    def _diff(self, standin: KubernetesStandin, type: str, old: dict[str, Any], new: dict[str, Any]) -> Any:
        olds = standin.check(type, "x", {}, old)
        return standin.diff(type, "default/x", olds, olds, standin.check(type, "x", olds, new))

    def test_a_changed_image_is_an_update_of_its_path(self, standin: KubernetesStandin) -> None:
        new = _deployment()
        new["spec"]["template"]["spec"]["containers"][0]["image"] = "web:2"
        difference = self._diff(standin, DEPLOYMENT, _deployment(), new)
        assert difference.changed == ["spec.template.spec.containers[0].image"]
        assert difference.replaces == []

    def test_the_same_object_is_no_change(self, standin: KubernetesStandin) -> None:
        assert self._diff(standin, DEPLOYMENT, _deployment(), _deployment()).changed == []

    def test_a_changed_selector_replaces_and_deletes_first_under_the_same_name(
        self, standin: KubernetesStandin
    ) -> None:
        new = _deployment(selector={"matchLabels": {"app": "w"}})
        new["spec"]["template"]["metadata"]["labels"] = {"app": "w"}
        difference = self._diff(standin, DEPLOYMENT, _deployment(), new)
        assert difference.replaces == ["spec.selector.matchLabels.app"]
        assert difference.delete_before_replace

    def test_a_changed_namespace_replaces_without_deleting_first(self, standin: KubernetesStandin) -> None:
        new = _deployment()
        new["metadata"]["namespace"] = "agents"
        difference = self._diff(standin, DEPLOYMENT, _deployment(), new)
        assert difference.replaces == ["metadata.namespace"]
        assert not difference.delete_before_replace

    def test_changed_config_replaces_unless_the_provider_allows_to_mutate_it(
        self, standin: KubernetesStandin
    ) -> None:
        old, new = {"data": {"a": "1"}}, {"data": {"a": "2"}}
        assert self._diff(standin, CONFIG_MAP, old, new).replaces == ["data.a"]
        standin.configure({"enableConfigMapMutable": "true", "enableSecretMutable": True})
        assert self._diff(standin, CONFIG_MAP, old, new).replaces == []
        assert self._diff(standin, SECRET, old, new).replaces == []
        frozen = self._diff(standin, CONFIG_MAP, {**old, "immutable": True}, new)
        assert "data.a" in frozen.replaces
        assert self._diff(standin, SECRET, {**old, "type": "a/b"}, {**old, "type": "c/d"}).replaces == [
            "type"
        ]

    @pytest.mark.parametrize(
        ("type", "field", "old", "new", "replaces"),
        [
            ("kubernetes:core/v1:Service", "clusterIP", "10.0.0.1", "10.0.0.2", True),
            ("kubernetes:core/v1:Service", "type", "ClusterIP", "LoadBalancer", False),
            ("kubernetes:core/v1:PersistentVolumeClaim", "storageClassName", "a", "b", True),
            (
                "kubernetes:core/v1:PersistentVolumeClaim",
                "resources",
                {"requests": {"storage": "1Gi"}},
                {"requests": {"storage": "2Gi"}},
                False,
            ),
        ],
    )
    def test_immutable_fields_replace(
        self, standin: KubernetesStandin, type: str, field: str, old: Any, new: Any, replaces: bool
    ) -> None:
        difference = self._diff(standin, type, {"spec": {field: old}}, {"spec": {field: new}})
        assert difference.changed
        assert bool(difference.replaces) is replaces

    def test_a_change_below_a_list_of_a_pod_replaces_it(self, standin: KubernetesStandin) -> None:
        old = {"spec": {"containers": [{"name": "a", "image": "b:1"}]}}
        new = {"spec": {"containers": [{"name": "a", "image": "b:2"}]}}
        difference = self._diff(standin, "kubernetes:core/v1:Pod", old, new)
        assert difference.replaces == ["spec.containers[0].image"]


class TestFiles:
    def test_an_object_is_a_private_file_named_after_it(
        self, standin: KubernetesStandin, environment: LocalEnvironment
    ) -> None:
        id, state, inputs = _made(standin, DEPLOYMENT, _deployment())
        file = environment.manifests_dir / "1-manifest" / "apps-v1-deployment-default-web.yaml"
        assert id == "default/web"
        assert yaml.safe_load(file.read_text()) == inputs == state
        assert (inputs["apiVersion"], inputs["kind"]) == ("apps/v1", "Deployment")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

    def test_a_preview_writes_nothing(
        self, standin: KubernetesStandin, environment: LocalEnvironment
    ) -> None:
        inputs = standin.check(DEPLOYMENT, "web", {}, _deployment())
        standin.create(DEPLOYMENT, "web", inputs, preview=True)
        standin.update(DEPLOYMENT, "default/web", inputs, {}, inputs, preview=True)
        assert not environment.manifests_dir.exists()

    def test_update_read_and_delete_follow_the_file(
        self, standin: KubernetesStandin, environment: LocalEnvironment
    ) -> None:
        id, state, inputs = _made(standin, DEPLOYMENT, _deployment())
        news = copy.deepcopy(inputs)
        news["spec"]["replicas"] = 3
        state = standin.update(DEPLOYMENT, id, inputs, state, news, preview=False)
        (file,) = (environment.manifests_dir / "1-manifest").iterdir()
        file.write_text(file.read_text().replace("replicas: 3", "replicas: 9"))
        found = standin.read(DEPLOYMENT, id, news, state)
        assert found is not None
        assert standin.diff(DEPLOYMENT, id, found.inputs, found.state, news).changed == ["spec.replicas"]
        standin.delete(DEPLOYMENT, id, news, state)
        standin.delete(DEPLOYMENT, id, news, state)
        assert not file.exists()
        assert standin.read(DEPLOYMENT, id, news, state) is None

    def test_an_existing_object_is_imported_by_its_id(self, standin: KubernetesStandin) -> None:
        _, _, inputs = _made(standin, DEPLOYMENT, _deployment())
        found = standin.read(DEPLOYMENT, "web", {}, {})
        assert found is not None
        assert (found.id, found.inputs) == ("default/web", inputs)

    def test_two_objects_never_share_a_file(
        self, standin: KubernetesStandin, environment: LocalEnvironment
    ) -> None:
        for namespace, name in (("a-b", "c"), ("a", "b-c"), ("a", "x" * 240), ("a", "x" * 241)):
            _made(standin, CONFIG_MAP, {"metadata": {"namespace": namespace, "name": name}})
        assert len([*(environment.manifests_dir / "1-manifest").iterdir()]) == 4
        standin.delete(CONFIG_MAP, "a-b/c", {}, {})
        assert standin.read(CONFIG_MAP, "a/b-c", {}, {}) is not None

    def test_the_text_of_a_secret_becomes_data_in_the_state(self, standin: KubernetesStandin) -> None:
        news = {"metadata": {"name": "s"}, "stringData": {"key": "value"}, "data": {"other": "YQ=="}}
        id, state, inputs = _made(standin, SECRET, news)
        encoded = base64.b64encode(b"value").decode()
        assert state["data"] == {"other": "YQ==", "key": encoded}
        found = standin.read(SECRET, id, inputs, state)
        assert found is not None
        assert (found.inputs, found.state) == (inputs, state)

    @pytest.mark.parametrize("text", ["a: [", "- 1", ""])
    def test_a_file_that_was_spoilt_is_told_by_its_path(
        self, standin: KubernetesStandin, environment: LocalEnvironment, text: str
    ) -> None:
        id, _, _ = _made(standin, DEPLOYMENT, _deployment())
        (file,) = (environment.manifests_dir / "1-manifest").iterdir()
        file.write_text(text)
        with pytest.raises(StandinError, match="delete the file and run") as caught:
            standin.read(DEPLOYMENT, id, {}, {})
        assert str(file) in str(caught.value)

    def test_a_directory_that_cannot_be_written_is_told(
        self, standin: KubernetesStandin, environment: LocalEnvironment
    ) -> None:
        environment.root.mkdir()
        environment.manifests_dir.write_text("in the way")
        with pytest.raises(StandinError, match=r"cannot be .* must be a directory") as caught:
            _made(standin, DEPLOYMENT, _deployment())
        assert str(environment.manifests_dir) in str(caught.value)

    def test_the_directory_of_the_provider_is_used_before_all(
        self, standin: KubernetesStandin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AGENT_INFRA_KUBECONFIG", "/nowhere")
        standin.configure({"renderYamlToDirectory": str(tmp_path / "rendered")})
        _made(standin, CONFIG_MAP, {"metadata": {"name": "a"}})
        assert (tmp_path / "rendered" / "1-manifest" / "core-v1-configmap-default-a.yaml").is_file()


class TestReleases:
    NEWS: Final[dict[str, Any]] = {
        "chart": "keda",
        "version": "2.20.2",
        "namespace": "keda",
        "repositoryOpts": {"repo": "https://kedacore.github.io/charts"},
        "values": {"resources": {}},
    }

    def test_a_release_is_recorded_beside_the_objects(
        self, standin: KubernetesStandin, environment: LocalEnvironment
    ) -> None:
        id, state, inputs = _made(standin, RELEASE, {**self.NEWS, "name": "keda"})
        assert id == "keda/keda"
        assert inputs["timeout"] == 300
        assert (state["status"]["status"], state["status"]["revision"]) == ("deployed", 1)
        file = environment.manifests_dir / "2-release" / "helm.sh-v3-release-keda-keda.yaml"
        assert yaml.safe_load(file.read_text())["spec"] == inputs
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

    def test_a_release_is_found_updated_and_deleted(self, standin: KubernetesStandin) -> None:
        id, state, inputs = _made(standin, RELEASE, self.NEWS)
        found = standin.read(RELEASE, id, inputs, state)
        assert found is not None
        assert (found.inputs, found.state) == (inputs, state)
        news = standin.check(RELEASE, "thing", inputs, {**self.NEWS, "version": "2.20.3"})
        difference = standin.diff(RELEASE, id, inputs, state, news)
        assert (difference.changed, difference.replaces) == (["version"], [])
        after = standin.update(RELEASE, id, inputs, state, news, preview=False)
        assert (after["status"]["revision"], after["status"]["version"]) == (2, "2.20.3")
        standin.delete(RELEASE, id, news, after)
        assert standin.read(RELEASE, id, news, after) is None

    def test_a_release_without_a_name_gets_one_and_keeps_it(self, standin: KubernetesStandin) -> None:
        first = standin.check(RELEASE, "keda", {}, {"chart": "keda"})
        assert first["name"].startswith("keda-")
        assert first["namespace"] == "default"
        assert standin.check(RELEASE, "keda", first, {"chart": "keda"})["name"] == first["name"]

    def test_another_namespace_replaces_a_release(self, standin: KubernetesStandin) -> None:
        id, state, inputs = _made(standin, RELEASE, self.NEWS)
        moved = standin.check(RELEASE, "thing", inputs, {**self.NEWS, "namespace": "other"})
        assert standin.diff(RELEASE, id, inputs, state, moved).replaces == ["namespace"]

    def test_what_helm_would_refuse_is_refused(self, standin: KubernetesStandin) -> None:
        told = _refusals(
            standin, RELEASE, {"version": 2, "valeus": {}, "repositoryOpts": {"url": "x"}, "timeout": True}
        )
        assert told["chart"] == "is missing, and must be given"
        assert told["version"] == "is of another type; allowed: a text"
        assert told["timeout"] == "is of another type; allowed: a whole number"
        assert "did you mean 'values'" in told["valeus"]
        assert "allowed: caFile" in told["repositoryOpts.url"]
        assert "at most 53" in _refusals(standin, RELEASE, {"chart": "a", "name": "a" * 54})["name"]

    def test_unknown_values_of_a_release_are_let_be(self, standin: KubernetesStandin) -> None:
        inputs = standin.check(
            RELEASE, "keda", {}, {**self.NEWS, "values": {"a": UNKNOWN}, "atomic": UNKNOWN}
        )
        assert standin.create(RELEASE, "keda", inputs, preview=True)[0] == ""

    def test_releases_are_shown_as_not_simulated(self, standin: KubernetesStandin) -> None:
        assert RELEASE in {note.type for note in standin.not_simulated()}


class TestConfiguration:
    def test_an_unknown_property_is_refused(self, standin: KubernetesStandin) -> None:
        with pytest.raises(StandinError, match=r"kubeConfig: no such property; allowed: .*kubeconfig"):
            standin.configure({"kubeConfig": "x"})

    def test_a_flag_of_another_type_is_refused(self, standin: KubernetesStandin) -> None:
        with pytest.raises(StandinError, match="enablePatchForce is 'yes'; allowed: true or false"):
            standin.configure({"enablePatchForce": "yes"})

    def test_a_kubeconfig_that_cannot_be_used_is_told_at_once(
        self, standin: KubernetesStandin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for text in (None, "apiVersion: v1\nkind: Config\n"):
            file = tmp_path / "kubeconfig"
            if text:
                file.write_text(text)
            monkeypatch.setenv("AGENT_INFRA_KUBECONFIG", str(file))
            with pytest.raises(StandinError, match="AGENT_INFRA_KUBECONFIG must"):
                standin.configure({})

    def test_a_deletion_policy_that_is_none_is_refused(self, standin: KubernetesStandin) -> None:
        metadata = {"annotations": {"pulumi.com/deletionPropagationPolicy": "later"}}
        with pytest.raises(StandinError, match="allowed: foreground, background, orphan"):
            standin.delete(CONFIG_MAP, "default/a", {"metadata": metadata}, {})

"""The kubernetes and docker stand-ins under the real engine, with the unchanged SDKs."""

from __future__ import annotations

import asyncio
import functools
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pulumi
import pulumi_docker as docker
import pulumi_kubernetes as k8s
import pytest
import yaml
from pulumi import automation as auto

from agent_infra.local import tools
from agent_infra.local.environment import ENVIRONMENT_DIR, LocalEnvironment

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("closed_loops")]

Program = Callable[[], None]


@pytest.fixture
def closed_loops(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pulumi's automation API leaves the event loop of an inline program that fails to the garbage collector,
    which would tell whichever test runs then."""
    loops: list[asyncio.AbstractEventLoop] = []
    make = asyncio.new_event_loop

    def made() -> asyncio.AbstractEventLoop:
        loops.append(make())
        return loops[-1]

    monkeypatch.setattr(asyncio, "new_event_loop", made)
    yield
    patience = time.monotonic() + 2  # its own thread may be about to close it
    for loop in loops:
        while not loop.is_closed() and time.monotonic() < patience:
            time.sleep(0.01)
        if not loop.is_running():
            loop.close()


class Stack:
    """One stack on a file backend, whose program changes from step to step."""

    def __init__(self, environment: LocalEnvironment, variables: dict[str, str]) -> None:
        self.environment = environment
        self._variables = variables

    @functools.cached_property
    def _made(self) -> auto.Stack:
        return auto.create_stack(
            stack_name="test",
            project_name="standins",
            program=lambda: None,
            opts=auto.LocalWorkspaceOptions(
                env_vars=self._variables,
                project_settings=auto.ProjectSettings(
                    name="standins",
                    runtime="python",
                    backend=auto.ProjectBackend(url=f"file://{self.environment.state_dir}"),
                ),
            ),
        )

    def _stack(self, program: Program) -> auto.Stack:
        self._made.workspace.program = program
        return self._made

    def up(self, program: Program) -> auto.UpResult:
        return self._stack(program).up(suppress_progress=True)

    def preview(self, program: Program) -> auto.PreviewResult:
        return self._stack(program).preview(suppress_progress=True)

    def refresh(self, program: Program) -> auto.RefreshResult:
        return self._stack(program).refresh(suppress_progress=True)

    def destroy(self, program: Program) -> auto.DestroyResult:
        return self._stack(program).destroy(suppress_progress=True)

    def manifests(self) -> dict[str, Any]:
        """The objects by file name."""
        folder = self.environment.manifests_dir / "1-manifest"
        return {path.name: yaml.safe_load(path.read_text()) for path in folder.glob("*.yaml")}


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    environment = LocalEnvironment(tmp_path / "env")
    environment.bin_dir.mkdir(parents=True)
    environment.state_dir.mkdir()
    root = Path(__file__).parents[2]
    for name in ("kubernetes", "docker"):
        shim = environment.bin_dir / f"pulumi-resource-{name}"
        python = shlex.quote(sys.executable)
        shim.write_text(f'#!/bin/sh\nexec {python} -m agent_infra.local.standins {name} "$@"\n')
        shim.chmod(0o755)
    directories = [environment.bin_dir, *tools.ensure().bin_dirs]
    path = os.pathsep.join([*(str(directory) for directory in directories), os.environ["PATH"]])
    monkeypatch.setenv("PATH", path)  # the automation API looks for the engine on its own
    variables = {
        ENVIRONMENT_DIR: str(environment.root),
        "AGENT_INFRA_IMAGE_BUILDER": "none",
        "PATH": path,
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PYTHONPATH": str(root),
    }
    yield Stack(environment, variables)


def _fleet(
    *, replicas: int | None = 2, selector: str = "web", namespace: str = "agents", level: str = "INFO"
) -> Program:
    def program() -> None:
        space = k8s.core.v1.Namespace("space", metadata={"name": namespace})
        inside = space.metadata.name
        settings = k8s.core.v1.ConfigMap(
            "settings", metadata={"namespace": inside}, data={"AGENT_APP_LOG_LEVEL": level}
        )
        k8s.core.v1.Secret(
            "keys",
            metadata={"name": "keys", "namespace": inside},
            string_data={"llm-api-key": "s3cret-value"},
        )
        labels = {"app.kubernetes.io/name": selector}
        web = k8s.apps.v1.Deployment(
            "web",
            metadata={"name": "web", "namespace": inside},
            spec={
                "replicas": replicas,
                "selector": {"match_labels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "containers": [
                            {
                                "name": "web",
                                "image": "web:1",
                                "env_from": [{"config_map_ref": {"name": settings.metadata.name}}],
                            }
                        ]
                    },
                },
            },
        )
        k8s.apiextensions.CustomResource(
            "scaling",
            api_version="keda.sh/v1alpha1",
            kind="ScaledObject",
            metadata={"name": "web", "namespace": inside},
            spec={
                "scaleTargetRef": {"name": web.metadata.name},
                "triggers": [{"type": "cpu", "metricType": "Utilization", "metadata": {"value": "70"}}],
            },
        )
        pulumi.export("settings", settings.metadata.name)
        pulumi.export("uid", web.metadata.uid)

    return program


def _operations(result: auto.UpResult) -> dict[str, int]:
    return {str(key): count for key, count in (result.summary.resource_changes or {}).items()}


def test_a_fleet_lives_its_whole_life_in_files(stack: Stack) -> None:
    planned = stack.preview(_fleet())
    assert {str(key): count for key, count in planned.change_summary.items()} == {"create": 6}
    assert stack.manifests() == {}

    made = stack.up(_fleet())
    manifests = stack.manifests()
    name = made.outputs["settings"].value
    assert set(manifests) == {
        "core-v1-namespace-agents.yaml",
        f"core-v1-configmap-agents-{name}.yaml",
        "core-v1-secret-agents-keys.yaml",
        "apps-v1-deployment-agents-web.yaml",
        "keda.sh-v1alpha1-scaledobject-agents-web.yaml",
    }
    container = manifests["apps-v1-deployment-agents-web.yaml"]["spec"]["template"]["spec"]["containers"][0]
    assert container["envFrom"] == [{"configMapRef": {"name": name}}]

    assert _operations(stack.up(_fleet())) == {"same": 6}

    changed = _operations(stack.up(_fleet(replicas=3, level="DEBUG")))
    assert changed == {"same": 4, "replace": 1, "update": 1}
    assert stack.manifests()["apps-v1-deployment-agents-web.yaml"]["spec"]["replicas"] == 3
    assert f"core-v1-configmap-agents-{name}.yaml" not in stack.manifests()

    stack.destroy(_fleet())
    assert stack.manifests() == {}


def test_the_state_holds_no_secret_in_the_clear(stack: Stack) -> None:
    stack.up(_fleet())
    files = [path.read_text() for path in stack.environment.state_dir.rglob("*.json")]
    assert any('"ciphertext"' in text for text in files)
    for text in files:
        assert "s3cret-value" not in text
        assert "czNjcmV0LXZhbHVl" not in text  # the same in base64


def test_a_file_that_was_edited_is_found_and_put_right(stack: Stack) -> None:
    stack.up(_fleet())
    file = stack.environment.manifests_dir / "1-manifest" / "apps-v1-deployment-agents-web.yaml"
    file.write_text(file.read_text().replace("replicas: 2", "replicas: 7"))
    stack.refresh(_fleet())
    assert _operations(stack.up(_fleet()))["update"] == 1
    assert stack.manifests()[file.name]["spec"]["replicas"] == 2
    file.unlink()
    stack.refresh(_fleet())
    assert _operations(stack.up(_fleet()))["create"] == 1


def test_an_immutable_field_replaces_the_object_under_its_name(stack: Stack) -> None:
    stack.up(_fleet())
    assert _operations(stack.up(_fleet(selector="other")))["replace"] == 1
    web = stack.manifests()["apps-v1-deployment-agents-web.yaml"]
    assert web["spec"]["selector"]["matchLabels"] == {"app.kubernetes.io/name": "other"}


def test_a_moved_namespace_moves_everything_in_it(stack: Stack) -> None:
    stack.up(_fleet())
    stack.up(_fleet(namespace="others"))
    assert {item["metadata"].get("namespace") for item in stack.manifests().values()} == {None, "others"}
    assert len(stack.manifests()) == 5


def test_a_mistake_stops_the_preview_and_names_its_path(stack: Stack) -> None:
    def program() -> None:
        ports: Any = [{"port": 80, "prot": "TCP"}]
        k8s.core.v1.Service("web", metadata={"name": "web"}, spec={"ports": ports})

    with pytest.raises(auto.CommandError) as caught:
        stack.preview(program)
    assert "spec.ports[0].prot" in str(caught.value)


def test_an_object_is_taken_over_by_import(stack: Stack) -> None:
    def program(*, imported: bool) -> Program:
        def inside() -> None:
            options = pulumi.ResourceOptions(import_="default/found") if imported else None
            k8s.core.v1.ConfigMap(
                "found", metadata={"name": "found", "namespace": "default"}, data={"a": "1"}, opts=options
            )

        return inside

    stack.up(program(imported=False))
    kept = stack.manifests()
    stack.destroy(program(imported=False))
    for name, content in kept.items():
        (stack.environment.manifests_dir / "1-manifest" / name).write_text(yaml.safe_dump(content))
    assert _operations(stack.up(program(imported=True)))["import"] == 1


def test_a_provider_renders_to_its_own_directory(stack: Stack, tmp_path: Path) -> None:
    def program() -> None:
        provider = k8s.Provider("rendered", render_yaml_to_directory=str(tmp_path / "out"), namespace="team")
        k8s.core.v1.ConfigMap(
            "a", metadata={"name": "a"}, data={"b": "c"}, opts=pulumi.ResourceOptions(provider=provider)
        )

    stack.up(program)
    assert (tmp_path / "out" / "1-manifest" / "core-v1-configmap-team-a.yaml").is_file()
    assert stack.manifests() == {}


def test_an_image_is_deployed_by_the_digest_of_its_source(stack: Stack, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "Dockerfile").write_text("FROM scratch\n")

    def program() -> None:
        image = docker.Image("app", image_name="app:latest", build={"context": str(source)}, skip_push=True)
        k8s.core.v1.Pod(
            "app",
            metadata={"name": "app"},
            spec={"containers": [{"name": "app", "image": image.repo_digest}]},
        )
        pulumi.export("digest", image.repo_digest)

    first = stack.up(program)
    assert first.outputs["digest"].value.startswith("app@sha256:")
    assert _operations(stack.up(program)) == {"same": 3}
    (source / "main.py").write_text("print(1)\n")
    assert str(stack.preview(program).change_summary).count("replace") >= 1
    second = stack.up(program)
    assert _operations(second)["update"] == 1
    assert second.outputs["digest"].value != first.outputs["digest"].value
    pod = stack.manifests()["core-v1-pod-default-app.yaml"]
    assert pod["spec"]["containers"][0]["image"] == second.outputs["digest"].value

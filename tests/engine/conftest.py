"""Projects to deploy from: copies of this one's stacks and settings, each in a directory of its own."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.config import Config

from agent_infra.automation import Environment, Event, Project, Step
from agent_infra.local import fleets, services
from agent_infra.local.environment import LocalEnvironment

ROOT = Path(__file__).parents[2]


def copy_project(to: Path) -> Project:
    """The files that an environment is deployed from; the agent service is built from its own place."""
    for name in ("Pulumi.yaml", "Pulumi.local.yaml", "Pulumi.dev.yaml", "Pulumi.prod.yaml"):
        shutil.copy(ROOT / name, to / name)
    shutil.copytree(ROOT / "stacks", to / "stacks", ignore=shutil.ignore_patterns("__pycache__"))
    (to / "agent_app").symlink_to(ROOT / "agent_app")
    return Project.find(to)


@contextmanager
def local_program(to: Path, name: str, program: str = "", **config: str) -> Iterator[Environment]:
    """The environment `local` of a project that is one program; what it leaves running is ended."""
    (to / "Pulumi.yaml").write_text(f"name: {name}\nruntime: python\n")
    settings = {"aws:region": "eu-central-1", **{f"{name}:{key}": value for key, value in config.items()}}
    (to / "Pulumi.local.yaml").write_text(yaml.safe_dump({"config": settings}))
    (to / "__main__.py").write_text(program)
    project = Project.find(to)
    try:
        yield Environment.open("local", project=project)
    finally:
        end_all(project)


def end_all(project: Project) -> None:
    """Ends whatever a test left running, by process id."""
    for directory in (project.root / ".agent-infra").glob("*"):
        environment = LocalEnvironment(directory)
        fleets.stop(environment)
        services.stop(environment)


@pytest.fixture(scope="session", autouse=True)
def without_images() -> Iterator[None]:
    """Fleets run from source, whichever builder this machine has; tests/image builds the image."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AGENT_INFRA_IMAGE_BUILDER", "none")
        yield


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    made = copy_project(tmp_path_factory.mktemp("project"))
    try:
        yield made
    finally:
        end_all(made)


class Steps:
    """Listens to a run and keeps what it changed."""

    def __init__(self) -> None:
        self.done: list[Step] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, Step) and event.done and event.op not in {"same", "read", "refresh"}:
            self.done.append(event)

    def types(self) -> set[tuple[str, str]]:
        """Pairs such as `("update", "aws:sqs/queue:Queue")`."""
        return {(step.op, step.type) for step in self.done}


def change_settings(project: Project, environment: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Edits Pulumi.<environment>.yaml as a person would."""
    file = project.settings_file(environment)
    content = yaml.safe_load(file.read_text())
    change(content["config"])
    file.write_text(yaml.safe_dump(content))


def aws(environment: Environment, service: str, region: str | None = None) -> Any:
    """A boto3 client of an environment's local AWS."""
    assert environment.local is not None
    settings = environment.project.settings(environment.name)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_PROFILE", raising=False)
        return boto3.client(  # type: ignore[call-overload] # the service's name is not a literal
            service,
            endpoint_url=environment.local.service("moto")["url"],
            region_name=region or settings["config"]["aws:region"],
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=Config(proxies={"http": None}),
        )


def call(url: str, body: dict[str, Any] | None = None, *, key: str | None = None) -> dict[str, Any]:
    """A JSON request on loopback: POST with a body, GET without; by an API key where there is one."""
    assert url.startswith("http://127.0.0.1:")
    data = json.dumps(body).encode() if body is not None else None
    allowed = {} if key is None else {"authorization": f"Bearer {key}"}
    request = urllib.request.Request(url, data=data, headers={"content-type": "application/json", **allowed})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=30) as response:
        answer: dict[str, Any] = json.load(response)
    return answer

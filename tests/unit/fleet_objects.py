"""A fleet as its parsed objects, for tests of any part of it."""

from __future__ import annotations

import re
from typing import Any

import pulumi

from agent_infra import AgentFleet
from tests.unit.recording import Recorded, record

IMAGE = f"registry.example/agents@sha256:{'1' * 64}"
CERTIFICATE = "arn:aws:acm:eu-central-1:123456789012:certificate/1234abcd-12ab"
QUEUE = {
    "url": "https://sqs.eu-central-1.amazonaws.com/123456789012/tasks",
    "arn": "arn:aws:sqs:eu-central-1:123456789012:tasks",
}

Object = dict[str, Any]


def recorded(**args: Any) -> Recorded:
    """What the fleet `support` registers; its `result` is its address."""

    def program() -> pulumi.Output[str]:
        return AgentFleet("support", {"image": IMAGE, **args}).url

    return record(program)


def objects_of(program: Recorded) -> list[Object]:
    """The Kubernetes objects that a program registers, as an API server would get them."""
    found = []
    for resource in program.resources:
        if resource.type.startswith("kubernetes:"):
            version, kind = re.fullmatch(r"kubernetes:(.+):(.+)", resource.type).groups()  # type: ignore[union-attr] # every such token has both
            inputs = _whole(resource.inputs)
            found.append({**inputs, "apiVersion": version.removeprefix("core/"), "kind": kind})
    return found


def _whole(value: Any) -> Any:
    """With whole numbers, which the engine's protocol makes floats, as a program said them."""
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def objects(**args: Any) -> list[Object]:
    return objects_of(recorded(**args))


def named(found: list[Object], kind: str, name: str = "support") -> Object:
    (one,) = [each for each in found if each["kind"] == kind and each["metadata"]["name"] == name]
    return one


def one(kind: str, name: str = "support", **args: Any) -> Object:
    """The only object of a kind and name that a fleet makes."""
    return named(objects(**args), kind, name)


def pod_spec(name: str = "support", **args: Any) -> Object:
    spec: Object = one("Deployment", name, **args)["spec"]["template"]["spec"]
    return spec

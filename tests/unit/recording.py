"""The one mock of the engine: it records what a program registers, and is asked when it has drained."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi.runtime import mocks, rpc, settings
from pulumi.runtime.stack import run_pulumi_func

ACCOUNT = "123456789012"
REGION = "eu-central-1"
ISSUER = f"https://oidc.eks.{REGION}.amazonaws.com/id/EXAMPLE"
ZONES = [f"{REGION}{letter}" for letter in "abc"]
EXISTING_VPC = "vpc-0aaaaaaa"


@dataclass
class Registered:
    """One resource as it was registered; secrets in the inputs are plain, `secrets` names them."""

    type: str
    name: str
    inputs: dict[str, Any]
    provider: str = ""
    parent: str = ""
    protect: bool = False
    ignore_changes: list[str] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)
    retained: bool = False
    dependencies: set[str] = field(default_factory=set)
    """The types and names of what must be there first."""


@dataclass
class Recorded:
    """Everything that a program registered, and what it returned."""

    resources: list[Registered]
    calls: list[str]
    result: Any = None

    def of(self, type: str) -> list[Registered]:
        return [resource for resource in self.resources if resource.type == type]

    def one(self, type: str, name: str | None = None) -> Registered:
        found = [resource for resource in self.of(type) if name in (None, resource.name)]
        assert len(found) == 1, (
            f"{len(found)} of {type} {name or ''}: {[item.name for item in self.of(type)]}"
        )
        return found[0]

    def settings(self, deployment: str = "support") -> dict[str, str]:
        """What a Deployment's pods have in their environment that is no secret."""
        spec = self.one("kubernetes:apps/v1:Deployment", deployment).inputs["spec"]["template"]["spec"]
        (container,) = [each for each in spec["containers"] if each["name"] == "agent"]
        return {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}


class _Mocks(mocks.Mocks):
    def __init__(self) -> None:
        self.calls: list[str] = []

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        arn = f"arn:aws:{args.typ.split(':')[1].split('/')[0]}:{REGION}:{ACCOUNT}:{args.name}"
        computed = {
            "arn": arn,
            "name": args.name,
            "url": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{args.name}",
            "bucket": args.name,
            "port": 6379 if "elasticache" in args.typ else 5432,
            "address": f"{args.name}.rds.amazonaws.com",
            "endpoint": f"{args.name}.endpoint",
            "identifier": f"{args.name}-identifier",
            "primaryEndpointAddress": f"{args.name}.cache.amazonaws.com",
            "readerEndpointAddress": f"{args.name}-ro.cache.amazonaws.com",
            "endpoints": [{"address": "it.serverless.amazonaws.com", "port": 6379}],
            "masterUserSecrets": [{"secretArn": f"{arn}-master"}],
            "repositoryUrl": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{args.name}",
            "repoDigest": f"{str(args.inputs.get('imageName')).rpartition(':')[0]}@sha256:{'0' * 64}",
            "digest": f"sha256:{'0' * 64}",
            "versionId": f"version-of-{args.name}",
            "keyId": f"key-of-{args.name}",
            "certificateAuthority": {"data": "Y2VydGlmaWNhdGU="},
            "latestVersion": 1,
        }
        state = {**computed, **args.inputs}
        if args.typ == "aws:eks/cluster:Cluster":
            state["vpcConfig"] = {**args.inputs["vpcConfig"], "clusterSecurityGroupId": "sg-cluster"}
            state["identities"] = [{"oidcs": [{"issuer": ISSUER}]}]
        return args.resource_id or f"{args.name}-id", state

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        self.calls.append(args.token)
        answers: dict[str, dict[str, Any]] = {
            "aws:index/getRegion:getRegion": {"region": REGION, "name": REGION, "id": REGION},
            "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": ACCOUNT, "id": ACCOUNT},
            "aws:index/getPartition:getPartition": {"partition": "aws", "id": "aws"},
            "aws:ec2/getVpc:getVpc": _existing_vpc(args.args),
            "aws:ec2/getSubnet:getSubnet": _existing_subnet(args.args),
            "aws:index/getAvailabilityZones:getAvailabilityZones": {"names": ZONES, "id": REGION},
            "aws:secretsmanager/getRandomPassword:getRandomPassword": {"randomPassword": "drawn-password"},
            "aws:ecr/getAuthorizationToken:getAuthorizationToken": {"userName": "AWS", "password": "token"},
            "aws:eks/getCluster:getCluster": {
                "name": args.args.get("name"),
                "arn": f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{args.args.get('name')}",
                "endpoint": "https://existing.example",
                "certificateAuthorities": [{"data": "Y2VydGlmaWNhdGU="}],
                "vpcConfig": {"clusterSecurityGroupId": "sg-existing", "vpcId": "vpc-existing"},
                "identities": [{"oidcs": [{"issuer": ISSUER}]}],
            },
        }
        return answers[args.token], []


def _existing_vpc(asked: dict[str, Any]) -> dict[str, Any]:
    """A VPC of two ranges; one whose id ends with `d` has no DNS names."""
    ranges = [{"associationId": "vpc-cidr-assoc-1", "cidrBlock": "100.64.0.0/16", "state": "associated"}]
    return {
        "id": asked.get("id"),
        "cidrBlock": "172.31.0.0/16",
        "cidrBlockAssociations": ranges,
        "enableDnsSupport": True,
        "enableDnsHostnames": not str(asked.get("id")).endswith("d"),
    }


def _existing_subnet(asked: dict[str, Any]) -> dict[str, Any]:
    """A subnet of the zone that its id's last character says; one that ends with `f` is of another VPC."""
    id = str(asked.get("id"))
    return {
        "id": id,
        "vpcId": "vpc-0fffffff" if id.endswith("f") else EXISTING_VPC,
        "availabilityZone": ZONES[ord(id[-1]) % len(ZONES)],
    }


class _Monitor(mocks.MockMonitor):
    def __init__(self, recorder: _Mocks) -> None:
        super().__init__(recorder)
        self.recorded: list[Registered] = []

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - gRPC's name
        with _loop_of_this_call():
            self._note(request)
            return super().RegisterResource(request)  # type: ignore[no-untyped-call] # the SDK's is untyped

    def Invoke(self, request: Any) -> Any:  # noqa: N802 - gRPC's name
        with _loop_of_this_call():
            return super().Invoke(request)  # type: ignore[no-untyped-call] # the SDK's is untyped

    def _note(self, request: Any) -> None:
        raw = rpc.deserialize_properties(request.object, keep_unknowns=True)
        self.recorded.append(
            Registered(
                type=request.type,
                name=request.name,
                inputs=_plain(raw),
                provider=request.provider,
                parent=request.parent.rsplit("::", 1)[-1],
                protect=request.protect,
                ignore_changes=list(request.ignoreChanges),
                retained=request.retainOnDelete,
                secrets={key for key, value in raw.items() if rpc.is_rpc_secret(value)},
                dependencies={urn.split("::", 2)[-1] for urn in request.dependencies},
            )
        )


@contextmanager
def _loop_of_this_call() -> Iterator[None]:
    """The mock monitor wants an event loop in each worker thread, and leaves it open."""
    if threading.current_thread() is threading.main_thread():
        yield
        return
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _plain(value: Any) -> Any:
    if rpc.is_rpc_secret(value):
        return _plain(rpc.unwrap_rpc_secret(value))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def record(program: Callable[[], Any], *, stack: str = "test", preview: bool = False) -> Recorded:
    """Runs a program to its end against the mock; its errors are raised here."""
    recorder = _Mocks()
    monitor = _Monitor(recorder)
    returned: list[Any] = []

    async def run() -> Any:
        mocks.set_mocks(recorder, project="agent-infra", stack=stack, preview=preview, monitor=monitor)
        settings.SETTINGS.rpc_manager.clear()
        settings.SETTINGS.outputs = deque()
        try:
            await run_pulumi_func(lambda: returned.append(program()))
            return await pulumi.Output.from_input(returned[0]).future() if returned else None
        finally:
            # What a failed program leaves behind waits for resources that never come.
            await _end_others()

    with asyncio.Runner() as runner:
        result = runner.run(run())
    return Recorded(monitor.recorded, recorder.calls, result)


async def _end_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)

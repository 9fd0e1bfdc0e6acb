"""The engine's side of a program, in a process of its own: it answers every registration at once.

`python -m benchmarks.monitor` prints its port and serves until its standard input ends.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, resource_pb2, resource_pb2_grpc

_FEATURES = frozenset({"secrets", "resourceReferences", "outputValues", "aliasSpecs", "deletedWith"})


class Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    """What is registered gets its inputs back as its state, with an id and an ARN."""

    def SupportsFeature(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's names
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in _FEATURES)

    def RegisterResource(self, request: Any, context: Any) -> Any:  # noqa: N802
        urn = f"urn:pulumi:test::benchmarks::{request.type}::{request.name}"
        answer = resource_pb2.RegisterResourceResponse(urn=urn, object=request.object)
        if request.custom:
            answer.id = f"{request.name}-id"
            answer.object["arn"] = f"arn:aws:iam::123456789012:role/{request.name}"
        return answer

    def RegisterResourceOutputs(self, request: Any, context: Any) -> Any:  # noqa: N802
        return empty_pb2.Empty()

    def SignalAndWaitForShutdown(self, request: Any, context: Any) -> Any:  # noqa: N802
        return empty_pb2.Empty()


class Engine(engine_pb2_grpc.EngineServicer):
    """What a program says to the engine beside its resources."""

    def Log(self, request: Any, context: Any) -> Any:  # noqa: N802
        if request.severity >= engine_pb2.WARNING:
            sys.stderr.write(f"{request.message}\n")
        return empty_pb2.Empty()

    def GetRootResource(self, request: Any, context: Any) -> Any:  # noqa: N802
        return engine_pb2.GetRootResourceResponse()

    def SetRootResource(self, request: Any, context: Any) -> Any:  # noqa: N802
        return engine_pb2.SetRootResourceResponse()


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The address of one that serves until the end."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.monitor"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        yield f"127.0.0.1:{process.stdout.readline().strip()}"
        process.stdin.close()


def main() -> None:
    server = grpc.server(ThreadPoolExecutor(4))
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(Monitor(), server)
    engine_pb2_grpc.add_EngineServicer_to_server(Engine(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    sys.stdin.read()
    server.stop(0)


if __name__ == "__main__":
    main()

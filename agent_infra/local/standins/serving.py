"""The engine's gRPC protocol on one side, a stand-in in plain Python on the other."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import traceback
from concurrent import futures
from contextlib import AbstractContextManager
from typing import Any, Final

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from agent_infra.local.standins.engine import Call, Engine, answering
from agent_infra.local.standins.server import (
    Partial,
    Refused,
    Standin,
    StandinError,
    from_struct,
    to_struct,
)

#: More than resources are made at once: calls that wait must leave room for the one that cancels them.
_WORKERS: Final = 256
_LOOK_SECONDS: Final = 1.0
#: What goes on when the engine is gone may come to its end.
_LAST_WORK_SECONDS: Final = 5.0


def _type_and_name(urn: str) -> tuple[str, str]:
    _, _, rest = urn.partition("::")
    _, qualified, name = rest.split("::", 2)
    return qualified.rsplit("$", 1)[-1], name


class _Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Translates calls; every error becomes one gRPC status whose text the engine shows."""

    def __init__(self, standin: Standin, engine: Engine) -> None:
        self._standin = standin
        self._engine = engine
        self._cancelled = threading.Event()

    def _call(self, request: Any) -> AbstractContextManager[Call]:
        timeout = getattr(request, "timeout", 0.0)
        return answering(Call(self._engine, request.urn, timeout, self._cancelled))

    def _abort(self, context: grpc.ServicerContext, error: Exception, *, doing: str) -> Any:
        if not isinstance(error, StandinError):
            traceback.print_exc(file=sys.stderr)
        text = str(error) if isinstance(error, StandinError) else f"{type(error).__name__}: {error}"
        context.abort(grpc.StatusCode.UNKNOWN, f"{doing}: {text}")

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=self._standin.version)

    def Handshake(self, request: Any, context: Any) -> Any:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "no handshake is needed")

    def GetSchema(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetSchemaResponse(schema="{}")

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:
        try:
            self._standin.configure(from_struct(request.args))
        except Exception as error:
            self._abort(context, error, doing=f"configuring {self._standin.name}")
        return provider_pb2.ConfigureResponse(
            acceptSecrets=False, supportsPreview=True, acceptResources=False, acceptOutputs=False
        )

    def Check(self, request: Any, context: Any) -> Any:
        type, name = _type_and_name(request.urn)
        try:
            with self._call(request):
                inputs = self._standin.check(type, name, from_struct(request.olds), from_struct(request.news))
        except Refused as refused:
            return provider_pb2.CheckResponse(
                inputs=request.news,
                failures=[
                    provider_pb2.CheckFailure(property=path, reason=reason)
                    for path, reason in refused.failures
                ],
            )
        except Exception as error:
            return self._abort(context, error, doing=f"checking {type} {name!r}")
        return provider_pb2.CheckResponse(inputs=to_struct(inputs))

    def Diff(self, request: Any, context: Any) -> Any:
        type, name = _type_and_name(request.urn)
        try:
            difference = self._standin.diff(
                type,
                request.id,
                from_struct(request.old_inputs),
                from_struct(request.olds),
                from_struct(request.news),
            )
        except Exception as error:
            return self._abort(context, error, doing=f"comparing {type} {name!r}")
        ignored = set(request.ignoreChanges)
        changed = [path for path in difference.changed if path not in ignored]
        replaces = [path for path in difference.replaces if path not in ignored]
        kinds = provider_pb2.PropertyDiff
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=changed,
            replaces=replaces,
            deleteBeforeReplace=difference.delete_before_replace,
            hasDetailedDiff=bool(changed),
            detailedDiff={
                path: kinds(kind=kinds.UPDATE_REPLACE if path in replaces else kinds.UPDATE, inputDiff=True)
                for path in changed
            },
        )

    def Create(self, request: Any, context: Any) -> Any:
        type, name = _type_and_name(request.urn)
        try:
            with self._call(request):
                id, state = self._standin.create(
                    type, name, from_struct(request.properties), preview=request.preview
                )
        except Partial as partial:
            return self._partial(context, partial, request.properties)
        except Exception as error:
            return self._abort(context, error, doing=f"creating {type} {name!r}")
        return provider_pb2.CreateResponse(id=id, properties=to_struct(state))

    def Read(self, request: Any, context: Any) -> Any:
        type, name = _type_and_name(request.urn)
        try:
            with self._call(request):
                found = self._standin.read(
                    type, request.id, from_struct(request.inputs), from_struct(request.properties)
                )
        except Partial as partial:
            return self._partial(context, partial, to_struct(partial.inputs or {}))
        except Exception as error:
            return self._abort(context, error, doing=f"reading {type} {name!r}")
        if found is None:
            return provider_pb2.ReadResponse(id="")
        return provider_pb2.ReadResponse(
            id=found.id, inputs=to_struct(found.inputs), properties=to_struct(found.state)
        )

    def Update(self, request: Any, context: Any) -> Any:
        type, name = _type_and_name(request.urn)
        try:
            with self._call(request):
                state = self._standin.update(
                    type,
                    request.id,
                    from_struct(request.old_inputs),
                    from_struct(request.olds),
                    from_struct(request.news),
                    preview=request.preview,
                )
        except Partial as partial:
            return self._partial(context, partial, request.news)
        except Exception as error:
            return self._abort(context, error, doing=f"updating {type} {name!r}")
        return provider_pb2.UpdateResponse(properties=to_struct(state))

    def Delete(self, request: Any, context: Any) -> Any:
        type, name = _type_and_name(request.urn)
        try:
            with self._call(request):
                self._standin.delete(
                    type, request.id, from_struct(request.old_inputs), from_struct(request.properties)
                )
        except Exception as error:
            return self._abort(context, error, doing=f"deleting {type} {name!r}")
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        try:
            result = self._standin.invoke(request.tok, from_struct(request.args))
        except Exception as error:
            return self._abort(context, error, doing=f"calling {request.tok}")
        return provider_pb2.InvokeResponse(**{"return": to_struct(result)})

    def Cancel(self, request: Any, context: Any) -> Any:
        self._cancelled.set()
        return empty_pb2.Empty()

    def _partial(self, context: grpc.ServicerContext, partial: Partial, inputs: Any) -> Any:
        detail = provider_pb2.ErrorResourceInitFailed(
            id=partial.id,
            properties=to_struct(partial.state),
            reasons=[str(partial), *partial.reasons],
            inputs=inputs,
        )
        status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(partial))
        status.details.add().Pack(detail)
        # The engine keeps the id and the state that it finds in this trailer.
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.UNKNOWN, str(partial))


def serve(standin: Standin, *, engine: str | None = None) -> None:
    """Serves the engine until it ends this process or is gone: the port goes alone on a line.

    `engine` is the address at which the engine takes messages.
    """
    parent = os.getppid()
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=_WORKERS),
        options=[("grpc.max_receive_message_length", 400 * 1024 * 1024)],
    )
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(_Servicer(standin, Engine(engine)), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    with contextlib.suppress(KeyboardInterrupt):  # how the engine ends its plugins
        # An engine that was killed ends none: this process has another parent then.
        while server.wait_for_termination(_LOOK_SECONDS) and os.getppid() == parent:
            continue
        server.stop(_LAST_WORK_SECONDS).wait()
        os._exit(1)  # what still waits has nobody to answer

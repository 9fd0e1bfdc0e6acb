"""What the provider stand-ins share: the engine's gRPC protocol on one side, plain Python on the other.

A stand-in says that it accepts no secrets, so the engine hands it plain values and marks outputs
secret where the input of the same name was. Unknown values, which exist only in previews, arrive
as `UNKNOWN`.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime import rpc
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

Properties = dict[str, Any]


class Unknown:
    """A value that only the update itself will know; the one instance is `UNKNOWN`."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


class StandinError(Exception):
    """A refusal, told to the user by the engine as the resource's error."""


@dataclass
class Refused(StandinError):
    """The inputs of a resource are wrong: pairs of a property's path and what is wrong with it."""

    failures: list[tuple[str, str]]

    def __str__(self) -> str:
        return "; ".join(f"{path}: {reason}" for path, reason in self.failures)


class Partial(StandinError):
    """A resource was made, but not to its end: its id and state must be kept."""

    def __init__(self, message: str, *, id: str, state: Properties) -> None:
        super().__init__(message)
        self.id = id
        self.state = state


@dataclass
class Difference:
    """What an update would do: the changed paths, and those of them that need a replacement."""

    changed: list[str] = field(default_factory=list)
    replaces: list[str] = field(default_factory=list)
    delete_before_replace: bool = False


@dataclass(frozen=True)
class Found:
    """A resource as it is: what a program would say to make it so, and its whole state."""

    id: str
    inputs: Properties
    state: Properties


class Standin(Protocol):
    """One provider. Each method may raise `StandinError`; types are tokens such as `aws:sqs/queue:Queue`."""

    name: str
    version: str

    def configure(self, config: Properties) -> None: ...

    def check(self, type: str, name: str, olds: Properties, news: Properties) -> Properties:
        """The inputs with defaults filled in; raises `Refused`."""
        ...

    def diff(
        self, type: str, id: str, olds: Properties, state: Properties, news: Properties
    ) -> Difference: ...

    def create(
        self, type: str, name: str, inputs: Properties, *, preview: bool
    ) -> tuple[str, Properties]: ...

    def read(self, type: str, id: str, inputs: Properties, state: Properties) -> Found | None:
        """What exists, or None. On an import `inputs` and `state` are empty."""
        ...

    def update(
        self, type: str, id: str, olds: Properties, state: Properties, news: Properties, *, preview: bool
    ) -> Properties: ...

    def delete(self, type: str, id: str, inputs: Properties, state: Properties) -> None: ...

    def invoke(self, token: str, args: Properties) -> Properties: ...


def from_struct(struct: struct_pb2.Struct) -> Properties:
    """The engine's struct as plain Python; assets and archives stay dicts with their signature key."""
    return {key: _from_value(value) for key, value in struct.fields.items()}


def _from_value(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        fields = from_struct(value.struct_value)
        return fields["value"] if fields.get(rpc._special_sig_key) == rpc._special_secret_sig else fields
    if kind == "list_value":
        return [_from_value(item) for item in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "bool_value":
        return value.bool_value
    if kind == "string_value":
        return UNKNOWN if value.string_value == rpc.UNKNOWN else value.string_value
    return None


def to_struct(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    """Plain Python as the engine's struct; None values are left out of mappings."""
    return struct_pb2.Struct(
        fields={key: _to_value(value) for key, value in properties.items() if value is not None}
    )


def _to_value(value: Any) -> struct_pb2.Value:
    if isinstance(value, Unknown):
        return struct_pb2.Value(string_value=rpc.UNKNOWN)
    if isinstance(value, Mapping):
        return struct_pb2.Value(struct_value=to_struct(value))
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, int | float):
        return struct_pb2.Value(number_value=value)
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    if isinstance(value, Sequence):
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[_to_value(item) for item in value]))
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if isinstance(value, datetime):
        return struct_pb2.Value(string_value=value.isoformat())
    raise TypeError(f"a {type(value).__name__} cannot be told to the engine")


def has_unknown(value: Any) -> bool:
    """Whether an unknown is anywhere inside."""
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return isinstance(value, Unknown)


def _type_and_name(urn: str) -> tuple[str, str]:
    _, _, rest = urn.partition("::")
    _, qualified, name = rest.split("::", 2)
    return qualified.rsplit("$", 1)[-1], name


class _Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Translates calls; every error becomes one gRPC status whose text the engine shows."""

    def __init__(self, standin: Standin) -> None:
        self._standin = standin

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
            found = self._standin.read(
                type, request.id, from_struct(request.inputs), from_struct(request.properties)
            )
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
        return empty_pb2.Empty()

    def _partial(self, context: grpc.ServicerContext, partial: Partial, inputs: Any) -> Any:
        detail = provider_pb2.ErrorResourceInitFailed(
            id=partial.id, properties=to_struct(partial.state), reasons=[str(partial)], inputs=inputs
        )
        status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(partial))
        status.details.add().Pack(detail)
        # The engine keeps the id and the state that it finds in this trailer.
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.UNKNOWN, str(partial))


def serve(standin: Standin) -> None:
    """Serves the engine until it ends this process: the port, alone on a line, goes to standard output."""
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=16),
        options=[("grpc.max_receive_message_length", 400 * 1024 * 1024)],
    )
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(_Servicer(standin), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()

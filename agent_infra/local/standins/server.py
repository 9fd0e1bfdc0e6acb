"""What the provider stand-ins share: a resource's life in plain Python, which `serving` tells the engine of.

A stand-in says that it accepts no secrets, so the engine hands it plain values and marks outputs
secret where the input of the same name was. Unknown values, which exist only in previews, arrive
as `UNKNOWN`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

from google.protobuf import struct_pb2
from pulumi.runtime import rpc

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
    """A resource was made, but not to its end: its id and state must be kept.

    The engine remembers the reasons, and the next `up` updates the resource even where nothing changed.
    `inputs` are what a read found, where it was one.
    """

    def __init__(
        self,
        message: str,
        *,
        id: str,
        state: Properties,
        reasons: Sequence[str] = (),
        inputs: Properties | None = None,
    ) -> None:
        super().__init__(message)
        self.id = id
        self.state = state
        self.reasons = reasons
        self.inputs = inputs


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

"""Where traces go, in OpenTelemetry's own variables: the SDK reads the others of these by itself.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings

from agent_app.settings.kinds import HttpUrl

#: As the SDK reads it; it would log, value and all, what it cannot read.
_HEADER = re.compile(r"[\w!#$%&'*+.^`|~-]+[ \t]*=[\x20\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*", re.ASCII)


def _headers(value: SecretStr) -> SecretStr:
    parts = (part.strip() for part in value.get_secret_value().split(","))
    if not all(_HEADER.fullmatch(part) for part in parts if part):
        raise ValueError("must be name=value pairs with commas between, their values URL-encoded")
    return value


Headers = Annotated[SecretStr, AfterValidator(_headers)]
_ANY_CASE = BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)
Protocol = Annotated[Literal["http/protobuf"], _ANY_CASE]
Exporter = Annotated[Literal["otlp", "none"], _ANY_CASE]
Sampler = Annotated[
    Literal[
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ],
    _ANY_CASE,
]


class TelemetrySettings(BaseSettings):
    """Without an endpoint nothing is traced. The headers may hold a key and are never shown."""

    otlp_endpoint: HttpUrl | None = Field(None, validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")
    otlp_traces_endpoint: HttpUrl | None = Field(None, validation_alias="OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    otlp_headers: Headers | None = Field(None, validation_alias="OTEL_EXPORTER_OTLP_HEADERS")
    otlp_traces_headers: Headers | None = Field(None, validation_alias="OTEL_EXPORTER_OTLP_TRACES_HEADERS")
    otlp_protocol: Protocol = Field("http/protobuf", validation_alias="OTEL_EXPORTER_OTLP_PROTOCOL")
    otlp_traces_protocol: Protocol = Field(
        "http/protobuf", validation_alias="OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
    )
    traces_exporter: Exporter = Field("otlp", validation_alias="OTEL_TRACES_EXPORTER")
    traces_sampler: Sampler = Field("parentbased_always_on", validation_alias="OTEL_TRACES_SAMPLER")
    traces_sampler_arg: float = Field(1.0, ge=0, le=1, validation_alias="OTEL_TRACES_SAMPLER_ARG")
    otel_sdk_disabled: bool = Field(False, validation_alias="OTEL_SDK_DISABLED")

    @property
    def traces_endpoint(self) -> str | None:
        """Where spans are sent, its path included; None where nothing is traced."""
        if self.otel_sdk_disabled or self.traces_exporter == "none":
            return None
        if self.otlp_traces_endpoint is not None:
            return self.otlp_traces_endpoint.get_secret_value()
        if self.otlp_endpoint is not None:
            return f"{self.otlp_endpoint.get_secret_value().rstrip('/')}/v1/traces"
        return None

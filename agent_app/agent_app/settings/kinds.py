"""The kinds of value that settings share."""

from __future__ import annotations

import json
from ipaddress import ip_address
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode


def _url(*schemes: str) -> AfterValidator:
    def check(value: SecretStr) -> SecretStr:
        try:
            parts = urlsplit(value.get_secret_value())
            wrong = parts.scheme not in schemes or not parts.hostname or parts.port == 0
        except ValueError:
            wrong = True
        if wrong:
            raise ValueError(f"must be a URL such as {schemes[0]}://host:port/..., scheme one of {schemes}")
        return value

    return AfterValidator(check)


def _issuer_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        port_is_wrong = parts.port == 0
    except ValueError:
        raise ValueError(_AN_ISSUER) from None
    if not parts.hostname or port_is_wrong or "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(_AN_ISSUER)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise ValueError(f"{_AN_ISSUER}; http is for this machine's own addresses alone")
    return value


_AN_ISSUER = "must be a URL such as https://issuer.example.com/realm, without a login, ? and #"


def is_loopback(host: str) -> bool:
    """Whether a URL's host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listed(value: Any) -> Any:
    """What stands between commas."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _decoded(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        # The error's own text tells the place alone.
        raise ValueError(f"must be a JSON object: {error}") from None


#: Of a mapping: JSON in the variable. Without pydantic-settings' own decoding, whose error ends all others.
FromJson = BeforeValidator(_decoded)
#: Connection URLs are secrets, since outside a fleet they may carry a password.
RedisUrl = Annotated[SecretStr, _url("rediss", "redis")]
DatabaseUrl = Annotated[SecretStr, _url("postgresql", "postgres")]
HttpUrl = Annotated[SecretStr, _url("https", "http")]
IssuerUrl = Annotated[str, AfterValidator(_issuer_url)]
SecretArn = Annotated[str, Field(pattern=r"^arn:[a-z-]+:secretsmanager:[a-z0-9-]+:\d{12}:secret:.+$")]
LogLevel = Literal["debug", "info", "warning", "error"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
#: `vendor:model`, or a model alone whose vendor is guessed; `built-in` answers without a vendor.
ModelName = Annotated[str, Field(min_length=1, max_length=200)]
#: Several values in one variable, with commas between.
Listed = Annotated[tuple[str, ...], NoDecode, BeforeValidator(listed)]

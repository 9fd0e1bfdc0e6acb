"""What stands for the External Secrets operator: reads this environment's Secrets Manager for its pods."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from agent_infra.local.fleets.manifests import Manifests, Object, namespace_of

#: Reads a secret's text: its ARN, the region, and where AWS is.
Reader = Callable[[str, str, Mapping[str, str]], str]

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
#: The operator's own, where an ExternalSecret says none.
_DEFAULT_INTERVAL = "1h0m0s"
#: How soon a look that failed is repeated.
_RETRY_SECONDS = 5.0


@dataclass(frozen=True)
class _Kept:
    """What one ExternalSecret asked for, and what was found."""

    asked: str
    content: Mapping[str, str] | None
    next_look: float


class ExternalSecrets:
    """The Kubernetes secrets that the ExternalSecrets of an environment stand for; in memory alone."""

    def __init__(self, read: Reader | None = None) -> None:
        self._read = read or _from_secrets_manager
        self._kept: dict[tuple[str, str], _Kept] = {}

    def applied(self, now: Manifests, *, aws: Mapping[str, str], fresh: bool) -> Manifests:
        """The manifests with those secrets among them.

        Args:
            now: the manifests as they are written.
            aws: the environment variables that say where AWS is; where there are none nothing is read.
            fresh: whether to look now, whatever the refresh intervals say.
        """
        found: dict[tuple[str, str, str], Object] = {}
        kept: dict[tuple[str, str], _Kept] = {}
        for external in now.of_kind("ExternalSecret"):
            place = (namespace_of(external), external["metadata"]["name"])
            kept[place] = one = self._looked(external, self._kept.get(place), now, aws=aws, fresh=fresh)
            if one.content is not None:
                target = external["spec"].get("target") or {}
                name = target.get("name") or place[1]
                metadata = {"name": name, "namespace": place[0]}
                found["Secret", place[0], name] = {
                    "kind": "Secret",
                    "metadata": metadata,
                    "stringData": dict(one.content),
                }
        self._kept = kept
        return replace(now, objects={**now.objects, **found})

    @property
    def digest(self) -> str:
        """Changes with any content; tells nothing of it."""
        told = json.dumps(
            [[*place, dict(one.content or {})] for place, one in sorted(self._kept.items())], sort_keys=True
        )
        return hashlib.sha256(told.encode()).hexdigest()

    def _looked(
        self,
        external: Object,
        before: _Kept | None,
        now: Manifests,
        *,
        aws: Mapping[str, str],
        fresh: bool,
    ) -> _Kept:
        asked = json.dumps([external["metadata"].get("annotations"), external["spec"]], sort_keys=True)
        same = before is not None and before.asked == asked
        if before is not None and same and not fresh and time.monotonic() < before.next_look:
            return before
        try:
            content = dict(self._content(external, now, aws))
        except Exception:  # noqa: BLE001 - no secret yet, or no AWS: it stays as it was
            old = before.content if before is not None else None
            return _Kept(asked, old, time.monotonic() + _RETRY_SECONDS)
        interval = seconds(external["spec"].get("refreshInterval") or _DEFAULT_INTERVAL)
        return _Kept(asked, content, time.monotonic() + interval if interval else float("inf"))

    def _content(self, external: Object, now: Manifests, aws: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        spec = external["spec"]
        store = now.find("SecretStore", namespace_of(external), spec["secretStoreRef"]["name"])
        if store is None or not aws:
            raise LookupError("there is no store, or nothing to read from")
        region = store["spec"]["provider"]["aws"]["region"]
        for item in spec.get("dataFrom") or []:
            whole = json.loads(self._read(item["extract"]["key"], region, aws))
            yield from ((key, _text(value)) for key, value in whole.items())
        for item in spec.get("data") or []:
            remote = item["remoteRef"]
            text = self._read(remote["key"], region, aws)
            property = remote.get("property")
            yield item["secretKey"], text if property is None else _text(json.loads(text)[property])


def seconds(duration: str) -> float:
    """A duration in Go's notation, such as 1h30m."""
    parts = re.findall(r"([\d.]+)(ms|us|µs|ns|h|m|s)", duration)
    return sum(float(count) * _UNITS[unit] for count, unit in parts)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _from_secrets_manager(arn: str, region: str, aws: Mapping[str, str]) -> str:
    client = _client(region, aws["AWS_ENDPOINT_URL"], aws["AWS_ACCESS_KEY_ID"], aws["AWS_SECRET_ACCESS_KEY"])
    return str(client.get_secret_value(SecretId=arn)["SecretString"])


@functools.cache
def _client(region: str, url: str, key: str, secret: str) -> Any:
    import boto3
    from botocore.config import Config

    config: dict[str, Any] = {
        "proxies": {"http": None},
        "connect_timeout": 2,
        "read_timeout": 5,
        "retries": {"total_max_attempts": 1},
    }
    session: Any = boto3.session.Session(
        aws_access_key_id=key, aws_secret_access_key=secret, region_name=region
    )
    return session.client("secretsmanager", endpoint_url=url, config=Config(**config))

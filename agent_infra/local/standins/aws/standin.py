"""The `aws` provider's stand-in: what the engine asks, answered from the table."""

from __future__ import annotations

import difflib
import json
import threading
from typing import Any

from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.standins.aws import checking, invokes, lifecycle
from agent_infra.local.standins.aws.cloud import Cloud
from agent_infra.local.standins.aws.records import Records
from agent_infra.local.standins.aws.rows import ROWS
from agent_infra.local.standins.aws.table import Row, because
from agent_infra.local.standins.notes import NotSimulated
from agent_infra.local.standins.server import Difference, Found, Properties, StandinError

DEFAULT_REGION = "us-east-1"
#: Settings of the official provider that mean nothing where there is no account to reach.
_IGNORED_SETTINGS = because(
    "there is no account to reach",
    "accessKey allowedAccountIds assumeRoleWithWebIdentity assumeRoles customCaBundle "
    "ec2MetadataServiceEndpoint ec2MetadataServiceEndpointMode endpoints forbiddenAccountIds httpProxy "
    "httpsProxy ignoreTags insecure maxRetries noProxy profile retryMode s3UsEast1RegionalEndpoint "
    "s3UsePathStyle secretKey sharedConfigFiles sharedCredentialsFiles skipCredentialsValidation "
    "skipMetadataApiCheck skipRegionValidation skipRequestingAccountId stsRegion tagPolicyCompliance token "
    "tokenBucketRateLimiterCapacity useDualstackEndpoint useFipsEndpoint userAgents version "
    "pluginDownloadURL",
)
_SETTINGS = {"region", "defaultTags", *_IGNORED_SETTINGS}


class AwsStandin:
    """Serves the AWS resource types of the table from moto's server, and their data from real services."""

    name = "aws"
    version = "7.51.1"

    def __init__(self, environment: LocalEnvironment) -> None:
        self._environment = environment
        self._records = Records(environment)
        self._region = DEFAULT_REGION
        self._default_tags: dict[str, str] = {}
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()

    def configure(self, config: Properties) -> None:
        """Takes the region and the default tags; a setting the official provider does not have is refused."""
        for key in sorted(config.keys() - _SETTINGS):
            close = difflib.get_close_matches(key, _SETTINGS, n=3)
            hint = f" Did you mean {', '.join(close)}?" if close else ""
            raise StandinError(f"aws:{key} is not a setting of the aws provider.{hint}")
        region = _decoded(config.get("region"))
        if isinstance(region, str) and region:
            self._region = region
        tags = _decoded(config.get("defaultTags")) or {}
        self._default_tags = dict(tags.get("tags") or {})

    def check(self, type: str, name: str, olds: Properties, news: Properties) -> Properties:
        return checking.checked(_row(type), name, olds, news)

    def diff(self, type: str, id: str, olds: Properties, state: Properties, news: Properties) -> Difference:
        return checking.compared(_row(type), olds, state, news, self._default_tags)

    def create(self, type: str, name: str, inputs: Properties, *, preview: bool) -> tuple[str, Properties]:
        row = _row(type)
        if preview:
            return "", lifecycle.planned(row, inputs, self._default_tags)
        return lifecycle.create(self._cloud(inputs), row, name, inputs, self._default_tags)

    def read(self, type: str, id: str, inputs: Properties, state: Properties) -> Found | None:
        cloud = self._cloud({**state, **inputs})
        return lifecycle.found(cloud, _row(type), id, inputs, state, self._default_tags)

    def update(
        self, type: str, id: str, olds: Properties, state: Properties, news: Properties, *, preview: bool
    ) -> Properties:
        row = _row(type)
        if preview:
            return lifecycle.updated_preview(row, state, news, self._default_tags)
        cloud = self._cloud({**state, **news})
        return lifecycle.update(cloud, row, id, olds, state, news, self._default_tags)

    def delete(self, type: str, id: str, inputs: Properties, state: Properties) -> None:
        lifecycle.delete(self._cloud({**state, **inputs}), _row(type), id, inputs, state)

    def invoke(self, token: str, args: Properties) -> Properties:
        return invokes.answer(self._cloud(args), token, args)

    def _cloud(self, properties: Properties) -> Cloud:
        region = properties.get("region")
        return Cloud(
            self._environment,
            self._records,
            region if isinstance(region, str) and region else self._region,
            self._clients,
            self._lock,
        )


def _decoded(value: Any) -> Any:
    """A provider's setting: nested ones come as JSON text."""
    if isinstance(value, str) and value[:1] in '{["':
        return json.loads(value)
    return value


def _row(type: str) -> Row:
    row = ROWS.get(type)
    if row is None:
        close = difflib.get_close_matches(type, ROWS, n=3)
        hint = f" Did you mean {', '.join(close)}?" if close else ""
        raise StandinError(
            f"the local cloud has no {type}.{hint} A type is a row of {checking.type_file(type)}, "
            "listed in agent_infra/local/standins/aws/rows.py; on AWS itself the program may use it."
        )
    return row


def not_simulated() -> list[NotSimulated]:
    """Every type and property that is accepted and has no effect locally, for `agent-infra status`."""
    found: list[NotSimulated] = []
    for row in ROWS.values():
        if row.recorded:
            found.append(NotSimulated(row.type, None, row.recorded))
        found += [NotSimulated(row.type, name, reason) for name, reason in row.unsimulated.items()]
    return found

"""What a network may be told: its own options, or an existing VPC to adopt."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

import pulumi
from pydantic import AfterValidator, field_validator, model_validator

from agent_infra.aws.alarms import Alarms
from agent_infra.aws.arns import KmsKeyArn
from agent_infra.aws.cidr import FEWEST_ZONES, MOST_ZONES, parse_cidr
from agent_infra.aws.log_retention import RetentionDays
from agent_infra.component import Args, MaybeOutput, shaped

SubnetKind = Literal["public", "private", "isolated"]
GatewayService = Literal["s3", "dynamodb"]

_SERVICE = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*")
_GATEWAY_SERVICES = ("s3", "dynamodb")
#: https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
_LONGEST_KEY, _LONGEST_VALUE = 128, 256
_TAG_TEXT = re.compile(r"[\w .:/=+@-]*")
#: What only a VPC that is made here can be told.
_OF_A_NEW_VPC = ("cidr", "zones", "nat", "flow_log_retention_days", "discovery", "subnet_tags")


def _checked_cidr(text: str) -> str:
    parse_cidr(text)
    return text


def tag_problem(key: str, value: str) -> str | None:
    """What is wrong with a tag, in a sentence; None where nothing is."""
    if not 1 <= len(key) <= _LONGEST_KEY or len(value) > _LONGEST_VALUE:
        return f"a tag's key has 1 to {_LONGEST_KEY} characters and its value at most {_LONGEST_VALUE}"
    if key.lower().startswith("aws:"):
        return "tags that begin with aws: are AWS's own; begin it otherwise"
    if not _TAG_TEXT.fullmatch(key) or not _TAG_TEXT.fullmatch(value):
        return "a tag has letters, digits, spaces and _ . : / = + - @"
    return None


def endpoint_child(service: str) -> str:
    """The end of the name of a service's endpoint: `ecr.api` is `ecr-api`."""
    return service.replace(".", "-")


def _checked_id(kind: str, value: MaybeOutput[str]) -> MaybeOutput[str]:
    if isinstance(value, str) and not re.fullmatch(rf"{kind}-[0-9a-f]{{8,17}}", value):
        raise ValueError(f"{value!r} is not an id; say one such as {kind}-0a1b2c3d4e5f60718")
    return value


class ExistingNetwork(Args):
    """A VPC that is there already. It is looked up and used, and stays as it is."""

    vpc_id: MaybeOutput[str]
    private_subnet_ids: Sequence[MaybeOutput[str]]
    """Where nodes are: two or more, in two zones or more, with a way out (NAT or endpoints)."""
    public_subnet_ids: Sequence[MaybeOutput[str]] = ()
    """For load balancers that the internet reaches."""
    isolated_subnet_ids: Sequence[MaybeOutput[str]] = ()
    """Where data services are; the private ones where none is said."""
    route_table_ids: Sequence[MaybeOutput[str]] = ()
    """The route tables that `gateway_endpoints` are added to."""

    @field_validator("vpc_id")
    @classmethod
    def _vpc(cls, id: MaybeOutput[str]) -> MaybeOutput[str]:
        return _checked_id("vpc", id)

    @field_validator("private_subnet_ids", "public_subnet_ids", "isolated_subnet_ids")
    @classmethod
    def _subnets(cls, ids: Sequence[MaybeOutput[str]]) -> Sequence[MaybeOutput[str]]:
        return _each_once("subnet", ids)

    @field_validator("route_table_ids")
    @classmethod
    def _tables(cls, ids: Sequence[MaybeOutput[str]]) -> Sequence[MaybeOutput[str]]:
        return _each_once("rtb", ids)

    @model_validator(mode="after")
    def _enough(self) -> Self:
        # With no isolated ones the private ones are taken.
        for name in ("private_subnet_ids", *(["isolated_subnet_ids"] if self.isolated_subnet_ids else [])):
            count = len(getattr(self, name))
            if count < FEWEST_ZONES:
                raise ValueError(
                    f"{name}: {count} is not enough for a cluster or a data service; "
                    f"say {FEWEST_ZONES} or more, in as many zones"
                )
        return self


def _each_once(kind: str, ids: Sequence[MaybeOutput[str]]) -> Sequence[MaybeOutput[str]]:
    plain = [_checked_id(kind, id) for id in ids if not isinstance(id, pulumi.Output)]
    if len(set(plain)) != len(plain):
        raise ValueError("an id is said twice; say each once")
    return ids


class NetworkOptions(Args):
    """What an environment may say about its network."""

    cidr: Annotated[str, AfterValidator(_checked_cidr)] = "10.0.0.0/16"
    """The VPC's range: private, /16 to /22. Changing it replaces everything inside."""
    zones: int | Sequence[str] = 3
    """How many zones, 2 to 6, of the region's first; or their names: [eu-central-1a, eu-central-1b]. One more
    adds subnets and moves none; another name in a place replaces that place's subnets."""
    nat: Literal["none", "one", "per-zone"] = "one"
    """How private subnets reach the internet. Each NAT gateway costs about 35 USD a month plus traffic.
    `per-zone` outlives the loss of a zone; with `none` nodes need VPC endpoints for all that they call."""
    gateway_endpoints: Sequence[GatewayService] | None = None
    """Services that are reached without NAT and for free: s3, dynamodb. Where it is not said, s3 for a VPC
    that is made here and none for an adopted one."""
    interface_endpoints: Sequence[str] = ()
    """AWS services that are reached at private addresses, by their short names: [ecr.api, ecr.dkr, sts, sqs,
    secretsmanager, logs, eks-auth]. Each costs about 7.30 USD a month in each zone, and 0.01 USD a GB."""
    flow_log_retention_days: RetentionDays | None = 30
    """How long the record of accepted and refused connections is kept, about 0.50 USD a GB to write; null
    keeps none, and deletes what there is."""
    discovery: bool = True
    """Whether subnets carry the tags by which `cluster_name`'s Karpenter and load balancers find them."""
    subnet_tags: Mapping[SubnetKind, Mapping[str, str]] = {}
    """More tags for the subnets of a kind: {public: {...}, private: {...}, isolated: {...}}."""
    existing: ExistingNetwork | None = None
    """A VPC to adopt instead of making one. Taking it up in a stack that has made a VPC deletes that one."""

    @field_validator("zones")
    @classmethod
    def _possible_zones(cls, zones: int | Sequence[str]) -> int | Sequence[str]:
        count = zones if isinstance(zones, int) else len(zones)
        if not FEWEST_ZONES <= count <= MOST_ZONES:
            raise ValueError(f"{count} zones are not possible; say {FEWEST_ZONES} to {MOST_ZONES}")
        if not isinstance(zones, int) and len(set(zones)) != count:
            raise ValueError("a zone is named twice; name each once")
        return zones

    @field_validator("gateway_endpoints")
    @classmethod
    def _gateways_once(cls, services: Sequence[GatewayService] | None) -> Sequence[GatewayService] | None:
        if services is not None and len(set(services)) != len(services):
            raise ValueError("a service is named twice; name each once")
        return services

    @field_validator("interface_endpoints")
    @classmethod
    def _possible_services(cls, services: Sequence[str]) -> Sequence[str]:
        for service in services:
            if service in _GATEWAY_SERVICES:
                raise ValueError(
                    f"{service} has a gateway endpoint, which is free; say it in `gateway_endpoints`"
                )
            if service.startswith(("com.amazonaws.", "aws.")):
                short = service.split(".", 3)[-1]
                raise ValueError(f"the region is added here; say the short name alone, such as {short}")
            if not _SERVICE.fullmatch(service):
                raise ValueError(f"{service!r} is no service's short name; say one such as ecr.api or sqs")
        if len(set(map(endpoint_child, services))) != len(services):
            raise ValueError("a service is named twice; name each once")
        return services

    @field_validator("subnet_tags")
    @classmethod
    def _possible_tags(
        cls, tags: Mapping[SubnetKind, Mapping[str, str]]
    ) -> Mapping[SubnetKind, Mapping[str, str]]:
        for kind, more in tags.items():
            for key, value in more.items():
                if problem := tag_problem(key, value):
                    raise ValueError(f"{kind}: {key!r}: {problem}")
        return tags

    @model_validator(mode="after")
    def _adopted_is_left_alone(self) -> Self:
        if self.existing is None:
            return self
        for name in _OF_A_NEW_VPC:
            value = getattr(self, name)
            if value != NetworkOptions.model_fields[name].default:
                raise ValueError(
                    f"{name}: {value!r} cannot be done to an adopted VPC, which stays as it is; "
                    f"leave `{name}` out, or `existing`, to have a VPC made"
                )
        if self.gateway_endpoints and not self.existing.route_table_ids:
            raise ValueError(
                f"gateway_endpoints: {', '.join(self.gateway_endpoints)} in an adopted VPC needs the tables "
                "that lead to it; add `existing.route_table_ids`, or leave `gateway_endpoints` out"
            )
        return self


class NetworkArgs(NetworkOptions):
    """The arguments of `Network`."""

    cluster_name: (
        Annotated[
            str, shaped(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", "an EKS cluster's name, such as agents-prod")
        ]
        | None
    ) = None
    """The EKS cluster that is to find the subnets by their tags; changed in place."""
    kms_key_arn: MaybeOutput[KmsKeyArn] | None = None
    """A KMS key of one's own for the flow logs, changed in place; its policy must let CloudWatch Logs use it.
    Without it CloudWatch's own encryption, which is free."""
    alarms: Alarms | None = None
    """Whom to tell when a NAT gateway has no ports left or drops packets; None watches nothing."""
    tags: Mapping[str, str] = {}

"""The functions of the provider that a program may call."""

from __future__ import annotations

import base64
import json
import secrets
import string
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from agent_infra.local.standins.aws import ec2_lookups, eks
from agent_infra.local.standins.aws.cloud import ACCOUNT, PARTITION, Cloud
from agent_infra.local.standins.aws.values import without_none
from agent_infra.local.standins.server import Properties, StandinError


def _region(cloud: Cloud, args: Properties) -> Properties:
    name = args.get("name") or cloud.region
    return {
        "id": name,
        "name": name,
        "region": name,
        "description": name,
        "endpoint": f"ec2.{name}.amazonaws.com",
    }


def _caller(cloud: Cloud, _args: Properties) -> Properties:
    answer = cloud.call("sts", "get_caller_identity")
    return {
        "accountId": answer["Account"],
        "arn": answer["Arn"],
        "userId": answer["UserId"],
        "id": answer["Account"],
    }


def _partition(_cloud: Cloud, _args: Properties) -> Properties:
    return {
        "id": PARTITION,
        "partition": PARTITION,
        "dnsSuffix": "amazonaws.com",
        "reverseDnsPrefix": "com.amazonaws",
    }


def _zones(cloud: Cloud, args: Properties) -> Properties:
    filters = [{"Name": item["name"], "Values": item["values"]} for item in args.get("filters") or []]
    zones = cloud.call("ec2", "describe_availability_zones", Filters=filters)["AvailabilityZones"]
    state = args.get("state")
    kept = sorted(
        (
            zone
            for zone in zones
            if (not state or zone["State"] == state)
            and zone["ZoneName"] not in (args.get("excludeNames") or [])
            and zone["ZoneId"] not in (args.get("excludeZoneIds") or [])
        ),
        key=lambda zone: str(zone["ZoneName"]),
    )
    return {
        **args,
        "id": cloud.region,
        "region": cloud.region,
        "names": [zone["ZoneName"] for zone in kept],
        "zoneIds": [zone["ZoneId"] for zone in kept],
        "groupNames": sorted({zone.get("GroupName") or cloud.region for zone in kept}),
    }


def _password(_cloud: Cloud, args: Properties) -> Properties:
    """As GetRandomPassword: letters, digits and punctuation, one of each kind that is not excluded."""
    kinds = {
        "excludeLowercase": string.ascii_lowercase,
        "excludeUppercase": string.ascii_uppercase,
        "excludeNumbers": string.digits,
        "excludePunctuation": string.punctuation,
    }
    excluded = args.get("excludeCharacters") or ""
    alphabets = [
        "".join(character for character in kind if character not in excluded)
        for name, kind in kinds.items()
        if not args.get(name)
    ]
    alphabets = [alphabet for alphabet in alphabets if alphabet]
    every = "".join(alphabets) + (" " if args.get("includeSpace") else "")
    length = int(args.get("passwordLength") or 32)
    if not every:
        raise StandinError("every character is excluded: leave at least one kind of them.")
    chosen = [secrets.choice(every) for _ in range(length)]
    if args.get("requireEachIncludedType", True):
        places = secrets.SystemRandom().sample(range(length), min(length, len(alphabets)))
        for place, alphabet in zip(places, alphabets, strict=False):
            chosen[place] = secrets.choice(alphabet)
    return {**args, "id": "password", "randomPassword": "".join(chosen)}


def _registry(cloud: Cloud, args: Properties) -> Properties:
    answer = cloud.call("ecr", "get_authorization_token")["authorizationData"][0]
    user, _, password = base64.b64decode(answer["authorizationToken"]).decode().partition(":")
    return {
        **args,
        "id": cloud.region,
        "authorizationToken": answer["authorizationToken"],
        "expiresAt": str(answer["expiresAt"]),
        "proxyEndpoint": answer["proxyEndpoint"],
        "userName": user,
        "password": password,
    }


def _cluster_token(_cloud: Cloud, args: Properties) -> Properties:
    expires = datetime.now(UTC) + timedelta(minutes=14)
    text = f"{args['name']}:{expires.isoformat()}"
    token = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    return {"id": args["name"], "name": args["name"], "token": f"k8s-aws-v1.{token}"}


def _principals(items: list[Any]) -> Any:
    if any(item["type"] == "*" for item in items):
        return "*"
    found: dict[str, list[str]] = {}
    for item in items:
        found.setdefault(item["type"], []).extend(item["identifiers"])
    return {kind: _scalar(sorted(names, reverse=True)) for kind, names in found.items()}


def _scalar(values: list[str]) -> Any:
    return values[0] if len(values) == 1 else values


def _conditions(items: list[Any]) -> Properties:
    found: Properties = {}
    for item in items:
        found.setdefault(item["test"], {})[item["variable"]] = _scalar(item["values"])
    return found


def _statement(item: Properties) -> Properties:
    said: Properties = {"Sid": item.get("sid") or None, "Effect": item.get("effect") or "Allow"}
    for name, key in (
        ("actions", "Action"),
        ("notActions", "NotAction"),
        ("resources", "Resource"),
        ("notResources", "NotResource"),
    ):
        if item.get(name):
            said[key] = _scalar(sorted(item[name], reverse=True))
    for name, key in (("principals", "Principal"), ("notPrincipals", "NotPrincipal")):
        if item.get(name):
            said[key] = _principals(item[name])
    if item.get("conditions"):
        said["Condition"] = _conditions(item["conditions"])
    return without_none(said)


def _documents(texts: list[str] | None) -> list[Any]:
    found: list[Any] = []
    for text in texts or []:
        if text:
            statements = json.loads(text).get("Statement", [])
            found += statements if isinstance(statements, list) else [statements]
    return found


def _policy_document(_cloud: Cloud, args: Properties) -> Properties:
    """As the official provider: sources first, then the statements, then overrides by their `sid`."""
    statements = _documents(args.get("sourcePolicyDocuments"))
    for item in [
        *(_statement(each) for each in args.get("statements") or []),
        *_documents(args.get("overridePolicyDocuments")),
    ]:
        sid = item.get("Sid")
        statements = [other for other in statements if not sid or other.get("Sid") != sid] + [item]
    document: Properties = {"Version": args.get("version") or "2012-10-17"}
    if args.get("policyId"):
        document["Id"] = args["policyId"]
    document["Statement"] = statements
    text = json.dumps(document, indent=2)
    return {
        **args,
        "id": str(zlib.crc32(text.encode())),
        "json": text,
        "minifiedJson": json.dumps(document, separators=(",", ":")),
    }


INVOKES: dict[str, Callable[[Cloud, Properties], Properties]] = {
    "aws:index/getRegion:getRegion": _region,
    "aws:index/getCallerIdentity:getCallerIdentity": _caller,
    "aws:index/getPartition:getPartition": _partition,
    "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
    "aws:secretsmanager/getRandomPassword:getRandomPassword": _password,
    "aws:ec2/getVpc:getVpc": ec2_lookups.vpc,
    "aws:ec2/getSubnet:getSubnet": ec2_lookups.subnet,
    "aws:ecr/getAuthorizationToken:getAuthorizationToken": _registry,
    "aws:eks/getCluster:getCluster": eks.look_up,
    "aws:eks/getClusterAuth:getClusterAuth": _cluster_token,
    "aws:iam/getPolicyDocument:getPolicyDocument": _policy_document,
}


def answer(cloud: Cloud, token: str, args: Properties) -> Properties:
    """What the function returns.

    Raises:
        StandinError: the local cloud has no such function.
    """
    function = INVOKES.get(token)
    if function is None:
        raise StandinError(
            f"the local cloud has no {token}. Known are {', '.join(sorted(INVOKES))} "
            f"(in agent_infra/local/standins/aws/invokes.py); account {ACCOUNT} is all there is to ask about."
        )
    return without_none(function(cloud, args))

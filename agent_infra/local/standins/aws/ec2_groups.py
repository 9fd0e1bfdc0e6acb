"""EC2: security groups and their rules."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from agent_infra.local.standins.aws.cloud import Cloud
from agent_infra.local.standins.aws.table import NO_EFFECT, AutoName, Call, Input, Row, Tags, because
from agent_infra.local.standins.aws.values import SET
from agent_infra.local.standins.server import Properties, StandinError

EC2_TAGS = Tags(
    Call("create_tags", {"Resources": ["{id}"]}),
    Call("delete_tags", {"Resources": ["{id}"]}),
    keys_parameter="Tags",
    remove_whole=True,
)


def listed_tags(id: str) -> Tags:
    """Tags by their own call, where the resource is read some other way."""
    filters = [{"Name": "resource-id", "Values": [id]}]
    return Tags(
        EC2_TAGS.write,
        EC2_TAGS.remove,
        Call("describe_tags", {"Filters": filters}, "Tags"),
        keys_parameter="Tags",
        remove_whole=True,
    )


_DIRECTIONS = ("ingress", "egress")
_ANY_PROTOCOL = "-1"


def _permissions(rule: Properties, group: str) -> list[Properties]:
    """One inline rule as AWS's permissions, each with one source: what rules are made of."""
    base: Properties = {"IpProtocol": str(rule.get("protocol", _ANY_PROTOCOL)).lower().replace("all", "-1")}
    if base["IpProtocol"] != _ANY_PROTOCOL:
        base["FromPort"], base["ToPort"] = int(rule.get("fromPort") or 0), int(rule.get("toPort") or 0)
    said = {"Description": rule["description"]} if rule.get("description") else {}
    groups = [*(rule.get("securityGroups") or []), *([group] if rule.get("self") else [])]
    return [
        *({**base, "IpRanges": [{"CidrIp": cidr, **said}]} for cidr in rule.get("cidrBlocks") or []),
        *({**base, "Ipv6Ranges": [{"CidrIpv6": cidr, **said}]} for cidr in rule.get("ipv6CidrBlocks") or []),
        *(
            {**base, "PrefixListIds": [{"PrefixListId": item, **said}]}
            for item in rule.get("prefixListIds") or []
        ),
        *({**base, "UserIdGroupPairs": [{"GroupId": item, **said}]} for item in groups),
    ]


def _live_permissions(entries: Iterable[Any]) -> list[Properties]:
    """AWS merges rules; here they are apart again, each with one source."""
    found = []
    for entry in entries:
        base: Properties = {"IpProtocol": entry["IpProtocol"]}
        if entry["IpProtocol"] != _ANY_PROTOCOL:
            base["FromPort"], base["ToPort"] = entry.get("FromPort", 0), entry.get("ToPort", 0)
        sources = {
            "IpRanges": "CidrIp",
            "Ipv6Ranges": "CidrIpv6",
            "PrefixListIds": "PrefixListId",
            "UserIdGroupPairs": "GroupId",
        }
        for key, name in sources.items():
            for source in entry.get(key) or []:
                said = {"Description": source["Description"]} if source.get("Description") else {}
                found.append({**base, key: [{name: source[name], **said}]})
    return found


def _inline(permission: Properties, group: str) -> Properties:
    """A live permission as a program would write it."""
    rule: Properties = {
        "protocol": permission["IpProtocol"],
        "fromPort": permission.get("FromPort", 0),
        "toPort": permission.get("ToPort", 0),
    }
    names = {
        "IpRanges": ("CidrIp", "cidrBlocks"),
        "Ipv6Ranges": ("CidrIpv6", "ipv6CidrBlocks"),
        "PrefixListIds": ("PrefixListId", "prefixListIds"),
        "UserIdGroupPairs": ("GroupId", "securityGroups"),
    }
    for key, (name, property) in names.items():
        for source in permission.get(key, []):
            if source[name] == group:
                rule["self"] = True
            else:
                rule[property] = [source[name]]
            if source.get("Description"):
                rule["description"] = source["Description"]
    return rule


def _keys(permissions: Iterable[Properties]) -> dict[str, Properties]:
    return {json.dumps(permission, sort_keys=True): permission for permission in permissions}


def _group(cloud: Cloud, id: str) -> Any:
    groups = cloud.call("ec2", "describe_security_groups", GroupIds=[id])["SecurityGroups"]
    return groups[0]


def _live_of(live: Any, direction: str) -> list[Properties]:
    return _live_permissions(live["IpPermissions" if direction == "ingress" else "IpPermissionsEgress"])


def _set_rules(cloud: Cloud, id: str, _olds: Properties, news: Properties, changed: set[str]) -> None:
    live = _group(cloud, id)
    for direction in _DIRECTIONS:
        if direction not in changed or direction not in news:
            continue
        there = _keys(_live_of(live, direction))
        wanted = _keys(part for rule in news[direction] for part in _permissions(rule, id))
        for key, permission in there.items():
            if key not in wanted:
                operation = f"revoke_security_group_{direction}"
                cloud.call("ec2", operation, GroupId=id, IpPermissions=[permission])
        for key, permission in wanted.items():
            if key not in there:
                operation = f"authorize_security_group_{direction}"
                cloud.call("ec2", operation, GroupId=id, IpPermissions=[permission])


def _group_created(cloud: Cloud, _name: str, id: str, inputs: Properties) -> None:
    """As the official provider: the "allow all" egress that AWS adds is taken away."""
    rules = {direction: inputs.get(direction, []) for direction in _DIRECTIONS}
    _set_rules(cloud, id, {}, rules, set(_DIRECTIONS))


def _group_rules(_cloud: Cloud, id: str, live: Any, known: Properties) -> Properties:
    """Only where the program lists them: otherwise they are resources of their own."""
    more: Properties = {}
    for direction in _DIRECTIONS:
        if direction not in known:
            continue
        there = _live_of(live, direction)
        given = known[direction] or []
        as_given = _keys(part for rule in given for part in _permissions(rule, id))
        alike = as_given.keys() == _keys(there).keys()
        more[direction] = given if alike else [_inline(permission, id) for permission in there]
    return more


_ARN = {"arn": "arn:aws:ec2:{region}:{account}:security-group/{id}", "ownerId": "OwnerId"}
_READ = Call("describe_security_groups", {"GroupIds": ["{id}"]}, "SecurityGroups")
_RULES = {direction: Input(computed=True, form=SET) for direction in _DIRECTIONS}

SECURITY_GROUP = Row(
    type="aws:ec2/securityGroup:SecurityGroup",
    service="ec2",
    inputs={
        "description": Input("Description", replaces=True, default="Managed by Pulumi"),
        **_RULES,
        "name": Input("GroupName", replaces=True),
        "namePrefix": Input(replaces=True),
        "vpcId": Input("VpcId", replaces=True, computed=True),
    },
    unsimulated=because(NO_EFFECT, "revokeRulesOnDelete"),
    outputs=_ARN,
    create=Call("create_security_group"),
    id="{GroupId}",
    read=_READ,
    after_create=_group_created,
    more=_group_rules,
    update_with=_set_rules,
    delete=Call("delete_security_group", {"GroupId": "{id}"}),
    tags=EC2_TAGS,
    autoname=AutoName(prefix_property="namePrefix"),
)


def _adopt(cloud: Cloud, _name: str, inputs: Properties) -> str:
    filters = [{"Name": "group-name", "Values": ["default"]}]
    if inputs.get("vpcId"):
        filters.append({"Name": "vpc-id", "Values": [inputs["vpcId"]]})
    groups = cloud.call("ec2", "describe_security_groups", Filters=filters)["SecurityGroups"]
    if not groups:
        raise StandinError(f"vpcId {inputs.get('vpcId')}: it has no default security group.")
    id: str = groups[0]["GroupId"]
    return id


DEFAULT_SECURITY_GROUP = Row(
    type="aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
    service="ec2",
    inputs={**_RULES, "vpcId": Input(live="VpcId", replaces=True, computed=True)},
    unsimulated=because(NO_EFFECT, "revokeRulesOnDelete"),
    outputs={**_ARN, "name": "GroupName", "description": "Description"},
    create_with=_adopt,
    read=_READ,
    after_create=_group_created,
    more=_group_rules,
    update_with=_set_rules,
    tags=EC2_TAGS,
    # AWS lets nobody delete it: it is adopted, and left as it is at the end.
)

_RULE = {
    "cidrIpv4": "CidrIpv4",
    "cidrIpv6": "CidrIpv6",
    "description": "Description",
    "fromPort": "FromPort",
    "ipProtocol": "IpProtocol",
    "prefixListId": "PrefixListId",
    "referencedSecurityGroupId": "ReferencedGroupId",
    "toPort": "ToPort",
}
_SOURCES = ("cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId")


def _one_source(inputs: Properties) -> list[tuple[str, str]]:
    given = [name for name in _SOURCES if inputs.get(name)]
    if len(given) == 1:
        return []
    what = f"{' and '.join(given)} were given" if given else "none was given"
    return [("cidrIpv4", f"a rule has exactly one of {', '.join(_SOURCES)}; {what}.")]


def _rule_permission(inputs: Properties) -> Properties:
    kinds = {
        "cidrIpv4": ("IpRanges", "CidrIp"),
        "cidrIpv6": ("Ipv6Ranges", "CidrIpv6"),
        "prefixListId": ("PrefixListIds", "PrefixListId"),
        "referencedSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
    }
    permission: Properties = {"IpProtocol": inputs["ipProtocol"]}
    for name in ("fromPort", "toPort"):
        if inputs.get(name) is not None:
            permission[_RULE[name]] = inputs[name]
    for name, (key, inner) in kinds.items():
        if inputs.get(name):
            said = {"Description": inputs["description"]} if inputs.get("description") else {}
            permission[key] = [{inner: inputs[name], **said}]
    return permission


def _back(rule: Any) -> Properties:
    found = {name: rule.get(path) for name, path in _RULE.items() if name not in _SOURCES}
    for name in _SOURCES:
        found[name] = rule.get(_RULE[name])
    if not found["referencedSecurityGroupId"]:
        found["referencedSecurityGroupId"] = (rule.get("ReferencedGroupInfo") or {}).get("GroupId")
    return {name: value for name, value in found.items() if value not in (None, "")}


def _rule_row(type: str, direction: str) -> Row:
    is_egress = direction == "egress"

    def create(cloud: Cloud, _name: str, inputs: Properties) -> str:
        answer = cloud.call(
            "ec2", f"authorize_security_group_{direction}",
            GroupId=inputs["securityGroupId"], IpPermissions=[_rule_permission(inputs)],
        )  # fmt: skip
        id: str = answer["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        return id

    def read(cloud: Cloud, id: str, _known: Properties) -> Properties | None:
        rules = cloud.call("ec2", "describe_security_group_rules", SecurityGroupRuleIds=[id])
        for rule in rules["SecurityGroupRules"]:
            if rule["SecurityGroupRuleId"] == id and rule["IsEgress"] == is_egress:
                live = {**_back(rule), "securityGroupId": rule["GroupId"], "securityGroupRuleId": id}
                if live["ipProtocol"] == _ANY_PROTOCOL:
                    live = {key: value for key, value in live.items() if key not in ("fromPort", "toPort")}
                return {**live, "arn": cloud.arn("ec2", f"security-group-rule/{id}")}
        return None

    def update(cloud: Cloud, id: str, _olds: Properties, news: Properties, changed: set[str]) -> None:
        if changed:
            rule = {_RULE[name]: news[name] for name in _RULE if news.get(name) is not None}
            entry = {"SecurityGroupRuleId": id, "SecurityGroupRule": rule}
            cloud.call(
                "ec2", "modify_security_group_rules",
                GroupId=news["securityGroupId"], SecurityGroupRules=[entry],
            )  # fmt: skip

    return Row(
        type=type,
        service="ec2",
        inputs={
            **{name: Input() for name in _RULE},
            "ipProtocol": Input(required=True),
            "securityGroupId": Input(required=True, replaces=True),
        },
        more_outputs="arn securityGroupRuleId",
        create_with=create,
        read_with=read,
        update_with=update,
        delete=Call(
            f"revoke_security_group_{direction}",
            {"GroupId": "{securityGroupId}", "SecurityGroupRuleIds": ["{id}"]},
        ),
        tags=listed_tags("{id}"),
        prepare=_one_source,
    )


INGRESS_RULE = _rule_row("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "ingress")
EGRESS_RULE = _rule_row("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", "egress")

ROWS = (SECURITY_GROUP, DEFAULT_SECURITY_GROUP, INGRESS_RULE, EGRESS_RULE)

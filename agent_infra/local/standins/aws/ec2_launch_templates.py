"""EC2: launch templates. A change makes a new version of one, as on AWS."""

from __future__ import annotations

from typing import Any, Final

from agent_infra.local.standins.aws.cloud import Cloud
from agent_infra.local.standins.aws.ec2_groups import listed_tags
from agent_infra.local.standins.aws.table import AutoName, Call, Input, Row, because
from agent_infra.local.standins.aws.values import SET, without_none
from agent_infra.local.standins.server import Properties

#: Texts in Pulumi and booleans in the API, where a text may also be empty.
_TEXTS: Final = ("encrypted", "deleteOnTermination", "ebsOptimized")
_NOT_SIMULATED: Final = "no instance is started from it; it is kept in the state"


def _to(value: Any, name: str = "") -> Any:
    """A structured input in the API's words: deviceName becomes DeviceName, and "true" true."""
    if isinstance(value, dict) and name == "tags":
        return [{"Key": key, "Value": item} for key, item in value.items()]
    if isinstance(value, dict):
        return {
            f"{key[0].upper()}{key[1:]}": _to(item, key) for key, item in value.items() if item is not None
        }
    if isinstance(value, list):
        return [_to(item, name) for item in value]
    return value == "true" if name in _TEXTS and isinstance(value, str) else value


def _back(value: Any, name: str = "") -> Any:
    if isinstance(value, list) and name == "tags":
        return {item["Key"]: item["Value"] for item in value}
    if isinstance(value, dict):
        lowered = {f"{key[0].lower()}{key[1:]}": item for key, item in value.items()}
        return {key: _back(item, key) for key, item in lowered.items()}
    if isinstance(value, list):
        return [_back(item, name) for item in value]
    return str(value).lower() if name in _TEXTS and isinstance(value, bool) else value


def _data(path: str, **more: Any) -> Input:
    return Input(f"LaunchTemplateData.{path}", to=_to, back=_back, **more)


def _new_version(cloud: Cloud, id: str, _olds: Properties, news: Properties, changed: set[str]) -> None:
    names = {
        name: spec.api.partition(".")[2]
        for name, spec in LAUNCH_TEMPLATE.inputs.items()
        if spec.api.startswith("LaunchTemplateData.")
    }
    if not changed & {*names, "description"}:
        return
    data = {path: _to(news[name]) for name, path in names.items() if news.get(name) is not None}
    made = cloud.call(
        "ec2",
        "create_launch_template_version",
        **without_none(
            {
                "LaunchTemplateId": id,
                "VersionDescription": news.get("description"),
                "LaunchTemplateData": data,
            }
        ),
    )["LaunchTemplateVersion"]
    if news.get("updateDefaultVersion"):
        number = str(made["VersionNumber"])
        cloud.call("ec2", "modify_launch_template", LaunchTemplateId=id, DefaultVersion=number)


def _versions(cloud: Cloud, id: str, _live: Any, _known: Properties) -> Properties:
    (found,) = cloud.call("ec2", "describe_launch_templates", LaunchTemplateIds=[id])["LaunchTemplates"]
    return {
        "name": found["LaunchTemplateName"],
        "latestVersion": found["LatestVersionNumber"],
        "defaultVersion": found["DefaultVersionNumber"],
    }


_OF_TEMPLATE = {"LaunchTemplateId": "{id}"}
LAUNCH_TEMPLATE = Row(
    type="aws:ec2/launchTemplate:LaunchTemplate",
    service="ec2",
    inputs={
        "blockDeviceMappings": _data("BlockDeviceMappings"),
        "defaultVersion": Input(computed=True),
        "description": Input("VersionDescription"),
        "imageId": _data("ImageId"),
        "instanceType": _data("InstanceType"),
        "keyName": _data("KeyName"),
        "metadataOptions": _data("MetadataOptions"),
        "monitoring": _data("Monitoring"),
        "name": Input("LaunchTemplateName", replaces=True),
        "namePrefix": Input(replaces=True),
        "tagSpecifications": _data("TagSpecifications", form=SET),
        "updateDefaultVersion": Input(),
        "vpcSecurityGroupIds": _data("SecurityGroupIds", form=SET),
    },
    unsimulated=because(
        _NOT_SIMULATED,
        "capacityReservationSpecification cpuOptions creditSpecification disableApiStop "
        "disableApiTermination ebsOptimized enclaveOptions hibernationOptions iamInstanceProfile "
        "instanceInitiatedShutdownBehavior instanceMarketOptions instanceRequirements kernelId "
        "licenseSpecifications maintenanceOptions networkInterfaces networkPerformanceOptions placement "
        "privateDnsNameOptions ramDiskId secondaryInterfaces securityGroupNames userData",
    ),
    outputs={"arn": "arn:aws:ec2:{region}:{account}:launch-template/{id}"},
    more_outputs="latestVersion",
    create=Call("create_launch_template", result="LaunchTemplate"),
    id="{LaunchTemplateId}",
    read=Call(
        "describe_launch_template_versions",
        {**_OF_TEMPLATE, "Versions": ["$Latest"]},
        "LaunchTemplateVersions",
    ),
    update_with=_new_version,
    more=_versions,
    delete=Call("delete_launch_template", _OF_TEMPLATE),
    tags=listed_tags("{id}"),
    autoname=AutoName(limit=128, prefix_property="namePrefix"),
)

ROWS = (LAUNCH_TEMPLATE,)

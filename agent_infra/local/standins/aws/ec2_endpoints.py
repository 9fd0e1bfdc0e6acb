"""EC2: VPC endpoints and flow logs."""

from __future__ import annotations

from typing import Any

from agent_infra.local.standins.aws.cloud import Cloud
from agent_infra.local.standins.aws.ec2_groups import EC2_TAGS
from agent_infra.local.standins.aws.table import MOTO_DROPS, Call, Input, Row, because
from agent_infra.local.standins.aws.values import POLICY, SET
from agent_infra.local.standins.server import Properties

_ARN = "arn:aws:ec2:{region}:{account}"


def _members(groups: list[Any]) -> list[str]:
    return [group["GroupId"] for group in groups]


_ENDPOINT_LISTS = {
    "routeTableIds": "RouteTableIds",
    "securityGroupIds": "SecurityGroupIds",
    "subnetIds": "SubnetIds",
}


def _update_endpoint(cloud: Cloud, id: str, olds: Properties, news: Properties, changed: set[str]) -> None:
    how: Properties = {}
    for name, path in _ENDPOINT_LISTS.items():
        if name in changed:
            old, new = set(olds.get(name) or []), set(news.get(name) or [])
            how[f"Add{path}"], how[f"Remove{path}"] = sorted(new - old), sorted(old - new)
    if "policy" in changed and news.get("policy"):
        how["PolicyDocument"] = news["policy"]
    how = {name: value for name, value in how.items() if value}
    if how:
        cloud.call("ec2", "modify_vpc_endpoint", VpcEndpointId=id, **how)


VPC_ENDPOINT = Row(
    type="aws:ec2/vpcEndpoint:VpcEndpoint",
    service="ec2",
    inputs={
        "policy": Input("PolicyDocument", computed=True, form=POLICY),
        "privateDnsEnabled": Input("PrivateDnsEnabled", live="", computed=True),
        "routeTableIds": Input("RouteTableIds", computed=True, form=SET),
        "securityGroupIds": Input("SecurityGroupIds", live="Groups", computed=True, form=SET, back=_members),
        "serviceName": Input("ServiceName", replaces=True),
        "subnetIds": Input("SubnetIds", computed=True, form=SET),
        "vpcEndpointType": Input("VpcEndpointType", replaces=True, default="Gateway"),
        "vpcId": Input("VpcId", required=True, replaces=True),
    },
    unsimulated=because(
        MOTO_DROPS,
        "autoAccept dnsOptions ipAddressType resourceConfigurationArn serviceNetworkArn serviceRegion "
        "subnetConfigurations",
    ),
    outputs={
        "arn": _ARN + ":vpc-endpoint/{id}",
        "ownerId": "OwnerId",
        "networkInterfaceIds": "NetworkInterfaceIds",
        "requesterManaged": "RequesterManaged",
        "state": "State",
    },
    gone_when=("State", ("deleted", "deleting")),
    create=Call("create_vpc_endpoint", result="VpcEndpoint"),
    id="{VpcEndpointId}",
    read=Call("describe_vpc_endpoints", {"VpcEndpointIds": ["{id}"]}, "VpcEndpoints"),
    update_with=_update_endpoint,
    delete=Call("delete_vpc_endpoints", {"VpcEndpointIds": ["{id}"]}),
    tags=EC2_TAGS,
)


def _create_flow_log(cloud: Cloud, _name: str, inputs: Properties) -> str:
    sources = {"vpcId": "VPC", "subnetId": "Subnet", "eniId": "NetworkInterface"}
    source = next(name for name in sources if inputs.get(name))
    how = {
        "DeliverLogsPermissionArn": inputs.get("iamRoleArn"),
        "LogDestination": inputs.get("logDestination"),
        "LogDestinationType": inputs.get("logDestinationType"),
        "LogFormat": inputs.get("logFormat"),
        "MaxAggregationInterval": inputs.get("maxAggregationInterval"),
        "TrafficType": inputs.get("trafficType"),
    }
    how = {name: value for name, value in how.items() if value is not None}
    answer = cloud.call(
        "ec2", "create_flow_logs", ResourceIds=[inputs[source]], ResourceType=sources[source], **how
    )
    id: str = answer["FlowLogIds"][0]
    return id


def _one_source(inputs: Properties) -> list[tuple[str, str]]:
    if sum(bool(inputs.get(name)) for name in ("vpcId", "subnetId", "eniId")) == 1:
        return []
    return [("vpcId", "a flow log is of exactly one of vpcId, subnetId and eniId: set one of them.")]


def _flow_log_source(_cloud: Cloud, _id: str, live: Any, _known: Properties) -> Properties:
    resource = live["ResourceId"]
    kinds = {"vpc-": "vpcId", "subnet-": "subnetId", "eni-": "eniId"}
    return {name: resource for prefix, name in kinds.items() if resource.startswith(prefix)}


FLOW_LOG = Row(
    type="aws:ec2/flowLog:FlowLog",
    service="ec2",
    inputs={
        "eniId": Input(replaces=True),
        "iamRoleArn": Input(live="DeliverLogsPermissionArn", replaces=True),
        "logDestination": Input(live="LogDestination", replaces=True, computed=True),
        "logDestinationType": Input(live="LogDestinationType", replaces=True, default="cloud-watch-logs"),
        "logFormat": Input(live="LogFormat", replaces=True, computed=True),
        "maxAggregationInterval": Input(live="MaxAggregationInterval", replaces=True, default=600),
        "subnetId": Input(replaces=True),
        "trafficType": Input(live="TrafficType", replaces=True),
        "vpcId": Input(replaces=True),
    },
    unsimulated=because(
        MOTO_DROPS,
        "deliverCrossAccountRole destinationOptions regionalNatGatewayId tagFieldSpecifications "
        "transitGatewayAttachmentId transitGatewayId",
    ),
    unsimulated_replaces="deliverCrossAccountRole destinationOptions",
    outputs={"arn": _ARN + ":vpc-flow-log/{id}"},
    create_with=_create_flow_log,
    read=Call("describe_flow_logs", {"FlowLogIds": ["{id}"]}, "FlowLogs"),
    delete=Call("delete_flow_logs", {"FlowLogIds": ["{id}"]}),
    tags=EC2_TAGS,
    prepare=_one_source,
    more=_flow_log_source,
)

ROWS = (VPC_ENDPOINT, FLOW_LOG)

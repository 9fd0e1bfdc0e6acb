"""EKS: Fargate profiles, which have no updates but of their tags."""

from __future__ import annotations

from agent_infra.local.standins.aws.table import AutoName, Call, Input, Row, Tags
from agent_infra.local.standins.aws.values import SET

_OF_PROFILE = {"clusterName": "{clusterName}", "fargateProfileName": "{fargateProfileName}"}
FARGATE_PROFILE = Row(
    type="aws:eks/fargateProfile:FargateProfile",
    service="eks",
    inputs={
        "clusterName": Input("clusterName", required=True, replaces=True),
        "fargateProfileName": Input("fargateProfileName", replaces=True),
        "podExecutionRoleArn": Input("podExecutionRoleArn", required=True, replaces=True),
        "selectors": Input("selectors", required=True, replaces=True, form=SET),
        "subnetIds": Input("subnets", replaces=True, computed=True, form=SET),
    },
    outputs={"arn": "fargateProfileArn", "status": "status"},
    create=Call("create_fargate_profile"),
    id="{clusterName}:{fargateProfileName}",
    id_parts=("clusterName", "fargateProfileName"),
    read=Call("describe_fargate_profile", _OF_PROFILE, "fargateProfile"),
    delete=Call("delete_fargate_profile", _OF_PROFILE),
    tags=Tags(Call(""), Call(""), live="tags", as_map=True, create_parameter="tags", recorded=True),
    autoname=AutoName("fargateProfileName", limit=100),
)

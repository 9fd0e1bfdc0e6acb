"""Lambda: who may call a function. There are no functions here: what is said of them is recorded."""

from __future__ import annotations

from agent_infra.local.standins.aws.table import AutoName, Input, Row

PERMISSION = Row(
    type="aws:lambda/permission:Permission",
    service="lambda",
    recorded="there is no function that it could be on: it is recorded",
    inputs={
        "action": Input(required=True, replaces=True),
        "eventSourceToken": Input(replaces=True),
        "function": Input(required=True, replaces=True),
        "functionUrlAuthType": Input(replaces=True),
        "invokedViaFunctionUrl": Input(replaces=True),
        "principal": Input(required=True, replaces=True),
        "principalOrgId": Input(replaces=True),
        "qualifier": Input(replaces=True),
        "sourceAccount": Input(replaces=True),
        "sourceArn": Input(replaces=True),
        "statementId": Input(replaces=True),
        "statementIdPrefix": Input(replaces=True),
    },
    id="{statementId}",
    autoname=AutoName("statementId", limit=100, prefix_property="statementIdPrefix"),
)

ROWS = (PERMISSION,)

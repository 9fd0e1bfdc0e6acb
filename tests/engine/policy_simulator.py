"""Whether an IAM document allows a call: IAM's own rules, on parsed documents.

moto has no `iam:SimulateCustomPolicy`, and of its own evaluation only the matching of actions and
resources can be used here: it takes an `Allow` whose conditions do not hold for a `Deny` of the whole
document, and knows no operator but StringEquals. So each statement is matched by moto without its
conditions, and the conditions are evaluated here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from moto.iam.access_control import IAMPolicyStatement, PermissionResult

Context = Mapping[str, str]

_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda expected, actual: expected == actual,
    "StringLike": lambda expected, actual: fnmatchcase(actual, expected),
    "ArnEquals": lambda expected, actual: fnmatchcase(actual, expected),
    "Bool": lambda expected, actual: expected == actual,
}


def allows(document: str, action: str, resource: str, **context: str) -> bool:
    """Whether an identity's policy allows a call; a context key is written `s3__prefix` for s3:prefix."""
    keys = {key.replace("__", ":"): value for key, value in context.items()}
    results = [
        _result({key: item for key, item in statement.items() if key != "Condition"}, action, resource)
        for statement in statements(document)
        if holds(statement.get("Condition", {}), keys)
    ]
    return PermissionResult.DENIED not in results and PermissionResult.PERMITTED in results


def trusts(document: str, principal: Mapping[str, str], action: str, context: Context) -> bool:
    """Whether a role's trust policy lets a principal take it."""
    return any(
        statement["Effect"] == "Allow"
        and statement["Principal"] == principal
        and action in _listed(statement["Action"])
        and holds(statement.get("Condition", {}), context)
        for statement in statements(document)
    )


def statements(document: str) -> list[dict[str, Any]]:
    parsed: list[dict[str, Any]] = json.loads(document)["Statement"]
    return parsed


def holds(conditions: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    """All operators and keys of a condition; of several values one is enough, and a missing key is none."""
    return all(
        key in context and any(_OPERATORS[operator](value, context[key]) for value in _listed(values))
        for operator, keys in conditions.items()
        for key, values in keys.items()
    )


def _result(statement: dict[str, Any], action: str, resource: str) -> PermissionResult:
    result: PermissionResult = IAMPolicyStatement(statement).is_action_permitted(action, resource)
    return result


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]

"""A fleet's API key, for whoever may read its secret."""

from __future__ import annotations

import json

from agent_infra.automation import exported
from agent_infra.automation.aws_calls import Clients, told
from agent_infra.automation.environments import Environment
from agent_infra.automation.errors import AutomationError


def api_key(environment: Environment, fleet: str | None = None) -> str:
    """One of a fleet's API keys, the first in its secret.

    Args:
        environment: where the fleet runs, on this machine or in the cloud.
        fleet: which, where several have keys.

    Raises:
        AutomationError: the fleet has no keys, its secret cannot be read, or holds something else.
        LocalError: the environment is on this machine, and nothing runs.
    """
    outputs = exported.outputs(environment)
    arns = exported.mapping(outputs, "api_keys_secret_arns")
    if fleet is None and len(arns) == 1:
        (fleet,) = arns
    if fleet not in arns:
        asked, known = repr(fleet) if fleet else "nobody", ", ".join(sorted(arns)) or "none"
        raise AutomationError(
            f"The API keys of {environment.name!r} are those of {known}, and {asked} was asked for: say "
            "--fleet with one of them, or --api-key-env with the variable that holds a key or token."
        )
    region = outputs.get("region") or exported.configured_region(environment)
    with told(environment.name):
        manager = Clients(environment.name, region=region, local=environment.local)("secretsmanager")
        answer = manager.get_secret_value(SecretId=arns[fleet])
    try:
        # Where a key is being changed, the new and the old one stand there with a space between.
        return str(next(iter(json.loads(answer["SecretString"]).values())).split()[0])
    except (LookupError, ValueError, AttributeError, StopIteration):
        raise AutomationError(
            f"The secret {arns[fleet]} holds no API key: put a JSON object of names and keys into it "
            "(docs/agent-service.md, Authentication)."
        ) from None

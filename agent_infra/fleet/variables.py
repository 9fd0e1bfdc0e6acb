"""Environment variables of one's own: what may be in them, and what has a better place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from agent_infra.component import MaybeOutput, shaped
from agent_infra.fleet import llm

VariableName = Annotated[str, shaped(r"[A-Za-z_][A-Za-z0-9_]*", "letters, digits and underscores")]

#: The field that says what the variable would: two places would contradict each other, and what follows
#: from a field (ceilings, permissions) would not follow from the variable. The task contract checks its own.
FIELDS = {
    "AGENT_APP_FLEET": "the fleet's name",
    "AGENT_APP_ENVIRONMENT": "the environment's name",
    "AGENT_APP_PORT": "port",
    "AGENT_APP_LOG_LEVEL": "log_level",
    "AGENT_APP_REDIS_URL": "cache",
    "AGENT_APP_REDIS_SECRET_ARN": "cache",
    "AGENT_APP_DATABASE_URL": "database",
    "AGENT_APP_DATABASE_SECRET_ARN": "database",
    "AGENT_APP_DATABASE_POOL_SIZE": "database",
    "AGENT_APP_QUEUE_URL": "queue",
    "AGENT_APP_DEAD_LETTER_URL": "queue",
    "AGENT_APP_WORKER_CONCURRENCY": "worker.concurrency",
    "AGENT_APP_MAX_ATTEMPTS": "queue.max_receives",
    "AGENT_APP_ARTIFACT_BUCKET": "the bucket's settings",
    "AGENT_APP_ARTIFACT_PREFIX": "the bucket's settings",
    "AGENT_APP_LLM_SECRET_ARN": "llm.secret (in a program llm_secret_arn)",
    "AGENT_APP_API_KEYS_SECRET_ARN": "auth.api_keys_secret (in a program api_keys_secret_arn)",
    "AGENT_APP_OIDC_ISSUER": "oidc",
    "AGENT_APP_OIDC_AUDIENCE": "oidc",
    "AGENT_APP_OIDC_OWNER_CLAIM": "oidc",
    "AGENT_APP_OIDC_SCOPE": "oidc",
    "AGENT_APP_REQUESTS_PER_MINUTE": "requests_per_minute",
    "AGENT_APP_USAGE_READERS": "usage_readers",
    "AWS_REGION": "region",
    **{variable: f"llm.{field}" for field, variable in llm.VARIABLES.items()},
}

#: Names that say of themselves that a secret is in them, such as OPENAI_API_KEY, GITHUB_TOKEN or DB_PASSWORD;
#: OpenTelemetry's headers carry keys too.
_SECRET = re.compile(
    r"(?:^|_)(?:API_?KEY|ACCESS_KEY|PRIVATE_KEY|SECRET_KEY|SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|"
    r"OTLP(?:_\w+)?_HEADERS)$",
    re.IGNORECASE,
)
_LOGIN = re.compile(r"://[^/@\s]*:[^/@\s]+@")


def holds_secret(name: str, value: Any = None) -> bool:
    """Whether a variable is, by its name or its value, a secret."""
    return _SECRET.search(name) is not None or (isinstance(value, str) and _LOGIN.search(value) is not None)


def _checked(variables: Mapping[str, MaybeOutput[str]]) -> Mapping[str, MaybeOutput[str]]:
    found = [
        f"{name} is what `{FIELDS[name]}` says; say it there"
        if FIELDS[name].isascii() and " " not in FIELDS[name]
        else f"{name} is said by {FIELDS[name]}; leave it out"
        for name in variables
        if name in FIELDS
    ]
    secret = [name for name, value in variables.items() if name not in FIELDS and holds_secret(name, value)]
    if secret:
        # Never the value: it is in this message's reader's log.
        found.append(
            f"{', '.join(secret)} may hold a secret, and these variables are readable in the Deployment "
            "and in the settings; put it into a secret in Secrets Manager and name that in `synced_secrets`, "
            "or take it out of a Kubernetes secret by `secret_environment` (a model vendor's key: the secret "
            "of `llm`)"
        )
    if found:
        raise ValueError("; and ".join(found))
    return variables


#: For a mapping of variables that are no secret and that no field says.
PLAIN = AfterValidator(_checked)

"""The settings that a fleet's pods read from their environment."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from agent_infra.fleet import llm
from agent_infra.fleet.agents_args import agents_variable
from agent_infra.fleet.args import AgentFleetArgs
from agent_infra.outputs import computed


def values(args: AgentFleetArgs, *, fleet: str, environment: str) -> dict[str, Any]:
    """The pods' environment variables that are no secret; what is not given is left out."""
    contract = args.numbers()
    found = {
        "AGENT_APP_FLEET": fleet,
        "AGENT_APP_ENVIRONMENT": environment,
        "AGENT_APP_HOST": "0.0.0.0",  # noqa: S104 - inside the pod's own network
        "AGENT_APP_PORT": str(args.port),
        "AGENT_APP_LOG_LEVEL": args.log_level,
        "AGENT_APP_TASK_TIMEOUT": str(args.task_timeout),
        "AGENT_APP_DRAIN_SECONDS": str(contract.drain),
        "AGENT_APP_VISIBILITY_SECONDS": args.queue and str(contract.hold),
        "AGENT_APP_REDIS_URL": args.cache and args.cache.url,
        "AGENT_APP_REDIS_SECRET_ARN": args.cache and args.cache.secret_arn,
        "AGENT_APP_DATABASE_URL": args.database and args.database.url,
        "AGENT_APP_DATABASE_SECRET_ARN": args.database and args.database.secret_arn,
        "AGENT_APP_DATABASE_POOL_SIZE": _text(args.database.pool_size if args.database else None),
        "AGENT_APP_QUEUE_URL": args.queue and args.queue.url,
        "AGENT_APP_DEAD_LETTER_URL": args.queue and args.queue.dead_letter_url,
        "AGENT_APP_WORKER_CONCURRENCY": args.queue and str(args.worker.concurrency),
        "AGENT_APP_MAX_ATTEMPTS": args.queue and str(args.queue.max_receives),
        "AGENT_APP_ARTIFACT_BUCKET": args.bucket and args.bucket.name,
        "AGENT_APP_ARTIFACT_PREFIX": args.bucket and args.bucket.prefix_of(fleet),
        "AGENT_APP_LLM_SECRET_ARN": args.llm_secret_arn,
        "AGENT_APP_API_KEYS_SECRET_ARN": args.api_keys_secret_arn,
        "AGENT_APP_OIDC_ISSUER": args.oidc and args.oidc.issuer,
        "AGENT_APP_OIDC_AUDIENCE": args.oidc and args.oidc.audience,
        "AGENT_APP_OIDC_OWNER_CLAIM": args.oidc and args.oidc.owner_claim,
        "AGENT_APP_OIDC_SCOPE": args.oidc and args.oidc.scope,
        **llm.variables(args.llm),
        "AGENT_APP_AGENTS": agents_variable(args.agents, default=args.default_agent),
        "AGENT_APP_REQUESTS_PER_MINUTE": _text(args.requests_per_minute),
        "AGENT_APP_USAGE_READERS": ",".join(args.usage_readers) or None,
        "AWS_REGION": args.region,
        **args.extra_environment,
    }
    return {name: value for name, value in found.items() if value is not None}


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def held(
    spec: Mapping[str, Any], values: Mapping[str, Any], *, containers: Collection[str]
) -> dict[str, Any]:
    """A pod's spec that holds the fleet's settings itself, as variables of its own containers.

    A ConfigMap would be changed in place: a pod of the old revision that is started anew would take the new
    one's settings, and going back to a revision would not bring its settings back. A variable that a
    container says itself stays; a setting wins over a secret's key in `envFrom`.
    """
    literal = {name: _literal(value) for name, value in sorted(values.items())}
    parts = {
        part: [_with_variables(each, literal) if each["name"] in containers else each for each in spec[part]]
        for part in ("initContainers", "containers")
        if part in spec
    }
    return {**spec, **parts}


def _with_variables(container: Mapping[str, Any], literal: Mapping[str, Any]) -> dict[str, Any]:
    said = list(container.get("env", ()))
    theirs = {entry["name"] for entry in said}
    # First and sorted: what was said itself may refer to them, and the same settings are the same pods.
    env = [{"name": name, "value": value} for name, value in literal.items() if name not in theirs]
    return {**container, "env": [*env, *said]}


def _literal(value: Any) -> Any:
    """A value that reaches the container as it is: Kubernetes reads `$(NAME)`, and `$$` as `$`."""
    return computed(value, lambda known: None if known is None else str(known).replace("$", "$$"))

"""How a fleet's pods follow secrets that change; pure functions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import pulumi

from agent_infra.fleet.args import AgentFleetArgs, SyncedSecret
from agent_infra.outputs import computed


def secrets_hash(args: AgentFleetArgs) -> pulumi.Output[str] | None:
    """Changes whenever a secret does that the program knows, so that the pods are replaced then.

    Whoever may read Deployments sees it, and not the secrets: of values it is made by scrypt, so that a
    short one cannot be guessed from it either. None where there is nothing to follow.
    """
    if not (args.kubernetes_secrets or args.secret_versions):
        return None
    hashed = _slow_hash if args.kubernetes_secrets else _hash
    known = [args.kubernetes_secrets, args.secret_versions]
    made = computed(known, lambda value: hashed(json.dumps(value, sort_keys=True)))
    return pulumi.Output.unsecret(pulumi.Output.from_input(made))


def _hash(text: str) -> str:
    """Of versions alone, which are no secret: 50 ms less for each fleet."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _slow_hash(text: str) -> str:
    return hashlib.scrypt(text.encode(), salt=b"agent-infra/secrets-hash", n=2**14, r=8, p=1, dklen=8).hex()


def reloaded_with(secrets: Sequence[SyncedSecret]) -> dict[str, Any]:
    """The annotation by which Reloader replaces the pods when one of the secrets changes.

    See https://github.com/stakater/Reloader.
    """
    if not secrets:
        return {}
    names = pulumi.Output.all(*(secret.name for secret in secrets)).apply(",".join)
    return {"secret.reloader.stakater.com/reload": names}


def environment_sources(secrets: Sequence[SyncedSecret]) -> list[dict[str, Any]]:
    """The entries of a container's `envFrom`."""
    return [
        {"secretRef": {"name": secret.name, **({"optional": True} if secret.optional else {})}}
        for secret in secrets
        if secret.environment
    ]

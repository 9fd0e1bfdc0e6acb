"""What is wrong with an environment's fleets as a whole, and how it is told of many of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from agent_infra.component import Problem, unknown_name
from agent_infra.fleet import shared_state
from agent_infra.fleet.placement_args import architecture_problem, image_architectures
from agent_infra.fleet.references import moves, pinning
from agent_infra.fleet.scaling_check import scaling_problems
from agent_infra.parts import API_KEYS, FleetSettings

if TYPE_CHECKING:
    from agent_infra.settings import Settings

#: More at once nobody reads; the first ones are corrected, and the rest told then.
_MOST_PROBLEMS = 20
_MOST_NAMES = 3
_OF_A_FLEET = re.compile(r"(?P<before>(?:[\w-]+:)?fleets)\.(?P<fleet>[a-z0-9-]+)\.(?P<rest>.+)")


def fleet_problems(settings: Settings) -> Iterator[Problem]:
    """What does not fit together; time grows with the number of fleets alone."""
    synced: dict[str, str] = {}
    for name, fleet in settings.fleets.items():
        for path, message in (
            *_of_secrets(settings, fleet),
            *_of_auth(settings, fleet),
            *_of_identity(settings, fleet),
            *_of_stores(settings, fleet),
            *_of_image(settings, name, fleet),
            *_of_scaling(settings, fleet),
        ):
            yield Problem(f"fleets.{name}.{path}", message)
        yield from _of_names(settings, name, fleet, synced)


def told(problems: Sequence[Problem]) -> list[str]:
    """The problems as lines: what many fleets have in common once, and no more than anybody reads."""
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for problem in problems:
        match = _OF_A_FLEET.fullmatch(problem.path)
        key = (match["before"], match["rest"], problem.message) if match else ("", "", str(problem))
        grouped.setdefault(key, []).append(match["fleet"] if match else "")
    lines = []
    for (before, rest, message), fleets in grouped.items():
        if not before:
            lines.append(message)
        elif len(fleets) == 1:
            lines.append(f"{before}.{fleets[0]}.{rest}: {message}")
        else:
            lines.append(f"{before}.*.{rest}: {message} (in {few(fleets)})")
    if len(lines) > _MOST_PROBLEMS:
        lines = [*lines[:_MOST_PROBLEMS], f"... and {len(lines) - _MOST_PROBLEMS} more"]
    return lines


def few(names: Sequence[str]) -> str:
    """Names for people: the first ones, and how many there are besides."""
    shown = ", ".join(names[:_MOST_NAMES])
    return shown if len(names) <= _MOST_NAMES else f"{shown} and {len(names) - _MOST_NAMES} more"


def _of_secrets(settings: Settings, fleet: FleetSettings) -> Iterator[tuple[str, str]]:
    for path, keys in (
        ("llm.secret", [fleet.llm.secret]),
        ("auth.api_keys_secret", [fleet.auth.api_keys_secret]),
        ("synced_secrets", fleet.synced_secrets),
    ):
        # What was written is not repeated: people put the secret itself where its name belongs.
        if any(key is not None and key not in fleet.secrets and key not in settings.secrets for key in keys):
            known = [*fleet.secrets, *(key for key in settings.secrets if key not in fleet.secrets)]
            yield (
                path,
                f"names a secret that `secrets` does not have (it has {few(known) or 'none'}); add it there, "
                "such as `secrets: {llm: {}}`",
            )


def _of_image(settings: Settings, name: str, fleet: FleetSettings) -> Iterator[tuple[str, str]]:
    image, shared = fleet.image, settings.images
    if not isinstance(image, str):
        if name in shared:
            yield "image", f"it is built into the repository that images.{name} has; rename one"
    elif image in shared:
        built = image_architectures(shared[image])
        for path, placement in (
            ("placement", fleet.placement),
            ("worker.placement", fleet.worker.placement if fleet.worker else None),
        ):
            if placement is not None and (problem := architecture_problem(placement, built)):
                yield path, problem
    elif shared and not set(image) & set("/:@"):
        yield (
            "image",
            f"{image!r} {unknown_name(image, list(shared))}, or a ready image with its registry and tag, "
            f"such as docker.io/library/{image}:1",
        )
    elif settings.protect and moves(image):
        yield "image", f"{pinning(image)}; `protect: false` takes tags"


def _of_auth(settings: Settings, fleet: FleetSettings) -> Iterator[tuple[str, str]]:
    auth = fleet.auth
    if auth.api_keys is False and auth.oidc is None and settings.environment != "local":
        yield (
            "auth",
            "says `api_keys: false` and no `oidc`: anybody could ask, and the service lets anybody ask in "
            "the environment `local` alone; add `oidc: {issuer: ..., audience: ...}`, or leave `api_keys` "
            "out",
        )
    if API_KEYS in fleet.secrets and fleet.makes_api_keys(settings.environment):
        yield (
            f"secrets.{API_KEYS}",
            f"is the name of the secret that is made for its API keys; add `auth: {{api_keys_secret: "
            f"{API_KEYS}}}` to use yours for them, or rename it",
        )


def _of_identity(settings: Settings, fleet: FleetSettings) -> Iterator[tuple[str, str]]:
    cluster = settings.cluster
    if cluster is None:
        return
    known = cluster.existing is not None and cluster.existing.oidc_provider_arn is not None
    if fleet.identity == "irsa" and not (cluster.irsa or known):
        yield "identity", "is irsa, and the cluster has no OIDC provider; add `irsa: true` to `cluster`"
    if fleet.identity == "pod-identity" and cluster.compute.on_fargate_alone:
        yield (
            "identity",
            "is pod-identity, which Fargate does not have; say `identity: irsa`, and `irsa: true` in "
            "`cluster`",
        )


def _of_stores(settings: Settings, fleet: FleetSettings) -> Iterator[tuple[str, str]]:
    if fleet.worker is not None and settings.database is None:
        yield (
            "worker",
            "works on tasks, and their results are kept in a database that is not there; add `database: {}`, "
            "or leave `worker` out",
        )
        return
    processes = fleet.replicas.max + (fleet.worker.replicas.max if fleet.worker else 0)
    for sentence in shared_state.missing(
        fleet,
        processes=processes,
        cache=settings.cache is not None,
        database=settings.database is not None,
    ):
        path, _, message = sentence.partition(" ")
        yield path.rstrip(","), message


def _of_scaling(settings: Settings, fleet: FleetSettings) -> Iterator[tuple[str, str]]:
    keda = settings.cluster.keda if settings.cluster else None
    queue = (fleet.queue.existing or True) if fleet.worker is not None else None
    yield from scaling_problems(fleet, fleet.worker, keda=keda, queue=queue)


def _of_names(
    settings: Settings, name: str, fleet: FleetSettings, synced: dict[str, str]
) -> Iterator[Problem]:
    for key in fleet.synced_secrets:
        owner = f"fleets.{name}.secrets.{key}" if key in fleet.secrets else f"secrets.{key}"
        called = fleet.kubernetes_name(name, key)
        if synced.setdefault(called, owner) != owner:
            yield Problem(
                "", f"{synced[called]} and {owner} would both be the Kubernetes secret {called!r}; rename one"
            )
    if fleet.worker is not None and f"{name}-worker" in settings.fleets:
        yield Problem(
            f"fleets.{name}-worker", f"would have the name of the workers of fleets.{name}; rename one"
        )

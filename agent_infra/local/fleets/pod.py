"""A Deployment's pod template as the processes of one replica."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from agent_infra.local.environment import LocalEnvironment, LocalError
from agent_infra.local.fleets.container import process, source
from agent_infra.local.fleets.manifests import Manifests, Object, namespace_of

#: On a Deployment: the Secrets whose change replaces its pods.
RELOADED_WITH = "secret.reloader.stakater.com/reload"


@dataclass(frozen=True)
class Probe:
    """How a container is asked whether it is ready: an HTTP path, or none for a TCP connection."""

    path: str | None
    failures: int = 3


@dataclass(frozen=True)
class Pod:
    """Everything that the processes of one replica are started with, but their port."""

    name: str
    command: tuple[str, ...]
    init_commands: tuple[tuple[str, ...], ...]
    variables: Mapping[str, str]
    init_variables: tuple[Mapping[str, str], ...]
    readiness: Probe
    liveness: Probe | None
    grace_seconds: float
    deadline_seconds: float
    image: str
    source: str = ""
    """Changes with the code behind its command, where that is of this Python's environment."""
    followed: str = ""
    """Changes with what else replaces pods: the template's annotations, and what Reloader watches."""

    @property
    def revision(self) -> str:
        """Changes with anything that the processes depend on; tells nothing of what it is."""
        told = json.dumps(
            [
                self.command,
                self.init_commands,
                dict(self.variables),
                [dict(each) for each in self.init_variables],
                self.image,
                self.source,
                self.followed,
            ],
            sort_keys=True,
        )
        return hashlib.sha256(told.encode()).hexdigest()[:12]


def identity_variables(environment: LocalEnvironment) -> dict[str, str]:
    """What stands for Pod Identity: where AWS is and credentials that only it takes."""
    try:
        url = environment.service("moto")["url"]
    except (LocalError, OSError, KeyError):
        return {}
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def plan(deployment: Object, manifests: Manifests, *, identity: Mapping[str, str]) -> Pod:
    """A Deployment's pod as processes of this machine.

    Args:
        deployment: the object.
        manifests: the ConfigMaps and Secrets it refers to.
        identity: the variables that stand for its Pod Identity.

    Raises:
        CannotRun: a reference leads nowhere, or the container says no command that is here.
    """
    pod = pod_of(deployment)
    spec = pod["spec"]
    container = spec["containers"][0]
    started = process(container, pod, manifests.find, identity=identity)
    inits = [
        process(init, pod, manifests.find, identity=identity) for init in spec.get("initContainers") or []
    ]
    return Pod(
        name=deployment["metadata"]["name"],
        command=started.command,
        init_commands=tuple(init.command for init in inits),
        variables=started.variables,
        init_variables=tuple(init.variables for init in inits),
        readiness=_probe(container.get("readinessProbe")) or Probe(None),
        liveness=_probe(container.get("livenessProbe")),
        grace_seconds=float(spec.get("terminationGracePeriodSeconds", 30)),
        deadline_seconds=min(float(deployment["spec"].get("progressDeadlineSeconds", 60)), 60.0),
        image=str(container.get("image")),
        source=source(container),
        followed=_followed(deployment, manifests),
    )


def pod_of(deployment: Object) -> Object:
    """A Deployment's pod, under the Deployment's own name: which replica it is makes no difference here."""
    template = deployment["spec"]["template"]
    metadata = {**template.get("metadata", {}), "name": deployment["metadata"]["name"]}
    return {"metadata": {**metadata, "namespace": namespace_of(deployment)}, "spec": template["spec"]}


def _followed(deployment: Object, manifests: Manifests) -> str:
    annotations = deployment["spec"]["template"].get("metadata", {}).get("annotations") or {}
    watched = (deployment["metadata"].get("annotations") or {}).get(RELOADED_WITH, "")
    contents = [
        manifests.find("Secret", namespace_of(deployment), name.strip())
        for name in watched.split(",")
        if name.strip()
    ]
    told = json.dumps(
        [annotations, [content and [content.get("data"), content.get("stringData")] for content in contents]]
    )
    return hashlib.sha256(told.encode()).hexdigest()


def _probe(said: Object | None) -> Probe | None:
    if not said:
        return None
    return Probe((said.get("httpGet") or {}).get("path"), int(said.get("failureThreshold", 3)))

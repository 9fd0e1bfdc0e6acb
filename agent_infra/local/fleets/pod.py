"""What a kubelet would work out of a pod template: the command and the environment of a process."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from agent_infra.local.environment import LocalEnvironment, LocalError
from agent_infra.local.fleets.manifests import Manifests, Object, namespace_of
from agent_infra.local.workspace import without_proxy

#: The services of this machine speak no TLS: what a pod would use, and what a local process uses instead.
_WITHOUT_TLS = (
    (re.compile(r"^rediss://"), "redis://"),
    (re.compile(r"\bsslmode=(require|verify-ca|verify-full)\b"), "sslmode=disable"),
)
_RELOADED_WITH = "secret.reloader.stakater.com/reload"
#: https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/.
_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")
_POD_ADDRESS = "127.0.0.1"
_FROM_THE_MACHINE = ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR")


class CannotRun(Exception):
    """A pod that this machine cannot run, and what to do about it."""


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
    template = deployment["spec"]["template"]["spec"]
    container = template["containers"][0]
    inits = template.get("initContainers") or []
    return Pod(
        name=deployment["metadata"]["name"],
        command=_command(container),
        init_commands=tuple(_command(init) for init in inits),
        variables=_variables(container, deployment, manifests, identity),
        init_variables=tuple(_variables(init, deployment, manifests, identity) for init in inits),
        readiness=_probe(container.get("readinessProbe")) or Probe(None),
        liveness=_probe(container.get("livenessProbe")),
        grace_seconds=float(template.get("terminationGracePeriodSeconds", 30)),
        deadline_seconds=min(float(deployment["spec"].get("progressDeadlineSeconds", 60)), 60.0),
        image=str(container.get("image")),
        source=_source(container),
        followed=_followed(deployment, manifests),
    )


def _followed(deployment: Object, manifests: Manifests) -> str:
    annotations = deployment["spec"]["template"].get("metadata", {}).get("annotations") or {}
    watched = (deployment["metadata"].get("annotations") or {}).get(_RELOADED_WITH, "")
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


def _command(container: Object) -> tuple[str, ...]:
    said = [*(container.get("command") or []), *(container.get("args") or [])]
    if not said:
        raise CannotRun(
            f"its container {container['name']!r} leaves the command to the image "
            f"{container.get('image')!r}, which is not run here: say `command` for it."
        )
    beside = Path(sys.executable).parent / said[0]
    found = str(beside) if beside.exists() else shutil.which(said[0])
    if found is None:
        raise CannotRun(
            f"its container {container['name']!r} runs {said[0]!r}, which is neither in this Python's "
            "environment nor on PATH: install it there."
        )
    return (found, *said[1:])


def _source(container: Object) -> str:
    """A digest of the package that has the container's command; '' for a command of another kind."""
    said = [*(container.get("command") or []), *(container.get("args") or [])]
    for script in entry_points(group="console_scripts", name=said[0]):
        spec = find_spec(script.module.partition(".")[0])
        places = spec.submodule_search_locations if spec is not None else None
        files = [file for place in places or () for file in sorted(Path(place).rglob("*")) if file.is_file()]
        total = hashlib.sha256()
        for file in files:
            if "__pycache__" not in file.parts:
                total.update(f"{file}\0{file.stat().st_size}\0".encode() + file.read_bytes())
        return total.hexdigest()
    return ""


def _variables(
    container: Object, deployment: Object, manifests: Manifests, identity: Mapping[str, str]
) -> dict[str, str]:
    namespace = namespace_of(deployment)
    values: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if reference := source.get(key):
                content = _data(manifests, kind, namespace, reference) or {}
                values.update({f"{source.get('prefix', '')}{name}": value for name, value in content.items()})
    for entry in container.get("env") or []:
        value = entry.get("value")
        if value is None and (source := entry.get("valueFrom")):
            value = _referred(source, deployment, manifests)
        elif value is not None:
            value = _expanded(str(value), values)
        if value is not None:
            values[entry["name"]] = str(value)
    plain = {name: _without_tls(value) for name, value in values.items()}
    return {**_node_variables(), **identity, **plain}


def _expanded(value: str, values: Mapping[str, str]) -> str:
    """As the kubelet does: `$(NAME)` is a variable that was said before, `$$` a dollar, all else itself."""
    return _REFERENCE.sub(
        lambda found: "$" if found[1] is None else values.get(found[1], found[0]),
        value,
    )


def _node_variables() -> dict[str, str]:
    """What a process has from the machine and not from its pod: the way to the internet, above all."""
    machine = {name: os.environ[name] for name in _FROM_THE_MACHINE if name in os.environ}
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        **machine,
        **without_proxy(machine),
    }


def _without_tls(value: str) -> str:
    for pattern, replacement in _WITHOUT_TLS:
        value = pattern.sub(replacement, value)
    return value


def _referred(source: Object, deployment: Object, manifests: Manifests) -> str | None:
    namespace = namespace_of(deployment)
    for key, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        if reference := source.get(key):
            content = _data(manifests, kind, namespace, reference)
            if content is not None and reference["key"] in content:
                return content[reference["key"]]
            if reference.get("optional"):
                return None
            raise CannotRun(
                f"it wants the key {reference['key']!r} of the {kind} {reference['name']!r} in namespace "
                f"{namespace!r}, and there is none: create it in the stack."
            )
    path = str((source.get("fieldRef") or {}).get("fieldPath"))
    fields = {
        "metadata.name": deployment["metadata"]["name"],
        "metadata.namespace": namespace,
        "status.podIP": _POD_ADDRESS,
        "status.hostIP": _POD_ADDRESS,
        "spec.nodeName": "localhost",
    }
    return fields.get(path)


def _data(
    manifests: Manifests, kind: str, namespace: str, reference: Mapping[str, Any]
) -> dict[str, str] | None:
    content = manifests.find(kind, namespace, reference["name"])
    if content is None:
        if reference.get("optional"):
            return None
        raise CannotRun(
            f"it wants the {kind} {reference['name']!r} in namespace {namespace!r}, and there is none: "
            "create it in the stack."
        )
    data: dict[str, str] = dict(content.get("data") or {})
    if kind == "Secret":
        data = {key: base64.b64decode(value).decode() for key, value in data.items()}
        data.update(content.get("stringData") or {})
    return data

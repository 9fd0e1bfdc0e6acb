"""What the engine needs to deploy a program to this machine: stand-ins on PATH, a state, a passphrase."""

from __future__ import annotations

import os
import secrets
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from agent_infra.local.environment import ENVIRONMENT_DIR, LocalEnvironment, write_private

STANDINS = ("aws", "kubernetes", "docker", "docker-build")
#: Tells the program that it runs on the local cloud under another environment's settings.
REHEARSAL = "AGENT_INFRA_REHEARSAL"
#: Where people keep the passphrase of their own stacks.
PASSPHRASE = "PULUMI_CONFIG_PASSPHRASE"  # noqa: S105 - a name


def prepare(environment: LocalEnvironment) -> None:
    """Makes the environment's directories, stand-in executables and passphrase where they are missing."""
    environment.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    for directory in (environment.state_dir, environment.logs_dir, environment.manifests_dir):
        directory.mkdir(exist_ok=True)
    if not environment.passphrase_file.exists():
        write_private(environment.passphrase_file, secrets.token_urlsafe(32))
    for name in STANDINS:
        _write_standin(environment.bin_dir / f"pulumi-resource-{name}", name)


def _write_standin(path: Path, name: str) -> None:
    python = shlex.quote(sys.executable)
    text = f'#!/bin/sh\nexec {python} -m agent_infra.local.standins {name} "$@"\n'
    if not path.exists() or path.read_text() != text:
        write_private(path, text)
        path.chmod(0o700)


def variables(
    environment: LocalEnvironment,
    *,
    tool_dirs: Sequence[Path],
    rehearsal: bool = False,
    kubeconfig: Path | None = None,
) -> dict[str, str]:
    """The environment variables under which the engine deploys to this machine and nowhere else.

    `kubeconfig` is that of the API server which takes the Kubernetes objects; without, they go to files.
    """
    # The Python of this environment comes before whatever lies beside the engine.
    path = [environment.bin_dir, Path(sys.executable).parent, *tool_dirs]
    return {
        "PATH": os.pathsep.join([*map(str, path), os.environ.get("PATH", os.defpath)]),
        ENVIRONMENT_DIR: str(environment.root),
        **_cluster(kubeconfig),
        "PULUMI_BACKEND_URL": environment.state_dir.as_uri(),
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(environment.passphrase_file),
        # Its own, so that neither the user's log-in nor their selected stack is touched.
        "PULUMI_HOME": str(environment.root / "pulumi"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        # The stand-ins are the plugins here: an official one must never be fetched in their place.
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
        # The SDKs are large: compiling them at every run would take longer than all else together.
        "PYTHONDONTWRITEBYTECODE": "",
        **({REHEARSAL: "1"} if rehearsal else {}),
        **without_proxy(os.environ),
        **_passphrase(environment),
    }


def _cluster(kubeconfig: Path | None) -> dict[str, str]:
    """Where the objects go, and who is asked how a canary does."""
    if kubeconfig is None:
        return {"AGENT_INFRA_CLUSTER": "agent_infra.local.fleets.cluster:LocalCluster.of_this_process"}
    return {"AGENT_INFRA_KUBECONFIG": str(kubeconfig)}


def _passphrase(environment: LocalEnvironment) -> dict[str, str]:
    """The user's own passphrase, where they have set one, would win over the file's."""
    if PASSPHRASE not in os.environ:
        return {}
    return {PASSPHRASE: environment.passphrase_file.read_text()}


def without_proxy(variables: Mapping[str, str]) -> dict[str, str]:
    """What keeps a proxy that the user has set from being asked for this machine's own addresses."""
    if not any(name.lower().endswith("_proxy") for name in variables):
        return {}
    excepted = variables.get("no_proxy") or variables.get("NO_PROXY") or ""
    value = ",".join(filter(None, ("127.0.0.1", "localhost", excepted)))
    return {"no_proxy": value, "NO_PROXY": value}

"""The fleets of this machine as a canary sees a cluster."""

from __future__ import annotations

import contextlib
import copy
import json
import subprocess
import tempfile
import urllib.request
from collections.abc import Mapping, Sequence

from agent_infra.fleet.canary.cluster import ClusterError, Ended, Pods
from agent_infra.local.environment import LocalEnvironment, LocalError, write_private
from agent_infra.local.fleets import control, manifests
from agent_infra.local.fleets.container import CannotRun
from agent_infra.local.fleets.external_secrets import ExternalSecrets
from agent_infra.local.fleets.pod import identity_variables, plan
from agent_infra.local.fleets.status import ReplicaStatus, read_scales

_ASK_SECONDS = 10.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class LocalCluster:
    """A Deployment's pods are processes that the environment's supervisor runs."""

    def __init__(self, environment: LocalEnvironment) -> None:
        self._environment = environment

    @classmethod
    def of_this_process(cls, _namespace: str) -> LocalCluster:
        """That of the environment which this process was started for; it has one namespace's names.

        Raises:
            ClusterError: it was started for none.
        """
        try:
            return cls(LocalEnvironment.from_variables())
        except LocalError as error:
            raise ClusterError(str(error)) from None

    def scale(self, deployment: str, replicas: int) -> None:
        file = self._environment.scales_file
        scales = read_scales(file)
        if scales.get(deployment, 0) == replicas == 0:
            return
        write_private(file, json.dumps({**scales, deployment: replicas}))
        try:
            control.start(self._environment)
        except LocalError as error:
            raise ClusterError(str(error)) from None

    def pods(self, deployment: str) -> Pods:
        fleet = control.status(self._environment).fleets.get(deployment)
        if fleet is None:
            return Pods(ready=0, restarts=0)
        return Pods(
            ready=fleet.ready,
            restarts=sum(replica.restarts for replica in fleet.replicas),
            wanted=fleet.desired,
        )

    def metrics(self, deployment: str, *, port: int) -> Mapping[str, str]:
        found = {}
        for replica in self._replicas(deployment):
            if not replica.ready:
                continue
            # One that ends meanwhile is no news.
            with contextlib.suppress(OSError, ValueError):
                address = f"http://127.0.0.1:{replica.port}/metrics"
                with _DIRECT.open(address, timeout=_ASK_SECONDS) as answer:
                    found[f"{replica.name}-{replica.pid}"] = answer.read().decode()
        return found

    def run(
        self, deployment: str, command: Sequence[str], *, variables: Mapping[str, str], seconds: float
    ) -> Ended:
        written = manifests.read(self._environment.manifests_dir)
        found = next((each for each in written.deployments() if each["metadata"]["name"] == deployment), None)
        if found is None:
            raise ClusterError(f"there is no Deployment {deployment!r}")
        asked = copy.deepcopy(found)
        asked["spec"]["template"]["spec"]["containers"][0] |= {"command": list(command), "args": []}
        identity = identity_variables(self._environment)
        try:
            pod = plan(asked, ExternalSecrets().applied(written, aws=identity, fresh=True), identity=identity)
        except CannotRun as problem:
            raise ClusterError(f"{deployment}: {problem}") from None
        with tempfile.TemporaryFile(dir=self._environment.logs_dir) as output:
            try:
                ended = subprocess.run(
                    pod.command,
                    env={**pod.variables, **variables},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd="/",
                    timeout=seconds,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return Ended(124, "it did not end in time")
            output.seek(0)
            lines = output.read().decode(errors="replace").split("\n")
        told = [line.strip() for line in lines if line.strip()]
        return Ended(ended.returncode, told[-1] if told else "")

    def _replicas(self, deployment: str) -> list[ReplicaStatus]:
        fleet = control.status(self._environment).fleets.get(deployment)
        return fleet.replicas if fleet else []

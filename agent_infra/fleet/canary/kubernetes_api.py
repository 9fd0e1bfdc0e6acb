"""A namespace of a real cluster, by the Kubernetes API."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import yaml

from agent_infra.fleet.canary.cluster import KUBECONFIG, ClusterError, Ended, Pods
from agent_infra.fleet.fleet_contract import CONTAINER

#: Connecting, and waiting for an answer; in seconds.
_TIMEOUT: Final = (5, 30)
_TRIES: Final = 3
_PAUSE_SECONDS: Final = 2.0
#: Of more pods than this the oldest tell enough.
_MOST_ASKED: Final = 20
_LONGEST_PAGE: Final = 8 * 1024 * 1024
#: Only what does the work, and nothing that keeps it going or sends it traffic.
_LEFT_OUT: Final = ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "ports")
_JOB_KEPT_SECONDS: Final = 3600


class KubernetesCluster:
    """Speaks with the API server as whoever the kubeconfig says.

    That one may do what `up` does, and read pods and their logs, and forward their ports.
    """

    def __init__(self, namespace: str, client: Any) -> None:
        """`client` is an `ApiClient`."""
        from kubernetes import client as api

        self._namespace = namespace
        self._apps = api.AppsV1Api(client)
        self._core = api.CoreV1Api(client)
        self._batch = api.BatchV1Api(client)

    @classmethod
    def connect(cls, namespace: str, *, kubeconfig: str | None) -> KubernetesCluster:
        """By a kubeconfig's text; where there is none, by what `kubectl` would use.

        Raises:
            ClusterError: there is no such thing, or the package that it takes is missing.
        """
        try:
            from kubernetes import config as untyped
        except ImportError:
            raise ClusterError(
                "a canary asks the cluster by the package `kubernetes`, which is not installed: "
                "pip install 'agent-infra[canary]'"
            ) from None
        config: Any = untyped
        try:
            if file := os.environ.get(KUBECONFIG):
                return cls(namespace, config.new_client_from_config(config_file=file))
            if kubeconfig is not None:
                known = yaml.safe_load(kubeconfig)
                return cls(namespace, config.new_client_from_config_dict(known))
            return cls(namespace, config.new_client_from_config())
        except (config.ConfigException, OSError, ValueError, yaml.YAMLError) as error:
            # Its own words could repeat the kubeconfig.
            raise ClusterError(
                f"the kubeconfig cannot be used ({type(error).__name__}): say one in the fleet's "
                "`kubeconfig`, or have `kubectl get pods` work where `up` runs"
            ) from None

    def scale(self, deployment: str, replicas: int) -> None:
        body = {"spec": {"replicas": replicas}}
        try:
            self._ask(self._apps.patch_namespaced_deployment_scale, deployment, self._namespace, body)
        except _NotThere:
            if replicas:
                raise

    def pods(self, deployment: str) -> Pods:
        known = self._found(deployment)
        found = self._alive(known)
        statuses = [status for pod in found for status in pod.status.container_statuses or ()]
        return Pods(
            ready=sum(map(_is_ready, found)),
            restarts=sum(status.restart_count for status in statuses),
            wanted=known.spec.replicas if known else 0,
        )

    def metrics(self, deployment: str, *, port: int) -> Mapping[str, str]:
        ready = [pod for pod in self._alive(self._found(deployment)) if _is_ready(pod)]
        oldest = sorted(ready, key=lambda pod: (pod.metadata.creation_timestamp, pod.metadata.name))
        found = {}
        for pod in oldest[:_MOST_ASKED]:
            # One that goes meanwhile is no news; readiness tells of those that cannot answer.
            with contextlib.suppress(OSError, ValueError, ClusterError):
                found[pod.metadata.name] = self._page(pod.metadata.name, port)
        return found

    def run(
        self, deployment: str, command: Sequence[str], *, variables: Mapping[str, str], seconds: float
    ) -> Ended:
        found = self._ask(self._apps.read_namespaced_deployment, deployment, self._namespace, raw=True)
        name = f"{deployment[:40]}-evaluation-{uuid.uuid4().hex[:6]}"
        job = job_like(found, name, command=command, variables=variables, seconds=seconds)
        self._ask(self._batch.create_namespaced_job, self._namespace, job)
        try:
            return self._ended(name, until=time.monotonic() + seconds + 60)
        finally:
            with contextlib.suppress(ClusterError):
                self._ask(
                    self._batch.delete_namespaced_job,
                    name,
                    self._namespace,
                    propagation_policy="Background",
                )

    def _ended(self, job: str, *, until: float) -> Ended:
        while True:
            status = self._ask(self._batch.read_namespaced_job_status, job, self._namespace).status
            if status.succeeded or status.failed:
                return self._told(job, ok=bool(status.succeeded))
            if time.monotonic() > until:
                return Ended(124, "it did not end in time")
            time.sleep(_PAUSE_SECONDS)

    def _told(self, job: str, *, ok: bool) -> Ended:
        selector = f"batch.kubernetes.io/job-name={job}"
        pods = self._ask(self._core.list_namespaced_pod, self._namespace, label_selector=selector).items
        if not pods:
            return Ended(0 if ok else 124, "")
        text = self._ask(
            self._core.read_namespaced_pod_log, pods[0].metadata.name, self._namespace, tail_lines=20
        )
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return Ended(0 if ok else 1, lines[-1] if lines else "")

    def _found(self, deployment: str) -> Any:
        """The Deployment, or None."""
        try:
            return self._ask(self._apps.read_namespaced_deployment, deployment, self._namespace)
        except _NotThere:
            return None

    def _alive(self, found: Any) -> list[Any]:
        """A Deployment's pods, those that are on their way out left aside."""
        if found is None:
            return []
        selector = ",".join(f"{key}={value}" for key, value in found.spec.selector.match_labels.items())
        pods = self._ask(self._core.list_namespaced_pod, self._namespace, label_selector=selector).items
        return [pod for pod in pods if pod.metadata.deletion_timestamp is None]

    def _page(self, pod: str, port: int) -> str:
        """What /metrics answers. By a forwarded port, which network policies let through."""
        from kubernetes.stream import portforward

        forward = portforward(
            self._core.connect_get_namespaced_pod_portforward, pod, self._namespace, ports=str(port)
        )
        try:
            wire: socket.socket = forward.socket(port)
            wire.setblocking(True)
            wire.settimeout(_TIMEOUT[1])
            wire.sendall(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            head, _, body = b"".join(_chunks(wire)).partition(b"\r\n\r\n")
        finally:
            forward.close()
        if head.split(b" ", 2)[1:2] != [b"200"]:
            raise ValueError("it did not answer with 200")
        return body.decode()

    def _ask(self, call: Any, *args: Any, raw: bool = False, **options: Any) -> Any:
        """One call of the API, tried again where the server is busy or away."""
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        for tries_left in reversed(range(_TRIES)):
            try:
                if raw:
                    answer = call(*args, _preload_content=False, _request_timeout=_TIMEOUT, **options)
                    return json.loads(answer.data)
                return call(*args, _request_timeout=_TIMEOUT, **options)
            except ApiException as error:
                if error.status == 404:
                    raise _NotThere(f"{call.__name__}: there is no {args[0]}") from None
                busy = error.status in {0, 429} or error.status >= 500
                if not busy or not tries_left:
                    raise ClusterError(f"{call.__name__}: {error.status} {error.reason}") from None
            except HTTPError as error:
                if not tries_left:
                    raise ClusterError(
                        f"the cluster's API server does not answer ({type(error).__name__})"
                    ) from None
            time.sleep(_PAUSE_SECONDS)
        raise AssertionError("the last try returned or raised")


class _NotThere(ClusterError):
    """The object does not exist."""


def _is_ready(pod: Any) -> bool:
    return any(
        condition.type == "Ready" and condition.status == "True" for condition in pod.status.conditions or ()
    )


def _chunks(wire: socket.socket) -> Iterator[bytes]:
    taken = 0
    while taken < _LONGEST_PAGE and (chunk := wire.recv(65536)):
        taken += len(chunk)
        yield chunk


def job_like(
    deployment: Mapping[str, Any],
    name: str,
    *,
    command: Sequence[str],
    variables: Mapping[str, str],
    seconds: float,
) -> dict[str, Any]:
    """A Job whose one pod is like a Deployment's, but runs a command and gets no traffic."""
    template = deployment["spec"]["template"]
    spec = template["spec"]
    # Beside it nothing: what never ends would keep the Job from ending.
    first = next((each for each in spec["containers"] if each["name"] == CONTAINER), spec["containers"][0])
    kept = {key: value for key, value in first.items() if key not in _LEFT_OUT}
    said = [{"name": name, "value": value} for name, value in variables.items()]
    env = [entry for entry in kept.get("env", ()) if entry["name"] not in variables]
    container = {**kept, "command": list(command), "args": [], "env": [*env, *said]}
    # With a kind's label it would be behind the Service; without it no network policy of the fleet's is its.
    labels = {"app.kubernetes.io/managed-by": "agent-infra", "agent-infra/evaluation": name}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": int(seconds),
            "ttlSecondsAfterFinished": _JOB_KEPT_SECONDS,
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    **{key: value for key, value in spec.items() if key != "topologySpreadConstraints"},
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": 10,
                    "containers": [container],
                },
            },
        },
    }

"""A namespace of a real cluster, by the Kubernetes API."""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, Final

import yaml

from agent_infra.fleet.canary.cluster import KUBECONFIG, ClusterError, Ended, Pods
from agent_infra.fleet.canary.jobs import job_like

#: Connecting, and waiting for an answer; in seconds.
_TIMEOUT: Final = (5, 30)
_TRIES: Final = 3
_PAUSE_SECONDS: Final = 2.0
#: Of more pods than this the oldest tell enough.
_MOST_ASKED: Final = 20
_LONGEST_PAGE: Final = 8 * 1024 * 1024


def _config(who: str) -> Any:
    """The client's reader of kubeconfigs; the package is an extra."""
    try:
        from kubernetes import config
    except ImportError:
        raise ClusterError(
            f"{who} by the package `kubernetes`, which is not installed: pip install 'agent-infra[canary]'"
        ) from None
    return config


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
        config = _config("a canary asks the cluster")
        try:
            if file := os.environ.get(KUBECONFIG):
                return cls.by_file(namespace, Path(file))
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

    @classmethod
    def by_file(cls, namespace: str, kubeconfig: Path) -> KubernetesCluster:
        """By the current context of a kubeconfig that is a file."""
        config = _config("the cluster is asked")
        return cls(namespace, config.new_client_from_config(config_file=str(kubeconfig)))

    @classmethod
    def by_context(
        cls, namespace: str, *, context: str | None, cluster: str | None, region: str | None
    ) -> KubernetesCluster:
        """By a context of the kubeconfig that `kubectl` uses: the named one, or the current one.

        The current one may be of another environment: it has to name the cluster somewhere.

        Raises:
            ClusterError: it does not, it cannot be used, or the package that it takes is missing.
        """
        config = _config("the cluster is asked")
        way = f"`aws eks update-kubeconfig --name {cluster} --region {region}`" if cluster else "`--context`"
        try:
            said = config.list_kube_config_contexts()[1]
            if context is None and cluster and cluster not in json.dumps(said):
                raise ClusterError(
                    f"kubectl's current context {said['name']!r} does not name the cluster {cluster!r}, and "
                    f"nothing was asked of it; get one by {way}, or name one by --context"
                )
            return cls(namespace, config.new_client_from_config(context=context))
        except (config.ConfigException, OSError, ValueError, yaml.YAMLError) as error:
            # Its own words could repeat the kubeconfig.
            raise ClusterError(
                f"kubectl's kubeconfig cannot be used ({type(error).__name__}): get one by {way}, until "
                "`kubectl get pods` works here"
            ) from None

    def deployment(self, name: str) -> dict[str, Any]:
        """As the API server has it."""
        found: dict[str, Any] = self._ask(self._apps.read_namespaced_deployment, name, self._namespace)
        return found

    def replica_sets(self, deployment: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Those that a Deployment's selector finds."""
        labels = deployment["spec"]["selector"]["matchLabels"].items()
        found: list[dict[str, Any]] = self._ask(
            self._apps.list_namespaced_replica_set,
            self._namespace,
            label_selector=",".join(f"{name}={value}" for name, value in labels),
        )["items"]
        return found

    def patch(self, deployment: str, operations: list[dict[str, Any]]) -> None:
        """By a JSON patch."""
        self._ask(self._apps.patch_namespaced_deployment, deployment, self._namespace, operations)

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
        statuses = [status for pod in found for status in pod["status"].get("containerStatuses", ())]
        return Pods(
            ready=sum(map(_is_ready, found)),
            restarts=sum(status.get("restartCount", 0) for status in statuses),
            wanted=known["spec"].get("replicas", 1) if known else 0,
        )

    def metrics(self, deployment: str, *, port: int) -> Mapping[str, str]:
        from kubernetes.client import ApiException

        ready = [pod for pod in self._alive(self._found(deployment)) if _is_ready(pod)]
        names = [(pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]) for pod in ready]
        found = {}
        for _, name in sorted(names)[:_MOST_ASKED]:
            # One that goes meanwhile is no news; readiness tells of those that cannot answer.
            with contextlib.suppress(OSError, ValueError, HTTPException, ApiException):
                found[name] = self._page(name, port)
        return found

    def run(
        self, deployment: str, command: Sequence[str], *, variables: Mapping[str, str], seconds: float
    ) -> Ended:
        found = self._ask(self._apps.read_namespaced_deployment, deployment, self._namespace)
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
            status = self._ask(self._batch.read_namespaced_job_status, job, self._namespace).get("status", {})
            if status.get("succeeded") or status.get("failed"):
                return self._told(job, ok=bool(status.get("succeeded")))
            if time.monotonic() > until:
                return Ended(124, "it did not end in time")
            time.sleep(_PAUSE_SECONDS)

    def _told(self, job: str, *, ok: bool) -> Ended:
        selector = f"batch.kubernetes.io/job-name={job}"
        pods = self._ask(self._core.list_namespaced_pod, self._namespace, label_selector=selector)["items"]
        if not pods:
            return Ended(124, "its pod is gone: it did not end in time")
        name = pods[0]["metadata"]["name"]
        text = self._ask(self._core.read_namespaced_pod_log, name, self._namespace, text=True, tail_lines=20)
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return Ended(0 if ok else 1, lines[-1] if lines else "")

    def _found(self, deployment: str) -> Any:
        """The Deployment, or None."""
        try:
            return self._ask(self._apps.read_namespaced_deployment, deployment, self._namespace)
        except _NotThere:
            return None

    def _alive(self, found: Any) -> list[dict[str, Any]]:
        """A Deployment's pods, those that are on their way out left aside."""
        if found is None:
            return []
        selector = ",".join(
            f"{key}={value}" for key, value in found["spec"]["selector"]["matchLabels"].items()
        )
        pods = self._ask(self._core.list_namespaced_pod, self._namespace, label_selector=selector)["items"]
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def _page(self, pod: str, port: int) -> str:
        """What /metrics answers. By a forwarded port, which network policies let through."""
        from kubernetes.stream import portforward

        forward = portforward(
            self._core.connect_get_namespaced_pod_portforward, pod, self._namespace, ports=str(port)
        )
        try:
            wire = forward.socket(port)
            wire.setblocking(True)
            wire.settimeout(_TIMEOUT[1])
            wire.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            # By the length that it says: that the pod closed its end is not told through a forwarded port.
            answer = HTTPResponse(wire)
            answer.begin()
            body = answer.read(_LONGEST_PAGE)
        finally:
            forward.close()
        if answer.status != 200:
            raise ValueError("it did not answer with 200")
        return body.decode()

    def _ask(self, call: Any, *args: Any, text: bool = False, **options: Any) -> Any:
        """One call of the API, tried again where the server is busy or away.

        The answer is plain JSON: the client's own classes refuse what a newer API server says.
        """
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        for tries_left in reversed(range(_TRIES)):
            try:
                answer = call(*args, _preload_content=False, _request_timeout=_TIMEOUT, **options)
                return answer.data.decode() if text else json.loads(answer.data)
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


def _is_ready(pod: Mapping[str, Any]) -> bool:
    return any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in pod["status"].get("conditions", ())
    )

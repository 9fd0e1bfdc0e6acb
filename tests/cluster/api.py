"""An API server as a test speaks with it: plain JSON, bounded waits, and what was seen where one fails."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import urllib3
from kubernetes import config

Object = dict[str, Any]
Labels = Mapping[str, str]
Seen = TypeVar("Seen")
NONE: Labels = {}

#: Another one than Pulumi's: what a test does beside the program is somebody else's doing.
FIELD_MANAGER = "tests"
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"


class Refused(Exception):
    """The API server's answer was no."""

    def __init__(self, status: int, message: str, headers: Any) -> None:
        self.status = status
        self.headers = headers
        super().__init__(f"{status}: {message}")


class Api:
    """The API server of a kubeconfig, as whoever it says."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        client = config.new_client_from_config(config_file=str(kubeconfig))
        self.server = str(client.configuration.host).rstrip("/")
        self._authority = client.configuration.ssl_ca_cert
        self._pool = client.rest_client.pool_manager
        self._token: str | None = None
        self._served: dict[str, dict[str, Object]] = {}

    def as_bearer(self, token: str) -> Api:
        """The same server, as whom a token says."""
        other = Api(self.kubeconfig)
        other._pool = urllib3.PoolManager(ca_certs=self._authority)
        other._token = token
        return other

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content: str = "application/json",
        **query: str,
    ) -> Object:
        """
        Raises:
            Refused: the answer was no.
        """
        response = self._request(method, path, body, content, query)
        answer = json.loads(response.data) if response.data else {}
        if response.status >= 400:
            raise Refused(response.status, str(answer.get("message", answer)), response.headers)
        return answer

    def _request(
        self, method: str, path: str, body: Any, content: str, query: dict[str, str], **more: Any
    ) -> Any:
        allowed = {} if self._token is None else {"authorization": f"Bearer {self._token}"}
        return self._pool.request(
            method,
            f"{self.server}{path}{'?' + urlencode(query) if query else ''}",
            body=None if body is None else json.dumps(body).encode(),
            headers={"accept": "application/json", "content-type": content, **allowed},
            timeout=urllib3.Timeout(connect=5, read=30),
            retries=False,
            **more,
        )

    def path(self, api_version: str, kind: str, namespace: str | None, name: str = "") -> str:
        """Where objects of a kind are, as the server itself says."""
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        if kind not in self._served.get(api_version, {}):
            entries = self.call("GET", root)["resources"]
            self._served[api_version] = {each["kind"]: each for each in entries if "/" not in each["name"]}
        entry = self._served[api_version][kind]
        scope = f"/namespaces/{namespace}" if entry["namespaced"] else ""
        return f"{root}{scope}/{entry['name']}{'/' + name if name else ''}"

    def apply(self, made: Object, *, dry_run: bool = False, strict: bool = False) -> Object:
        """By server-side apply, as the Kubernetes plugin does it; `strict` refuses unknown fields."""
        metadata = made["metadata"]
        place = self.path(made["apiVersion"], made["kind"], metadata.get("namespace"), metadata["name"])
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        query |= {"dryRun": "All"} if dry_run else {}
        query |= {"fieldValidation": "Strict"} if strict else {}
        return self.call("PATCH", place, made, content=_APPLY, **query)

    def watch(self, path: str, *, seconds: int, **query: str) -> Iterator[Object]:
        """What is there, as if it were added now, and then what changes."""
        told = {"watch": "true", "timeoutSeconds": str(seconds), **query}
        with self._request("GET", path, None, "application/json", told, preload_content=False) as response:
            left = b""
            for part in response.stream(amt=None):
                *lines, left = (left + part).split(b"\n")
                yield from map(json.loads, filter(None, lines))


#: Where the kinds are that tests ask for by their name alone.
KINDS = {
    "Deployment": "apps/v1",
    "ReplicaSet": "apps/v1",
    "Pod": "v1",
    "Event": "v1",
    "Secret": "v1",
    "Service": "v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "PodDisruptionBudget": "policy/v1",
    "ScaledObject": "keda.sh/v1alpha1",
    "Rollout": "argoproj.io/v1alpha1",
    "AnalysisRun": "argoproj.io/v1alpha1",
}


class Namespace:
    """One test's own part of the cluster."""

    def __init__(self, api: Api, name: str) -> None:
        self.api = api
        self.name = name

    def path(self, kind: str, name: str = "") -> str:
        return self.api.path(KINDS[kind], kind, self.name, name)

    def apply(self, *made: Object) -> None:
        for each in made:
            self.api.apply(each)

    def get(self, kind: str, name: str) -> Object:
        return self.api.call("GET", self.path(kind, name))

    def find(self, kind: str, name: str) -> Object | None:
        try:
            return self.get(kind, name)
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    def all(self, kind: str, labels: Labels = NONE) -> list[Object]:
        found: list[Object] = self.api.call("GET", self.path(kind), **selecting(labels))["items"]
        return found

    def pods(self, labels: Labels = NONE) -> list[Object]:
        """Those that are not on their way out."""
        return [pod for pod in self.all("Pod", labels) if "deletionTimestamp" not in pod["metadata"]]

    def merge(self, kind: str, name: str, change: Object) -> Object:
        return self.api.call("PATCH", self.path(kind, name), change, content=_MERGE)

    def replicas(self, deployment: str) -> int:
        """How many are asked for."""
        return int(self.get("Deployment", deployment)["spec"]["replicas"])

    def ready(self, deployment: str) -> int:
        return int(self.get("Deployment", deployment).get("status", {}).get("readyReplicas", 0))

    def wait(self, what: str, look: Callable[[], Seen], *, seconds: float, until: Any = bool) -> Seen:
        """Looks until what is seen is as `until` (a value, or a predicate) says.

        Raises:
            AssertionError: it was not in time; says what was seen last, and how the namespace is.
        """
        good = until if callable(until) else lambda seen: bool(seen == until)
        deadline = time.monotonic() + seconds
        while True:
            seen = look()
            if good(seen):
                return seen
            if time.monotonic() >= deadline:
                raise AssertionError(
                    f"{what}: not within {seconds:g} s; last seen: {seen!r}\n{self.as_text()}"
                )
            time.sleep(0.1)

    def as_text(self) -> str:
        """How its objects are, for whoever reads why a test failed."""
        lines = [f"namespace {self.name}:"]
        for kind in KINDS:
            try:
                found = self.all(kind)
            except (Refused, KeyError) as error:
                lines.append(f"  {kind}: {error}")
                continue
            if kind == "Event":
                found.sort(key=lambda each: str(each.get("lastTimestamp") or each.get("eventTime")))
                lines += [f"  event: {_of_event(each)}" for each in found[-25:]]
            elif kind not in {"Secret", "Service"}:
                lines += [f"  {kind} {each['metadata']['name']}: {_of_object(each)}" for each in found[:30]]
        return "\n".join(lines)


def selecting(labels: Labels) -> dict[str, str]:
    """The query for objects with all of these labels."""
    wanted = ",".join(f"{key}={value}" for key, value in labels.items())
    return {"labelSelector": wanted} if wanted else {}


def is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _of_event(event: Object) -> str:
    about = event["involvedObject"]
    return f"{about['kind']} {about.get('name')}: {event['reason']}: {event.get('message', '')[:200]}"


def _of_object(found: Object) -> str:
    spec, status = found.get("spec", {}), dict(found.get("status", {}))
    conditions = [
        f"{each['type']}={each['status']}"
        + (f" ({each['reason']}: {each.get('message', '')[:160]})" if each.get("reason") else "")
        for each in status.pop("conditions", None) or ()
    ]
    if "containers" in spec:
        status = {
            "phase": status.get("phase"),
            "node": spec.get("nodeName"),
            "image": spec["containers"][0]["image"],
        }
    asked = {
        key: spec[key]
        for key in ("replicas", "minReplicas", "maxReplicas", "minReplicaCount", "maxReplicaCount")
        if key in spec
    }
    return f"{asked or ''} {json.dumps(status)[:700]} {'; '.join(conditions)}"

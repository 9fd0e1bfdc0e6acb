"""Kubernetes objects in an API server, made and changed as the official plugin does it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from agent_infra.local.standins.kubernetes import managers
from agent_infra.local.standins.kubernetes.api_client import ApiClient, ApiError
from agent_infra.local.standins.kubernetes.kinds import Kind
from agent_infra.local.standins.server import Properties

_APPLY: Final = "application/apply-patch+yaml"
_JSON_PATCH: Final = "application/json-patch+json"
_TRIES: Final = 5


class ApiStore:
    """The API server of a kubeconfig's current context."""

    can_dry_run = True

    def __init__(self, kubeconfig: Path, *, balancers: bool = True) -> None:
        self.client = ApiClient(kubeconfig)
        #: Whether something in the cluster gives load balancers their addresses.
        self.balancers = balancers

    def create(self, kind: Kind, object: Properties, *, dry_run: bool) -> Properties:
        metadata = object["metadata"]
        path = self.client.path(kind, metadata.get("namespace"), wait=not dry_run)
        query = {"fieldManager": managers.MAKER, **_dry(dry_run)}
        try:
            return self.client.call("POST", path, query, object)
        except ApiError as error:
            if error.status != 409:
                raise
            raise ApiError(
                f"{error} It is not of this stack's state: import it, delete it, or take it over with "
                "upsertExistingObjects on the provider (PULUMI_K8S_UPSERT_EXISTING_OBJECTS=true).",
                status=409,
            ) from None

    def apply(
        self, kind: Kind, object: Properties, *, manager: str, dry_run: bool, force: bool
    ) -> Properties:
        metadata = object["metadata"]
        path = self.client.path(kind, metadata.get("namespace"), metadata["name"], wait=not dry_run)
        if live := self._get(path):
            if dry_run:
                # The update itself hands the fields over first.
                force = force or managers.taken_over(live)
            else:
                self._hand_over(path, live, manager)
            force = force or not live["metadata"].get("managedFields")
        query = {"fieldManager": manager, "force": "true" if force else "false", **_dry(dry_run)}
        try:
            return self.client.call("PATCH", path, query, object, content=_APPLY)
        except ApiError as error:
            if error.status != 409:
                raise
            raise ApiError(
                f"{error} The fields belong to somebody else: leave them out of the program, or take them "
                'over with the annotation pulumi.com/patchForce: "true" on the object.',
                status=409,
            ) from None

    def _hand_over(self, path: str, live: Properties, manager: str) -> None:
        for _ in range(_TRIES):
            patch = managers.handed_over(live, manager)
            if patch is None:
                return
            try:
                self.client.call("PATCH", path, {}, patch, content=_JSON_PATCH)
            except ApiError as error:
                # A controller has written the object's status meanwhile.
                if error.status != 409:
                    raise
                live = self.client.call("GET", path)
            else:
                return

    def read(self, kind: Kind, namespace: str | None, name: str) -> Properties | None:
        try:
            path = self.client.path(kind, namespace, name)
        except ApiError as error:
            if error.status == 404:
                return None  # its definition is gone, and with it every object of the kind
            raise
        return self._get(path)

    def delete(self, kind: Kind, namespace: str | None, name: str, *, propagation: str) -> Properties | None:
        try:
            path = self.client.path(kind, namespace, name)
            live = self.client.call("GET", path)
            self.client.call("DELETE", path, {}, {"propagationPolicy": propagation})
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return live

    def namespaced(self, kind: Kind) -> bool | None:
        try:
            return bool(self.client.resource(kind)["namespaced"])
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def _get(self, path: str) -> Properties | None:
        try:
            return self.client.call("GET", path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}

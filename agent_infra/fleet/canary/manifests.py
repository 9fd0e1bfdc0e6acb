"""The Deployments of a fleet of which two revisions serve side by side; pure functions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from agent_infra.fleet.names import ComponentKind, Names
from agent_infra.fleet.objects import Manifest

#: On a Deployment: which revision of the whole fleet it belongs to.
REVISION = "agent-infra/revision"
TRACK = "agent-infra/track"


def revision(manifests: Sequence[Manifest]) -> pulumi.Output[str]:
    """Changes whenever the pods of any kind do; not with a number of replicas or the Deployments' labels."""
    templates = [manifest["spec"]["template"] for manifest in manifests]
    return pulumi.Output.unsecret(
        pulumi.Output.json_dumps(templates, sort_keys=True).apply(
            lambda text: hashlib.sha256(text.encode()).hexdigest()[:16]
        )
    )


def stable(manifest: Manifest, revision: Any) -> Manifest:
    """The Deployment that has the traffic."""
    return _tracked(_annotated(manifest, {REVISION: revision}), "stable")


def canary(manifest: Manifest, names: Names, kind: ComponentKind, revision: Any) -> Manifest:
    """The Deployment beside the stable one: the new pods, none of which run at rest.

    The selectors of the two match each other's pods in no way. The Service, the network policy and the
    disruption budget select by `Names.selector`, and so both.
    """
    spec = {key: value for key, value in manifest["spec"].items() if key not in {"replicas", "selector"}}
    metadata = manifest["metadata"]
    owned = names.owned(kind, "canary")
    template = manifest["spec"]["template"]
    made: Manifest = {
        **manifest,
        "metadata": {**metadata, "name": names.canary(kind), "labels": {**metadata["labels"], **owned}},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": owned},
            **spec,
            "template": {
                **template,
                "metadata": {
                    **template["metadata"],
                    "labels": {**template["metadata"]["labels"], **owned},
                },
            },
        },
    }
    # At rest nothing gets ready.
    waits = {"pulumi.com/skipAwait": "true"}
    return _tracked(_annotated(made, {REVISION: revision, **waits}), "canary")


def _annotated(manifest: Manifest, more: Mapping[str, Any]) -> Manifest:
    metadata = manifest["metadata"]
    return {
        **manifest,
        "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), **more}},
    }


def _tracked(manifest: Manifest, track: str) -> Manifest:
    metadata = manifest["spec"]["template"]["metadata"]
    labels = {**metadata["labels"], TRACK: track}
    return _with_template(manifest, {"metadata": {**metadata, "labels": labels}})


def _with_template(manifest: Manifest, changes: Mapping[str, Any]) -> Manifest:
    spec = manifest["spec"]
    return {**manifest, "spec": {**spec, "template": {**spec["template"], **changes}}}

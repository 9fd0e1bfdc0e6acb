"""A pod's volumes as directories of this machine, which only its owner can read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from agent_infra.local.environment import write_private
from agent_infra.local.fleets.container import Find, data, field
from agent_infra.local.fleets.manifests import Object, namespace_of

#: The kinds of volumes that have files, beside `projected`, which has several of them.
_KINDS = ("secret", "configMap", "downwardAPI", "serviceAccountToken")


def tokens(pod: Object) -> Iterator[Object]:
    """The tokens that a pod's volumes ask for."""
    for volume in pod["spec"].get("volumes") or ():
        for source in _sources(volume):
            if token := source.get("serviceAccountToken"):
                yield token


def references(pod: Object) -> Iterator[tuple[str, str]]:
    """Which ConfigMaps and Secrets, by kind and name, a pod's volumes are made from."""
    for volume in pod["spec"].get("volumes") or ():
        for source in _sources(volume):
            if secret := source.get("secret"):
                yield "Secret", secret.get("secretName") or secret["name"]
            if config := source.get("configMap"):
                yield "ConfigMap", config["name"]


def write(pod: Object, directory: Path, find: Find, *, tokens: Mapping[str, str]) -> None:
    """Makes the directories and their files.

    Args:
        pod: whose.
        directory: where, one directory for each volume.
        find: the ConfigMaps and Secrets.
        tokens: the ServiceAccount's tokens, by their path in the volume.

    Raises:
        CannotRun: a ConfigMap or Secret is not there.
    """
    for volume in pod["spec"].get("volumes") or ():
        place = directory / volume["name"]
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        for source in _sources(volume):
            for path, text in _files(pod, source, find, tokens):
                _write(place, path, text)


def rewrite(pod: Object, directory: Path, said: Object, token: str) -> None:
    """Puts a token in the place of the one before."""
    for volume in pod["spec"].get("volumes") or ():
        if any(source.get("serviceAccountToken") == said for source in _sources(volume)):
            _write(directory / volume["name"], said["path"], token)


def moved(text: str, pod: Object, container: Object, directory: Path) -> str:
    """A path of a volume's files in a container as the path that it has on this machine; all else as it is.

    An empty directory has no files yet, and may well lie over one that this machine has too.
    """
    filled = {volume["name"] for volume in pod["spec"].get("volumes") or () if _sources(volume)}
    mounts = [mount for mount in container.get("volumeMounts") or () if mount["name"] in filled]
    mounted = {mount["mountPath"]: mount["name"] for mount in mounts}
    for path in sorted(mounted, key=len, reverse=True):
        if text == path or text.startswith(f"{path}/"):
            return f"{directory / mounted[path]}{text.removeprefix(path)}"
    return text


def temporary(container: Object, directory: Path) -> Mapping[str, str]:
    """Where the container has a /tmp of its own, the variable that says so."""
    for mount in container.get("volumeMounts") or ():
        if PurePosixPath(mount["mountPath"]) == PurePosixPath("/tmp"):  # noqa: S108 (a pod's own)
            return {"TMPDIR": str(directory / mount["name"])}
    return {}


def _sources(volume: Object) -> list[Object]:
    sources: list[Object] = list((volume.get("projected") or {}).get("sources") or ())
    return sources or [{kind: volume[kind]} for kind in _KINDS if kind in volume]


def _files(pod: Object, source: Object, find: Find, tokens: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if token := source.get("serviceAccountToken"):
        yield token["path"], tokens[token["path"]]
    for item in (source.get("downwardAPI") or {}).get("items") or ():
        if reference := item.get("fieldRef"):
            yield item["path"], field(pod, reference["fieldPath"]) or ""
    for key, kind in (("secret", "Secret"), ("configMap", "ConfigMap")):
        if said := source.get(key):
            name = said.get("secretName") or said["name"]
            content = data(find, kind, namespace_of(pod), {**said, "name": name}) or {}
            items = said.get("items") or [{"key": each, "path": each} for each in content]
            yield from ((item["path"], content[item["key"]]) for item in items if item["key"] in content)


def _write(directory: Path, path: str, text: str) -> None:
    """A volume's paths never lead out of it; the API server sees to that, and so does this."""
    file = Path(os.path.normpath(directory / path))
    if directory in file.parents:
        write_private(file, text)

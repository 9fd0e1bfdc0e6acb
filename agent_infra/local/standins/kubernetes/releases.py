"""Helm releases: checked as the official plugin checks them, and recorded; no chart is fetched or run."""

from __future__ import annotations

import difflib
import re
import secrets
from collections.abc import Mapping
from typing import Any, Final

from agent_infra.local.standins.kubernetes.kinds import Kind
from agent_infra.local.standins.kubernetes.yaml_store import YamlStore
from agent_infra.local.standins.notes import NotSimulated
from agent_infra.local.standins.paths import changes, join, touches
from agent_infra.local.standins.server import Difference, Found, Properties, Refused, Unknown

TOKEN: Final = "kubernetes:helm.sh/v3:Release"  # noqa: S105 (a type token)
KIND: Final = Kind("helm.sh", "v3", "Release")


def _words(text: str) -> list[str]:
    return text.split()


_FLAGS: Final = _words(
    "allowNullValues atomic cleanupOnFail createNamespace dependencyUpdate devel disableCRDHooks "
    "disableOpenapiValidation disableWebhooks forceUpdate lint recreatePods renderSubchartNotes replace "
    "resetValues reuseValues skipAwait skipCrds takeOwnership verify waitForJobs"
)
_TEXTS: Final = _words("chart compat description keyring name namespace postrender version")
#: Input property to what it must be, from pulumi-kubernetes 4's schema of helm.sh/v3:Release.
_KNOWN: Final[dict[str, type]] = {
    **dict.fromkeys(_FLAGS, bool),
    **dict.fromkeys(_TEXTS, str),
    **dict.fromkeys(("maxHistory", "timeout"), int),
    **dict.fromkeys(("values", "repositoryOpts", "manifest", "resourceNames"), dict),
    "valueYamlFiles": list,
}
_REPOSITORY: Final = dict.fromkeys(_words("caFile certFile keyFile password repo username"), str)
_SAID: Final = {
    bool: "true or false",
    str: "a text",
    int: "a whole number",
    dict: "an object",
    list: "a list",
}

#: Helm's own bound (a release's name is in labels, with a suffix).
_LONGEST_NAME: Final = 53
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_DEFAULT_TIMEOUT: Final = 300
_REPLACES: Final = ("name", "namespace")


def not_simulated() -> list[NotSimulated]:
    return [NotSimulated(TOKEN, None, "recorded: no chart is fetched, and nothing of it runs")]


def check(name: str, olds: Properties, news: Properties, *, namespace: str) -> Properties:
    """The inputs with a name, a namespace and a timeout.

    Raises:
        Refused: a property is not known, of another type, or missing.
    """
    inputs: Properties = {key: value for key, value in news.items() if value is not None}
    if wrong := [*_wrong(inputs, _KNOWN, ()), *_more(inputs)]:
        raise Refused(wrong)
    if not inputs.get("name"):
        inputs["name"] = olds.get("name") or f"{name}-{secrets.token_hex(4)}"
    if not inputs.get("namespace"):
        inputs["namespace"] = namespace
    if not inputs.get("skipAwait"):
        inputs.setdefault("timeout", _DEFAULT_TIMEOUT)
    if wrong := list(_names(inputs)):
        raise Refused(wrong)
    return inputs


def diff(olds: Properties, news: Properties) -> Difference:
    changed = list(changes(olds, news))
    return Difference(changed, [path for path in changed if any(touches(path, name) for name in _REPLACES)])


def create(store: YamlStore, inputs: Properties, *, preview: bool) -> tuple[str, Properties]:
    if preview:
        return "", _state(inputs, revision=1)
    _write(store, inputs, revision=1)
    return f"{inputs['namespace']}/{inputs['name']}", _state(inputs, revision=1)


def read(store: YamlStore, id: str) -> Found | None:
    namespace, _, name = id.rpartition("/")
    found = store.read(KIND, namespace or "default", name)
    if found is None:
        return None
    inputs = found["spec"]
    return Found(id, inputs, _state(inputs, revision=int(found["status"]["revision"])))


def update(store: YamlStore, id: str, news: Properties, *, preview: bool) -> Properties:
    """Records the inputs as the next revision."""
    namespace, _, name = id.rpartition("/")
    found = store.read(KIND, namespace or "default", name) or {"status": {"revision": 0}}
    revision = int(found["status"]["revision"]) + 1
    if not preview:
        _write(store, news, revision=revision)
    return _state(news, revision=revision)


def delete(store: YamlStore, id: str) -> None:
    namespace, _, name = id.rpartition("/")
    store.delete(KIND, namespace or "default", name, propagation="Foreground")


def _write(store: YamlStore, inputs: Properties, *, revision: int) -> None:
    metadata = {"name": inputs["name"], "namespace": inputs["namespace"]}
    document = {
        "apiVersion": KIND.api_version,
        "kind": KIND.name,
        "metadata": metadata,
        "spec": inputs,
        "status": {"revision": revision, "status": "deployed"},
    }
    store.create(KIND, document, dry_run=False)


def _state(inputs: Properties, *, revision: int) -> Properties:
    told = {name: inputs.get(name) for name in ("chart", "name", "namespace", "version")}
    return {**inputs, "status": {**told, "revision": revision, "status": "deployed"}}


def _wrong(given: Properties, known: Mapping[str, type], at: tuple[str, ...]) -> list[tuple[str, str]]:
    failures = []
    for name, value in given.items():
        path = join((*at, name))
        kind = known.get(name)
        if kind is None:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            failures.append((path, f"is no property of a release; {hint}allowed: {', '.join(sorted(known))}"))
        elif not isinstance(value, Unknown) and not _is(value, kind):
            # The value itself is not told: values may hold secrets.
            failures.append((path, f"is of another type; allowed: {_SAID[kind]}"))
    return failures


def _is(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def _more(inputs: Properties) -> list[tuple[str, str]]:
    failures = []
    if not inputs.get("chart"):
        failures.append(("chart", "is missing, and must be given"))
    repository = inputs.get("repositoryOpts")
    if isinstance(repository, dict):
        failures += _wrong(repository, _REPOSITORY, ("repositoryOpts",))
    return failures


def _names(inputs: Properties) -> list[tuple[str, str]]:
    failures = []
    for name, longest in (("name", _LONGEST_NAME), ("namespace", 63)):
        value = inputs[name]
        if isinstance(value, str) and (len(value) > longest or not _NAME.fullmatch(value)):
            rule = f"lower-case letters, digits and '-', at most {longest} characters"
            failures.append((name, f"is {value!r}; allowed: {rule}"))
    return failures

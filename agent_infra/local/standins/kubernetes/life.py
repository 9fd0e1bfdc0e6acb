"""One object's life: planned, made, changed, looked at and deleted, each waited for where a cluster acts."""

from __future__ import annotations

from typing import Final

from agent_infra.local.standins import engine
from agent_infra.local.standins.kubernetes import awaiting, live, managers
from agent_infra.local.standins.kubernetes.api_client import ApiError
from agent_infra.local.standins.kubernetes.api_store import ApiStore
from agent_infra.local.standins.kubernetes.awaiting import asked, networks, rules
from agent_infra.local.standins.kubernetes.kinds import Kind
from agent_infra.local.standins.kubernetes.settings import Settings
from agent_infra.local.standins.kubernetes.store import Store
from agent_infra.local.standins.server import Found, Partial, Properties, StandinError, has_unknown

_FORCE: Final = "pulumi.com/patchForce"
_PROPAGATION: Final = "pulumi.com/deletionPropagationPolicy"
_PROPAGATIONS: Final = {"foreground": "Foreground", "background": "Background", "orphan": "Orphan"}


class Life:
    """The objects of one store."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    def planned(self, kind: Kind, inputs: Properties, state: Properties, *, new: bool) -> Properties:
        """What a preview shows: the server's answer to a dry run where it can tell, else the inputs."""
        if has_unknown(inputs) or not self._store.can_dry_run:
            return live.state(inputs, inputs)
        manager = managers.name(inputs, state)
        try:
            made = self._made(kind, inputs, manager, new=new, dry_run=True)
        except ApiError as error:
            if error.status == 403:
                # What forbids it may change in the same update.
                engine.current().warn(f"a dry run of it is refused now: {error}")
            elif not self._too_early(kind, inputs, error, new=new):
                raise
            return live.state(inputs, inputs)
        # A dry run invents these anew each time.
        for invented in ("uid", "creationTimestamp", "resourceVersion"):
            if new:
                made["metadata"].pop(invented, None)
        return live.state(made, inputs)

    def create(self, kind: Kind, inputs: Properties) -> tuple[str, Properties]:
        """The id and the state.

        Raises:
            Partial: it was made and is not ready.
        """
        asked.rule(inputs)
        manager = managers.name(inputs, {})
        made = self._made(kind, inputs, manager, new=True, dry_run=False)
        id = _id(inputs)
        return id, self._ready(kind, inputs, made, before=None, id=id, manager=manager)

    def update(self, kind: Kind, id: str, inputs: Properties, state: Properties) -> Properties:
        """The state.

        Raises:
            Partial: it was changed and is not ready.
        """
        asked.rule(inputs)
        # Objects of a release that gave no names of their own.
        manager = managers.name(inputs, {managers.KEY: managers.MAKER, **state})
        metadata = inputs["metadata"]
        before = None
        if isinstance(self._store, ApiStore):
            before = self._store.read(kind, metadata.get("namespace"), metadata["name"])
        made = self._made(kind, inputs, manager, new=False, dry_run=False)
        return self._ready(kind, inputs, made, before=before, id=id, manager=manager)

    def read(
        self, kind: Kind, namespace: str | None, name: str, inputs: Properties, state: Properties
    ) -> Found | None:
        """It as it is; what is imported has no `inputs`.

        Raises:
            Partial: it is there and not ready.
        """
        found = self._store.read(kind, namespace, name)
        if found is None:
            return None
        id = f"{namespace}/{name}" if namespace else name
        if not isinstance(self._store, ApiStore):
            return Found(id, found, live.state(found, found))
        seen = live.seen_through(inputs, found) if inputs else live.program(found)
        kept = self._state(found, seen, managers.name(inputs, state))
        rule = self._rule(kind)
        if inputs and rule and rule.also_read and not asked.skips(inputs):
            reasons = awaiting.judged(self._store.client, found, rule)
            if reasons is not None:
                message = f"{kind.name} {name!r} is there and is not ready: {reasons[0]}"
                raise Partial(message, id=id, state=kept, reasons=reasons[1:], inputs=seen)
        return Found(id, seen, kept)

    def delete(self, kind: Kind, namespace: str | None, name: str, inputs: Properties) -> None:
        wanted = str(_annotation(inputs, _PROPAGATION) or "foreground").lower()
        if wanted not in _PROPAGATIONS:
            raise StandinError(
                f"metadata.annotations[{_PROPAGATION!r}] is {wanted!r}; allowed: {', '.join(_PROPAGATIONS)}"
            )
        going = self._store.delete(kind, namespace, name, propagation=_PROPAGATIONS[wanted])
        if going is None or not isinstance(self._store, ApiStore) or asked.skips_deletion(inputs):
            return
        seconds = asked.seconds(inputs, timeout=engine.current().timeout, default=awaiting.DEFAULT_SECONDS)
        awaiting.until_gone(self._store.client, kind, going, seconds=seconds)

    def _made(self, kind: Kind, inputs: Properties, manager: str, *, new: bool, dry_run: bool) -> Properties:
        if new and not self._settings.upsert:
            return self._store.create(kind, inputs, dry_run=dry_run)
        said = _annotation(inputs, _FORCE)
        force = self._settings.patch_force if said is None else str(said).lower() == "true"
        return self._store.apply(kind, inputs, manager=manager, dry_run=dry_run, force=force)

    def _too_early(self, kind: Kind, inputs: Properties, error: ApiError, *, new: bool) -> bool:
        """Whether the server cannot judge yet: the namespace or the definition comes with the same update,
        or the object that has the name now goes before this one is made."""
        if error.status == 404:
            return True
        metadata = inputs["metadata"]
        return new and (
            error.status == 409
            or (
                error.status == 422
                and self._settings.upsert
                and self._store.read(kind, metadata.get("namespace"), metadata["name"]) is not None
            )
        )

    def _ready(
        self,
        kind: Kind,
        inputs: Properties,
        made: Properties,
        *,
        before: Properties | None,
        id: str,
        manager: str,
    ) -> Properties:
        rule = asked.rule(inputs) or self._rule(kind)
        if not isinstance(self._store, ApiStore) or rule is None or asked.skips(inputs):
            return self._state(made, inputs, manager)
        seconds = asked.seconds(inputs, timeout=engine.current().timeout, default=rule.seconds)
        try:
            made = awaiting.until_ready(self._store.client, kind, made, rule, before=before, seconds=seconds)
        except awaiting.NotReady as error:
            state = self._state(error.live, inputs, manager)
            raise Partial(str(error), id=id, state=state, reasons=error.reasons) from None
        if not self._store.balancers and networks.unaddressed(made):
            engine.current().warn("nothing on this machine makes load balancers: it gets no address")
        return self._state(made, inputs, manager)

    def _rule(self, kind: Kind) -> awaiting.Rule | None:
        rule = rules.of(kind)
        if rule and isinstance(self._store, ApiStore) and not self._store.balancers:
            return rules.without_balancers(rule)
        return rule

    def _state(self, found: Properties, inputs: Properties, manager: str) -> Properties:
        kept = live.state(found, inputs)
        return {**kept, managers.KEY: manager} if isinstance(self._store, ApiStore) else kept


def _id(inputs: Properties) -> str:
    metadata = inputs["metadata"]
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])


def _annotation(object: Properties, name: str) -> object:
    annotations = (object.get("metadata") or {}).get("annotations")
    return annotations.get(name) if isinstance(annotations, dict) else None

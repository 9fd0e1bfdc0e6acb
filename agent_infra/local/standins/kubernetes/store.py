"""What the stand-in needs of the place where the objects are."""

from __future__ import annotations

from typing import Protocol

from agent_infra.local.standins.kubernetes.kinds import Kind
from agent_infra.local.standins.server import Properties


class Store(Protocol):
    """Objects by kind, namespace (None for cluster-scoped kinds) and name."""

    #: Whether a dry run in a preview tells more than the object itself.
    can_dry_run: bool

    def create(self, kind: Kind, object: Properties, *, dry_run: bool) -> Properties:
        """Makes the object and returns it as it then is; one that is there already may be refused."""
        ...

    def apply(
        self, kind: Kind, object: Properties, *, manager: str, dry_run: bool, force: bool
    ) -> Properties:
        """Makes the object so, whether or not it exists, and returns it as it then is."""
        ...

    def read(self, kind: Kind, namespace: str | None, name: str) -> Properties | None: ...

    def delete(self, kind: Kind, namespace: str | None, name: str, *, propagation: str) -> Properties | None:
        """Asks for its end, and returns it as it was if that may take time; one that is gone is no error."""
        ...

    def namespaced(self, kind: Kind) -> bool | None:
        """Whether a custom kind that the place has a definition of is namespaced; None: it has none."""
        ...

"""What the stand-in needs of the place where the objects are."""

from __future__ import annotations

from typing import Protocol

from agent_infra.local.standins.kubernetes.kinds import Kind
from agent_infra.local.standins.server import Properties


class Store(Protocol):
    """Objects by kind, namespace (None for cluster-scoped kinds) and name."""

    #: Whether an apply in a preview tells more than the object itself.
    can_dry_run: bool

    def apply(self, kind: Kind, object: Properties, *, dry_run: bool, force: bool) -> Properties:
        """Makes the object so, whether or not it exists, and returns it as it then is."""
        ...

    def read(self, kind: Kind, namespace: str | None, name: str) -> Properties | None: ...

    def delete(self, kind: Kind, namespace: str | None, name: str, *, propagation: str) -> None:
        """Returns when the object is gone; one that is not there is no error."""
        ...

    def namespaced(self, kind: Kind) -> bool | None:
        """Whether a custom kind that the place has a definition of is namespaced; None: it has none."""
        ...

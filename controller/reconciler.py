"""The contract of a reconciler: it makes the cluster what one object says, whatever it was before.

Level-based: a reconciler is told which object to look at, never what happened to it. It is told
again when anything changes that it owns or refers to, so it keeps nothing between two looks that
it could not do without.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    from controller.cluster import Cluster

Manifest = dict[str, Any]
"""An object of Kubernetes, as JSON."""


class Key(NamedTuple):
    """The object that is looked at."""

    kind: str
    namespace: str
    name: str


class Reconciler(ABC):
    """Takes care of one kind."""

    kind: ClassVar[str]
    api_version: ClassVar[str]
    watches: ClassVar[tuple[tuple[str, str], ...]] = ()
    """API version and kind of all that it owns or refers to, beside its own kind."""

    @abstractmethod
    def affected(self, changed: Manifest) -> Iterable[Key]:
        """Return whom of ours a change of an object of `watches` concerns.

        `changed` is the object as the cache has it, or had it before it was deleted.
        """

    @abstractmethod
    async def reconcile(self, key: Key, cluster: "Cluster") -> float | None:
        """Bring the cluster to what the object says, and its status to what is.

        Called for one object at a time, for an object that is gone too. Returns the seconds until
        it wants to look again without a change, None for never. Raises Fault to be called again
        with back-off.
        """


def owner_of(manifest: Manifest) -> Key | None:
    """Return who owns an object; None where nobody of ours does."""
    metadata = manifest.get("metadata") or {}
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller") and str(owner.get("apiVersion", "")).startswith(GROUPS):
            return Key(str(owner["kind"]), metadata.get("namespace", ""), str(owner["name"]))
    return None


GROUPS = ("argoproj.io/", "tocsin.dev/")
"""API groups of our kinds."""

"""What reconcilers see of the API server: a cache to read, server-side apply to write.

What is applied bears a hash of itself, and an object that has all that is wanted of it is not
written again; one that somebody changed by hand is. Answers to writes go into the cache at once,
so whoever looks next sees what was written, and not what a watch has not told yet.
"""

import hashlib
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from controller.cache import LABEL, Cache
from controller.conditions import timestamp
from controller.reconciler import Key, Manifest, owner_of
from spine.errors import KubeError
from spine.kube import Kube
from spine.kube.discovery import Resource

log = logging.getLogger(__name__)

MANAGER = "tocsin-controller"
"""Field manager of all that is written."""
APPLIED = "tocsin.dev/applied"
"""Annotation with the hash of what was applied."""
NOT_FOUND, CONFLICT = 404, 409

_EVENTS = Resource("", "v1", "Event", "events", namespaced=True)
_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Cluster:
    """One API server, as the controller sees it. Every coroutine raises KubeError."""

    def __init__(
        self,
        kube: Kube,
        cache: Cache,
        namespace: str,
        *,
        identity: str = "",
        written: Callable[[Manifest], None] = lambda _: None,
        edited: Callable[[Manifest], None] = lambda _: None,
    ) -> None:
        """`written` is called with what was changed here: no watch will tell of it as news.

        `edited` is called where the answer to a status has an edit that nobody has looked at.
        """
        self.kube, self._cache, self._written, self._edited = kube, cache, written, edited
        self.namespace = namespace
        """The controller's own."""
        self._identity = identity or MANAGER
        self._verified: dict[tuple[str, str, str, str], int] = {}
        self._said: dict[tuple[str, str, str], float] = {}
        """When Events were written last: object, reason and message."""

    # ------------------------------------------------------------------------ reading

    def get(self, api_version: str, kind: str, namespace: str, name: str) -> Manifest | None:
        """Return an object from the cache; of a Secret or ConfigMap its metadata alone.

        All of our kinds, Secrets and ConfigMaps are in the cache, and of every other kind what
        bears the label `controller: tocsin`.
        """
        kept = self._cache.kept(api_version, kind)
        found = kept.entries.get((namespace, name)) if kept is not None else None
        return found.manifest if found is not None else None

    def has(self, api_version: str, kind: str, namespace: str, name: str) -> bool:
        """Return whether the cache has an object."""
        kept = self._cache.kept(api_version, kind)
        return kept is not None and (namespace, name) in kept.entries

    def count(self, api_version: str, kind: str) -> int:
        """Return how many objects of a kind the cache has."""
        kept = self._cache.kept(api_version, kind)
        return len(kept.entries) if kept is not None else 0

    def owned(self, api_version: str, kind: str, owner: Manifest) -> list[tuple[str, str]]:
        """Return namespace and name of the objects of a kind that an object owns."""
        kept = self._cache.kept(api_version, kind)
        found = kept.owned.get(owner["metadata"]["uid"], ()) if kept is not None else ()
        return sorted(found)

    def owners(self) -> set[Key]:
        """Return whom what is in the cache belongs to, whether they are there or not."""
        found = (owner_of(one) for kept in self._cache.each() for one in kept.one_of_each_owner())
        return {key for key in found if key is not None}

    def all(self, api_version: str, kind: str, namespace: str = "") -> list[Manifest]:
        """Return all objects of a kind from the cache, of all namespaces or one."""
        kept = self._cache.kept(api_version, kind)
        names = self._cache.names(api_version, kind, namespace)
        return [kept.entries[name].manifest for name in names] if kept is not None else []

    async def read(self, api_version: str, kind: str, namespace: str, name: str) -> Manifest | None:
        """Ask the server for an object, whole and as it is now; None where there is none."""
        resource = await self.kube.discovery.kind(api_version, kind)
        try:
            return _decode(await self.kube.get(resource, name, namespace))
        except KubeError as exc:
            if exc.status == NOT_FOUND:
                return None
            raise

    # ------------------------------------------------------------------------ writing

    async def apply(self, manifest: Manifest, owner: Manifest | None = None) -> Manifest:
        """Bring an object to what a manifest says of it, and return it.

        It is labelled as ours, and goes when its owner does. Nothing is written where the object
        has all of it already.
        """
        wanted, digest = _dressed(manifest, owner)
        metadata, api_version, kind = wanted["metadata"], wanted["apiVersion"], wanted["kind"]
        namespace, name = metadata.get("namespace", ""), metadata["name"]
        there = self.get(api_version, kind, namespace, name)
        place = (api_version, kind, namespace, name)
        if there is not None and self._has(place, there, wanted, digest):
            return there
        resource = await self.kube.discovery.kind(api_version, kind)
        raw = await self.kube.apply(resource, name, _encode(wanted), namespace, manager=MANAGER)
        made = self._took(api_version, kind, _decode(raw))
        self._verified[place] = int(made["metadata"].get("resourceVersion", 0))
        if there is None or _version(made) != _version(there):
            log.info("applied %s %s/%s", kind, namespace, name)
        return made

    def _has(
        self, place: tuple[str, str, str, str], there: Manifest, wanted: Manifest, digest: str
    ) -> bool:
        """Return whether an object has all that is wanted of it."""
        if (there["metadata"].get("annotations") or {}).get(APPLIED) != digest:
            return False
        kept = self._cache.kept(place[0], place[1])
        if kept is not None and kept.metadata_only:  # its data cannot be compared
            return self._verified.get(place) == _version(there)
        return contains(there, wanted)

    async def delete(
        self, api_version: str, kind: str, namespace: str, name: str, version: str = ""
    ) -> None:
        """Delete an object; nothing happens where there is none.

        With a resourceVersion, it is left alone where somebody has changed it since.
        """
        resource = await self.kube.discovery.kind(api_version, kind)
        try:
            await self.kube.delete(resource, name, namespace, version=version)
        except KubeError as exc:
            if version and exc.status == CONFLICT:
                return
            if exc.status != NOT_FOUND:
                raise
        else:
            log.info("deleted %s %s/%s", kind, namespace, name)
        kept = self._cache.kept(api_version, kind)
        self._verified.pop((api_version, kind, namespace, name), None)
        there = kept.entries.get((namespace, name)) if kept is not None else None
        if kept is not None and there is not None and not _lingers(there.manifest):
            kept.drop((namespace, name), there.version)

    async def status(self, manifest: Manifest, status: Manifest) -> None:
        """Bring the status of an object of ours to this, where it differs."""
        metadata, api_version, kind = manifest["metadata"], manifest["apiVersion"], manifest["kind"]
        namespace, name = metadata["namespace"], metadata["name"]
        there = self.get(api_version, kind, namespace, name) or manifest
        if (there.get("status") or {}) == status:
            return
        body = {
            "apiVersion": api_version,
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace, "uid": metadata["uid"]},
            "status": status,
        }
        resource = await self.kube.discovery.kind(api_version, kind)
        try:
            raw = await self.kube.apply(
                resource, name, _encode(body), namespace, subresource="status", manager=MANAGER
            )
        except KubeError as exc:
            if exc.status in {NOT_FOUND, CONFLICT}:  # it has gone, or is another of that name
                return
            raise
        self._took(api_version, kind, _decode(raw), looked_at=manifest)

    async def event(
        self, manifest: Manifest, kind: Literal["Normal", "Warning"], reason: str, message: str
    ) -> None:
        """Tell of something that happened to an object. That it cannot be told is only logged.

        The same of the same object is told once in five minutes: what comes and goes is no news.
        """
        if not self._is_news((str(manifest["metadata"].get("uid")), reason, message)):
            return
        metadata, now = manifest["metadata"], timestamp(datetime.now(UTC))
        namespace = metadata.get("namespace") or "default"
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{metadata['name'][:50]}.", "namespace": namespace},
            "involvedObject": {
                "apiVersion": manifest["apiVersion"],
                "kind": manifest["kind"],
                "name": metadata["name"],
                "namespace": namespace,
                "uid": metadata.get("uid", ""),
                "resourceVersion": metadata.get("resourceVersion", ""),
            },
            "type": kind,
            "reason": reason,
            "message": message[:_EVENT_TEXT],
            "source": {"component": MANAGER},
            "reportingComponent": MANAGER,
            "reportingInstance": self._identity,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            await self.kube.create(_EVENTS, _encode(body), namespace)
        except KubeError as exc:
            log.warning("telling of %s: %s", reason, exc)

    def _is_news(self, event: tuple[str, str, str]) -> bool:
        now = time.monotonic()
        if now - self._said.get(event, float("-inf")) < _SAME:
            return False
        self._said.pop(event, None)
        self._said[event] = now
        while len(self._said) > _SAID:
            del self._said[next(iter(self._said))]
        return True

    async def finalizer(self, manifest: Manifest, name: str, present: bool) -> None:
        """Hold an object until we are done with it, or let it go."""
        metadata, api_version, kind = manifest["metadata"], manifest["apiVersion"], manifest["kind"]
        found = list(metadata.get("finalizers") or ())
        if (name in found) is present:
            return
        wanted = [*found, name] if present else [one for one in found if one != name]
        body = {
            "metadata": {
                "finalizers": wanted,
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],  # nobody else changed the list
            }
        }
        resource = await self.kube.discovery.kind(api_version, kind)
        try:
            raw = await self.kube.patch(
                resource, metadata["name"], _encode(body), metadata.get("namespace", "")
            )
        except KubeError as exc:
            if exc.status == NOT_FOUND:
                return
            raise
        made = _decode(raw)
        if present or wanted:
            self._took(api_version, kind, made)
        metadata["finalizers"] = wanted
        metadata["resourceVersion"] = made["metadata"]["resourceVersion"]

    def _took(
        self, api_version: str, kind: str, made: Manifest, looked_at: Manifest | None = None
    ) -> Manifest:
        made |= {"apiVersion": api_version, "kind": kind}
        kept = self._cache.kept(api_version, kind)
        if kept is not None and kept.take(made):
            known = looked_at is None or _beside_status(made) == _beside_status(looked_at)
            (self._written if known else self._edited)(made)
        return made


_EVENT_TEXT = 1024
"""Characters that the API takes in the message of an Event."""
_SAME, _SAID = 300.0, 1024
"""Seconds in which an Event is not written again, and Events that are remembered for it."""


def _lingers(manifest: Manifest) -> bool:
    """Return whether an object that is deleted stays until its finalizers are done."""
    return bool(manifest["metadata"].get("finalizers"))


def _beside_status(manifest: Manifest) -> Manifest:
    """Return what an edit of an object changes; with its spec it gets another generation."""
    return {k: v for k, v in manifest["metadata"].items() if v and k not in _OF_EACH_WRITE}


_OF_EACH_WRITE = frozenset({"managedFields", "resourceVersion"})


def _version(manifest: Manifest) -> int:
    return int(manifest["metadata"].get("resourceVersion", 0))


def _dressed(manifest: Manifest, owner: Manifest | None) -> tuple[Manifest, str]:
    """Return a manifest with our label, its owner and the hash of all that, and the hash."""
    metadata = dict(manifest["metadata"])
    metadata["labels"] = {**metadata.get("labels", {}), LABEL[0]: LABEL[1]}
    if owner is not None:
        metadata["ownerReferences"] = [reference(owner)]
    wanted = {**manifest, "metadata": metadata}
    digest = hashlib.blake2b(_encode(wanted), digest_size=12).hexdigest()
    metadata["annotations"] = {**metadata.get("annotations", {}), APPLIED: digest}
    return wanted, digest


def reference(owner: Manifest) -> Manifest:
    """Return the reference to a controlling owner."""
    metadata = owner["metadata"]
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def contains(there: Any, wanted: Any) -> bool:
    """Return whether an object has all that is wanted of it; what the server adds is no matter."""
    if isinstance(wanted, dict):
        return isinstance(there, dict) and all(
            contains(there.get(key), value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(there, list)
            and len(there) == len(wanted)
            and all(map(contains, there, wanted))
        )
    return bool(there == wanted)

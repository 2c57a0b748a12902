"""What the API server has of the kinds that matter here, kept up to date by watches.

Objects are kept as JSON bytes without what only the server needs, and decoded when they are
looked at: two hundred objects are few, but a cluster is not. Of Secrets and ConfigMaps nothing
but metadata is asked for, so no value of theirs is ever in here.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from controller.reconciler import Manifest
from spine.kube import Change, Kube, Page, follow
from spine.kube.discovery import Resource
from spine.kube.session import JSON, METADATA

LABEL = ("controller", "tocsin")
"""Label of all that is made here; other objects of those kinds are not kept."""
METADATA_ONLY = frozenset({("v1", "Secret"), ("v1", "ConfigMap")})
"""Kinds of which only metadata is kept."""

Name = tuple[str, str]
"""Namespace and name."""
Changed = Callable[[Manifest], None]
"""Called with an object that came, changed or went."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


class Entry(msgspec.Struct):
    """One object."""

    version: int
    """Its resourceVersion: of two states the later one."""
    raw: bytes
    owner: str
    """UID of its controlling owner; empty without one."""

    @property
    def manifest(self) -> Manifest:
        """The object, decoded anew."""
        return _decode(self.raw)


@dataclass(slots=True, eq=False)
class Kept:
    """All objects of one kind."""

    resource: Resource
    labels: str = ""
    """Selector of what is kept."""
    entries: dict[Name, Entry] = field(default_factory=dict)
    owned: dict[str, set[Name]] = field(default_factory=dict)
    """Names by the UID of their owner."""
    gone: dict[Name, int] = field(default_factory=dict)
    """Versions of what was deleted lately, so that no late answer brings it back."""

    @property
    def metadata_only(self) -> bool:
        """Whether nothing but metadata is kept."""
        return (self.resource.api_version, self.resource.kind) in METADATA_ONLY

    def take(self, manifest: Manifest) -> bool:
        """Take the state of an object; return whether it is news."""
        metadata = manifest["metadata"]
        name = metadata.get("namespace", ""), metadata["name"]
        version = _version(metadata)
        known = self.entries.get(name)
        if (known is not None and known.version >= version) or self.gone.get(name, -1) >= version:
            return False
        self.gone.pop(name, None)
        if known is not None:
            self._disown(name, known)
        entry = self.entries[name] = Entry(version, self._kept(manifest), _owner(metadata))
        if entry.owner:
            self.owned.setdefault(entry.owner, set()).add(name)
        return True

    def drop(self, name: Name, version: int = 0) -> Manifest | None:
        """Forget an object and return what was known of it."""
        known = self.entries.get(name)
        if known is None or (version and known.version > version):
            return None
        del self.entries[name]
        self._disown(name, known)
        if version:
            self.gone[name] = version
            while len(self.gone) > _GONE:
                del self.gone[next(iter(self.gone))]
        return known.manifest

    def one_of_each_owner(self) -> Iterator[Manifest]:
        """Yield an object of everybody who owns some."""
        for names in list(self.owned.values()):
            yield self.entries[next(iter(names))].manifest

    def _disown(self, name: Name, entry: Entry) -> None:
        names = self.owned.get(entry.owner)
        if names is not None:
            names.discard(name)
            if not names:
                del self.owned[entry.owner]

    def _kept(self, manifest: Manifest) -> bytes:
        """Return what is kept of an object."""
        metadata = {k: v for k, v in manifest["metadata"].items() if k != "managedFields"}
        kept = {"metadata": metadata} if self.metadata_only else {**manifest, "metadata": metadata}
        kept |= {"apiVersion": self.resource.api_version, "kind": self.resource.kind}
        return _encode(kept)


_GONE = 256


def _owner(metadata: Manifest) -> str:
    owners = metadata.get("ownerReferences") or ()
    return next((str(one["uid"]) for one in owners if one.get("controller")), "")


def _version(metadata: Manifest) -> int:
    """Return a resourceVersion as a number, which it is in all servers that can be watched."""
    text = str(metadata.get("resourceVersion", ""))
    return int(text) if text.isdecimal() else 0


class Cache:
    """All kinds that are followed."""

    def __init__(self, kube: Kube, namespaces: tuple[str, ...] = ()) -> None:
        self.kube = kube
        self._namespaces = namespaces or ("",)
        self._kinds: dict[tuple[str, str], Kept] = {}
        self._waiting: set[tuple[str, str, str]] = set()

    @property
    def problem(self) -> str:
        """What has not been listed yet; empty when everything is known."""
        kinds = sorted({kind for _, kind, _ in self._waiting})
        return f"listing {', '.join(kinds)}" if kinds else ""

    def kept(self, api_version: str, kind: str) -> Kept | None:
        """Return what is kept of a kind; None where it is not followed."""
        return self._kinds.get((api_version, kind))

    def each(self) -> list[Kept]:
        """Return what is kept, of each kind."""
        return list(self._kinds.values())

    async def add(self, api_version: str, kind: str, *, labels: str = "") -> Kept:
        """Follow a kind from now on. Raises ConfigError where nobody serves it."""
        resource = await self.kube.discovery.kind(api_version, kind)
        kept = self._kinds[api_version, kind] = Kept(resource, labels)
        self._waiting |= {(api_version, kind, namespace) for namespace in self._namespaces}
        return kept

    async def run(self, changed: Changed) -> None:
        """Keep everything up to date until cancelled. Raises KubeError where it is refused."""
        async with asyncio.TaskGroup() as group:
            for kept in self._kinds.values():
                for namespace in self._namespaces:
                    group.create_task(
                        self._follow(kept, namespace, changed),
                        name=f"follow {kept.resource.plural}",
                    )

    async def _follow(self, kept: Kept, namespace: str, changed: Changed) -> None:
        resource, seen = kept.resource, set[Name]()
        accept = METADATA if kept.metadata_only else JSON
        following = follow(self.kube, resource, namespace, labels=kept.labels, accept=accept)
        async for told in following:
            if isinstance(told, Page):
                seen = set() if told.first else seen
                for item in told.items:
                    seen.add((item.meta.namespace, item.meta.name))
                    self._take(kept, item.raw, changed)
                if told.last:
                    listed_at = _version({"resourceVersion": told.version})
                    self._compare(kept, namespace, seen, listed_at, changed)
                    self._waiting.discard((resource.api_version, resource.kind, namespace))
            else:
                self._change(kept, told, changed)

    def _change(self, kept: Kept, told: Change, changed: Changed) -> None:
        meta = told.item.meta
        if told.type in {"ADDED", "MODIFIED"}:
            self._take(kept, told.item.raw, changed)
        elif told.type == "DELETED":
            name = meta.namespace, meta.name
            gone = kept.drop(name, _version({"resourceVersion": meta.resource_version}))
            if gone is not None:
                changed(gone)

    @staticmethod
    def _take(kept: Kept, raw: bytes, changed: Changed) -> None:
        manifest = _decode(raw)
        if kept.take(manifest):
            manifest |= {"apiVersion": kept.resource.api_version, "kind": kept.resource.kind}
            changed(manifest)

    @staticmethod
    def _compare(
        kept: Kept, namespace: str, seen: set[Name], listed_at: int, changed: Changed
    ) -> None:
        """Forget what a whole list does not have any more: not what was written after it."""
        for name in [n for n in kept.entries if n not in seen and namespace in {"", n[0]}]:
            gone = kept.drop(name, listed_at)
            if gone is not None:
                changed(gone)

    def names(self, api_version: str, kind: str, namespace: str = "") -> Iterator[Name]:
        """Yield the names of all objects of a kind."""
        kept = self._kinds.get((api_version, kind))
        for name in list(kept.entries) if kept is not None else ():
            if namespace in {"", name[0]}:
                yield name

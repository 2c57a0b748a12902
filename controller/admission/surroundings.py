"""What the controller's cache knows of a namespace, for checks against what is around an object.

Only names: of a Secret or ConfigMap the cache has no keys, and nothing is read for it.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override

from controller.admission.review import Said
from controller.cache import Cache
from controller.objects import DEFAULT_BUS
from controller.together import Needs, Reference, Sender, complaints, event_names, near
from spine.compat import modernise
from spine.manifest import ARGO
from spine.model import dotted


@dataclass(frozen=True, slots=True)
class _Names(Collection[str]):
    """Names of all objects of a kind in a namespace."""

    cache: Cache
    api_version: str
    kind: str
    namespace: str

    @override
    def __contains__(self, name: object) -> bool:
        kept = self.cache.kept(self.api_version, self.kind)
        return kept is not None and (self.namespace, name) in kept.entries

    @override
    def __iter__(self) -> Iterator[str]:
        return (name for _, name in self.cache.names(self.api_version, self.kind, self.namespace))

    @override
    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True, slots=True)
class _Senders(Mapping[str, Sender]):
    """EventSources, read when they are asked for."""

    names: _Names
    _read: dict[str, Sender] = field(default_factory=dict)

    @override
    def __getitem__(self, name: str) -> Sender:
        if name not in self._read:
            self._read[name] = self._sender(name)
        return self._read[name]

    def _sender(self, name: str) -> Sender:
        kept = self.names.cache.kept(ARGO, "EventSource")
        if kept is None:
            raise KeyError(name)
        manifest = kept.entries[self.names.namespace, name].manifest
        spec: Any = manifest.get("spec")
        if not isinstance(spec, dict):
            return Sender(DEFAULT_BUS, ())
        spec = modernise("EventSource", {**manifest, "spec": spec}).raw["spec"]
        bus = spec.get("eventBusName")
        return Sender(bus if isinstance(bus, str) and bus else DEFAULT_BUS, event_names(spec))

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    @override
    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What there is in a namespace."""

    cache: Cache
    namespace: str

    @property
    def where(self) -> str:
        """Where it is looked for."""
        return f"in namespace {self.namespace!r}"

    def senders(self) -> Mapping[str, Sender]:
        """Return the EventSources."""
        return _Senders(_Names(self.cache, ARGO, "EventSource", self.namespace))

    def names(self, kind: str) -> Collection[str]:
        """Return the Secrets or ConfigMaps."""
        return _Names(self.cache, "v1", kind, self.namespace)

    def keys(self, _kind: str, _name: str) -> None:
        """Return nothing: only names are known."""

    def way_out(self, _: Reference) -> str:
        """Return nothing: whoever applies it knows what comes next."""
        return ""

    def complaints(self, kind: str, asked: Needs) -> Iterator[Said]:
        """Yield what an object needs and is not there, or does not fit."""
        buses = _Names(self.cache, ARGO, "EventBus", self.namespace)
        if kind != "EventBus" and asked.bus not in buses:
            message = f"no EventBus {asked.bus!r} {self.where}{near(asked.bus, buses)}"
            yield Said(dotted(asked.bus_path), message)
        for path, message, _ in complaints(asked, self):
            yield Said(dotted(path), message)

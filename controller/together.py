"""Checks of an object against what is around it: its bus, what sends its events, its Secrets.

What an object needs is read off it once, as plain data, and held against whatever knows what
there is: a folder of manifests in `lint` and `run`, a cluster in admission. Much may come later
or be elsewhere, so how bad it is that something is missing is for the caller to say.
"""

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any, NamedTuple, Protocol

import msgspec

from controller.objects import Checked, references
from spine.model import Path
from spine.secrets import SecretRef

LONGEST, MOST = 253, 1_000
"""Characters of a name, and names, among which one that is alike is looked for."""
_NOT_SOURCES = frozenset(
    {"template", "service", "eventBusName", "replicas", "replica", "suspend", "type"}
)


class Dependency(msgspec.Struct, frozen=True):
    """An event that a Sensor waits for."""

    source: str
    event: str
    source_path: Path
    """Where the name of the EventSource stands, as the user wrote it."""
    event_path: Path


class Reference(msgspec.Struct, frozen=True):
    """A Secret or ConfigMap that an object reads."""

    kind: str
    name: str
    key: str
    """Empty for all of it."""
    name_path: Path
    key_path: Path


class Needs(msgspec.Struct, frozen=True):
    """What one object needs to be there."""

    bus: str
    bus_path: Path
    dependencies: list[Dependency] = []
    references: list[Reference] = []


@dataclass(frozen=True, slots=True)
class Sender:
    """What an EventSource sends, and where."""

    bus: str
    events: Collection[str]


class Around(Protocol):
    """What there is beside an object, in its namespace."""

    @property
    def where(self) -> str:
        """Such as `in these manifests`."""
        ...

    def senders(self) -> Mapping[str, Sender]:
        """Return the EventSources."""
        ...

    def names(self, kind: str) -> Collection[str]:
        """Return the Secrets or ConfigMaps."""
        ...

    def keys(self, kind: str, name: str, /) -> Collection[str] | None:
        """Return the keys of a Secret or ConfigMap that is there; None where nobody knows."""
        ...

    def way_out(self, reference: Reference, /) -> str:
        """Return what to do where one is missing, in parentheses; may be empty."""
        ...


class Complaint(NamedTuple):
    """Something that does not fit."""

    path: Path
    message: str
    missing: str = ""
    """Kind of what is not there; empty where what is there does not fit."""


def near(word: str, known: Iterable[str]) -> str:
    """Return a hint at a name that is alike; empty where none is."""
    if len(word) > LONGEST:
        return ""
    found = difflib.get_close_matches(word, list(islice(known, MOST)), n=1, cutoff=0.6)
    return f" (did you mean {found[0]})" if found else ""


# ---------------------------------------------------------------------------- needs


def needs(checked: Checked) -> Needs:
    """Return what an object needs, as far as it can be read off it."""
    origin = checked.modern.origin
    found = [
        Reference(
            "Secret" if isinstance(ref, SecretRef) else "ConfigMap",
            ref.name,
            ref.key,
            origin((*path, "name")),
            origin((*path, "key")),
        )
        for path, ref in references(checked)
        if ref.name
    ]
    return Needs(
        checked.bus[1], origin(("spec", "eventBusName")), list(_dependencies(checked)), found
    )


def _dependencies(checked: Checked) -> Iterator[Dependency]:
    dependencies = checked.modern.raw["spec"].get("dependencies")
    if checked.object.kind != "Sensor" or not isinstance(dependencies, list):
        return
    origin = checked.modern.origin
    for index, one in enumerate(dependencies):
        if not isinstance(one, dict):
            continue
        source, event = one.get("eventSourceName"), one.get("eventName")
        if isinstance(source, str) and source and isinstance(event, str) and event:
            base: Path = ("spec", "dependencies", index)
            paths = origin((*base, "eventSourceName")), origin((*base, "eventName"))
            yield Dependency(source, event, *paths)


def event_names(spec: Mapping[str, Any]) -> dict[str, Path]:
    """Return the events of the `spec` of an EventSource, of kinds that are not built yet too."""
    return {
        event: ("spec", key, event)
        for key, events in spec.items()
        if key not in _NOT_SOURCES and isinstance(events, dict)
        for event in events
    }


# ---------------------------------------------------------------------------- complaints


def complaints(asked: Needs, around: Around) -> Iterator[Complaint]:
    """Yield what does not fit; the bus is for the caller to look at."""
    if asked.dependencies:
        senders = around.senders()
        for one in asked.dependencies:
            yield from _dependency(one, asked.bus, senders, around.where)
    for ref in asked.references:
        yield from _reference(ref, around)


def _dependency(
    one: Dependency, bus: str, senders: Mapping[str, Sender], where: str
) -> Iterator[Complaint]:
    found = [senders[name] for name in senders if fnmatchcase(name, one.source)]
    if not found:
        message = f"no EventSource {one.source!r} {where}{near(one.source, senders)}"
        yield Complaint(one.source_path, message, "EventSource")
        return
    known = {event for sender in found for event in sender.events}
    if not any(fnmatchcase(event, one.event) for event in known):
        other = near(one.event, known) or f" (it has {', '.join(sorted(known)) or 'none'})"
        message = f"EventSource {one.source!r} has no event {one.event!r}{other}"
        yield Complaint(one.event_path, message)
    elif all(sender.bus != bus for sender in found):
        message = (
            f"EventSource {one.source!r} sends to EventBus {found[0].bus!r}, and this Sensor reads"
            f" {bus!r} (give both the same eventBusName)"
        )
        yield Complaint(one.source_path, message)


def _reference(ref: Reference, around: Around) -> Iterator[Complaint]:
    names = around.names(ref.kind)
    if ref.name not in names:
        way_out = near(ref.name, names) or around.way_out(ref)
        message = f"no {ref.kind} {ref.name!r} {around.where}{way_out}"
        yield Complaint(ref.name_path, message, ref.kind)
        return
    keys = around.keys(ref.kind, ref.name)
    if ref.key and keys is not None and ref.key not in keys:
        other = near(ref.key, keys) or f" (it has {', '.join(sorted(keys))})"
        message = f"{ref.kind} {ref.name!r} has no key {ref.key!r}{other}"
        yield Complaint(ref.key_path, message)

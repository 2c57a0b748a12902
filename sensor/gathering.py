"""Gatherings: the events that a trigger holds together, and what fires of them.

A debounce keeps the newest event of each dependency, a batch keeps all. A gathering is a value
that is replaced, never changed. Many events are sealed into parts, whose content is fixed, so
that what is stored with each further event stays small.
"""

import hashlib
from collections.abc import Sequence

import msgspec

from sensor import yaml_body
from sensor.firing import YAML, Firing
from sensor.mark import Mark
from spine.event import JSON, Event, message_id
from spine.lang import gojson
from spine.lang.gjson import Document


class Gathered(msgspec.Struct, frozen=True, array_like=True):
    """One event."""

    dependency: str
    mark: Mark
    event: Event
    """As the dependency sees it. In a batch its data is the JSON that stands in the array."""

    @property
    def size(self) -> int:
        """Bytes of its data."""
        return len(self.event.data or b"")


class Part(msgspec.Struct, frozen=True, array_like=True):
    """Events that are stored under a key of their own."""

    key: str
    body: bytes
    """A JSON array of Gathered."""


class Gathering(msgspec.Struct, frozen=True):
    """The events of one key. Never changed, only replaced."""

    batch: bool
    """Whether all events count, and not only the newest."""
    first: float
    """When the first of them came, in unix seconds."""
    last: float
    """When the newest of them came."""
    top: int
    """Highest sequence among them."""
    count: int = 0
    """Events that came."""
    size: int = 0
    """Bytes of data that are held."""
    loose: tuple[Gathered, ...] = ()
    sealed: tuple[Part, ...] = ()

    def events(self, loose: Sequence[Gathered] | None = None) -> list[Gathered]:
        """Return what is held, in the order of the stream; with other loose events if given."""
        held = [one for part in self.sealed for one in _decode(part.body)]
        held += self.loose if loose is None else loose
        return sorted(held, key=lambda one: one.mark)


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Gathered]).decode


def seal(gathering: Gathering, key: str) -> Gathering:
    """Return it with its loose events put into a part."""
    part = Part(key, _encode(gathering.loose))
    return msgspec.structs.replace(gathering, loose=(), sealed=(*gathering.sealed, part))


def apart(held: Gathering) -> list[Gathering]:
    """Return each event by itself: its trigger no longer acts on them in the way it did."""
    return [Gathering(False, 0.0, 0.0, 0, 1, one.size, (one,)) for one in held.events()]


# ---------------------------------------------------------------------------- firing


def element(event: Event, document: Document) -> Event:
    """Return an event whose data is what stands for it in the array of a batch.

    JSON stands as it is, YAML as the JSON that it says, other data as a text, none as null.
    """
    if event.datacontenttype == JSON and event.data is not None and document.valid:
        return event
    data = b"null" if event.data is None else _as_json(event.data, event.datacontenttype)
    return msgspec.structs.replace(event, data=data, datacontenttype=JSON)


def _as_json(data: bytes, content_type: str) -> bytes:
    if content_type == YAML:
        try:
            return yaml_body.to_json(data)
        except ValueError:
            pass  # a text then
    return gojson.quote(data.decode(errors="replace"))


def firing_of(held: Gathering) -> tuple[Firing, dict[str, str], str]:
    """Return the events of a firing, what its key is made of, and the newest dependency.

    In a batch, the event of a dependency is its newest one with the array of all data.
    """
    groups: dict[str, list[Event]] = {}
    name = ""
    for one in held.events():
        name = one.dependency
        groups.setdefault(name, []).append(one.event)
    merge = _array if held.batch else _newest
    ids = {dependency: _identity(events) for dependency, events in groups.items()}
    return Firing({dependency: merge(events) for dependency, events in groups.items()}), ids, name


def _newest(events: Sequence[Event]) -> Event:
    return events[-1]


def _identity(events: Sequence[Event]) -> str:
    ids = [message_id(event) for event in events]
    if len(ids) == 1:
        return ids[0]
    return hashlib.blake2b("".join(ids).encode(), digest_size=16).hexdigest()


def _array(events: Sequence[Event]) -> Event:
    data = b"[" + b",".join(event.data or b"null" for event in events) + b"]"
    return msgspec.structs.replace(events[-1], data=data)

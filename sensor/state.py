"""What triggers remember of events that came before, and how it is stored.

One value for each trigger that waits: with an `&&` in its conditions the newest event of each
dependency that has come, with `debounce` or `batch` the events that it gathers; how far each
dependency was counted (a redelivered event is not counted twice), and firings whose action is
not yet known to be on the bus (a crash in between does not lose them). Events are large, so they
are stored under keys of their own and never change there.
"""

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from sensor.gathering import Gathered, Gathering, Part
from sensor.mark import NOWHERE, Counted, Mark
from spine.event import Event

__all__ = [
    "EMPTY",
    "Counted",
    "Mark",
    "Saved",
    "State",
    "TriggerState",
    "body_key",
    "body_keys",
    "glance",
    "join",
    "split",
]

_NONE = Counted()


class Saved(msgspec.Struct, frozen=True):
    """An event that waits for others, after its transform."""

    mark: Mark
    event: Event


class TriggerState(msgspec.Struct, frozen=True):
    """What one trigger remembers. Never changed, only replaced."""

    saved: dict[str, Saved] = {}
    """Dependency -> its newest event since the last firing."""
    counted: dict[str, Counted] = {}
    """Dependency -> which of its events were counted."""
    firings: dict[str, dict[str, Saved]] = {}
    """Key of an action -> its events by dependency, until the action is on the bus or it is known
    as a dead letter that it cannot be made."""
    reset: Mark = NOWHERE
    """The last reset of the conditions, and the first event that was seen after it."""
    gathered: dict[str, Gathering] = {}
    """Key -> the events that wait together, of a trigger with `debounce` or `batch`."""
    released: dict[str, Gathering] = {}
    """Key of an action -> what had been gathered for it; as `firings`."""

    @property
    def owed(self) -> frozenset[str]:
        """Keys of the actions that are not known to be on the bus."""
        return frozenset([*self.firings, *self.released])

    def counted_of(self, dependency: str) -> Counted:
        """Return which events of a dependency were counted."""
        return self.counted.get(dependency, _NONE)

    def trim(self, sequence: int) -> "TriggerState":
        """Return it without a record of events that are never delivered again."""
        counted = {name: one.trim(sequence) for name, one in self.counted.items()}
        return msgspec.structs.replace(self, counted=counted)


class State(msgspec.Struct, frozen=True):
    """What the triggers of a Sensor remember."""

    triggers: dict[str, TriggerState] = {}

    def of(self, trigger: str) -> TriggerState:
        """Return what a trigger remembers."""
        return self.triggers.get(trigger, _NOTHING)

    def replace(self, trigger: str, state: TriggerState) -> "State":
        """Return a state in which one trigger remembers something else."""
        return State({**self.triggers, trigger: state})

    def finish(self, trigger: str, keys: Iterable[str]) -> "State":
        """Return a state without firings whose actions are on the bus."""
        state, done = self.of(trigger), set(keys)
        firings = {key: events for key, events in state.firings.items() if key not in done}
        released = {key: held for key, held in state.released.items() if key not in done}
        left = msgspec.structs.replace(state, firings=firings, released=released)
        return self.replace(trigger, left)


_NOTHING = TriggerState()
EMPTY = State()


# ---------------------------------------------------------------------------- storing


class _Held(msgspec.Struct, array_like=True):
    """A Gathering without its parts."""

    batch: bool
    first: float
    last: float
    top: int
    count: int
    size: int
    loose: tuple[Gathered, ...]
    parts: tuple[str, ...] = ()


class _Head(msgspec.Struct, omit_defaults=True):
    """A TriggerState without the events."""

    saved: dict[str, Mark] = {}
    counted: dict[str, Counted] = {}
    firings: dict[str, dict[str, Mark]] = {}
    bodies: dict[str, msgspec.Raw] = {}
    """Key -> event, of small ones."""
    reset: Mark = NOWHERE
    gathered: dict[str, _Held] = {}
    released: dict[str, _Held] = {}


_encode = msgspec.json.Encoder().encode
_decode_head = msgspec.json.Decoder(_Head).decode
_decode_event = msgspec.json.Decoder(Event).decode


def body_key(dependency: str, mark: Mark) -> str:
    """Return the key of an event's body: letters, digits and dashes."""
    text = f"{dependency}\x00{mark.stored!r}".encode()
    return f"{mark.sequence}-{hashlib.blake2b(text, digest_size=8).hexdigest()}"


def split(state: TriggerState, room: int = 0) -> tuple[bytes, dict[str, bytes]]:
    """Return what is stored for a trigger: its value, and key -> body of the events it names.

    A body under a key never changes: only new keys need be written, and those that are gone can
    be deleted once the value is written. Small bodies go into the value, up to `room` bytes in
    all: one write of many is far cheaper than many writes.
    """
    groups = [state.saved, *state.firings.values()]
    events = {
        body_key(name, saved.mark): saved.event for group in groups for name, saved in group.items()
    }
    bodies = {key: _encode(event) for key, event in events.items()}
    inline = {}
    for key in sorted(bodies, key=lambda key: len(bodies[key])):
        room -= len(bodies[key])
        if room < 0:
            break
        inline[key] = msgspec.Raw(bodies.pop(key))
    for held in (*state.gathered.values(), *state.released.values()):
        bodies.update({part.key: part.body for part in held.sealed})
    head = _Head(
        bodies=inline,
        saved={name: saved.mark for name, saved in state.saved.items()},
        counted=state.counted,
        firings={
            key: {name: saved.mark for name, saved in events.items()}
            for key, events in state.firings.items()
        },
        reset=state.reset,
        gathered={key: _head_of(held) for key, held in state.gathered.items()},
        released={key: _head_of(held) for key, held in state.released.items()},
    )
    return _encode(head), bodies


def _head_of(held: Gathering) -> _Held:
    parts = tuple(part.key for part in held.sealed)
    rest = (held.batch, held.first, held.last, held.top, held.count, held.size)
    return _Held(*rest, held.loose, parts)


def body_keys(value: bytes) -> frozenset[str]:
    """Return the keys of the bodies that a stored value names and does not hold."""
    head = _decode_head(value)
    groups = [head.saved, *head.firings.values()]
    named = frozenset(body_key(name, mark) for group in groups for name, mark in group.items())
    held = (*head.gathered.values(), *head.released.values())
    parts = frozenset(part for one in held for part in one.parts)
    return (named - head.bodies.keys()) | parts


def join(value: bytes, bodies: Mapping[str, bytes]) -> TriggerState:
    """Return what `split` took apart.

    Events whose body is missing are left out, and so are firings that are not whole.
    """
    head = _decode_head(value)
    bodies = {**bodies, **{key: bytes(raw) for key, raw in head.bodies.items()}}
    firings = {key: _saved(marks, bodies) for key, marks in head.firings.items()}
    return TriggerState(
        saved=_saved(head.saved, bodies),
        counted=head.counted,
        firings={k: f for k, f in firings.items() if f.keys() == head.firings[k].keys()},
        reset=head.reset,
        gathered={key: _gathering(held, bodies) for key, held in head.gathered.items()},
        released={
            key: _gathering(held, bodies)
            for key, held in head.released.items()
            if bodies.keys() >= set(held.parts)
        },
    )


def glance(value: bytes) -> tuple[dict[str, Gathering], frozenset[str]]:
    """Return what a stored value says without any body.

    That is since when events are gathered, by key, and which of their firings are unfinished.
    """
    head = _decode_head(value)
    gathered = {key: _gathering(held, {}) for key, held in head.gathered.items()}
    return gathered, frozenset(head.released)


def _gathering(held: _Held, bodies: Mapping[str, bytes]) -> Gathering:
    sealed = tuple(Part(key, bodies[key]) for key in held.parts if key in bodies)
    rest = (held.batch, held.first, held.last, held.top, held.count, held.size)
    return Gathering(*rest, held.loose, sealed)


def _saved(marks: Mapping[str, Mark], bodies: Mapping[str, bytes]) -> dict[str, Saved]:
    out = {}
    for name, mark in marks.items():
        body = bodies.get(body_key(name, mark))
        if body is not None:
            out[name] = Saved(mark, _decode_event(body))
    return out

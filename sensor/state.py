"""What is kept of half-met conditions, and how it is stored.

One value for each trigger with an `&&` in its conditions: the newest event of each dependency
that has come, how far each dependency was counted (a redelivered event is not counted twice),
and firings whose action is not yet known to be on the bus (a crash in between does not lose
them). Events are large, so they are stored under keys of their own and never change there.
"""

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from spine.event import Event


class Mark(msgspec.Struct, frozen=True, array_like=True, order=True):
    """A place in the stream of events."""

    stored: float
    """When the bus took it, in unix seconds: a stream that was made anew counts from 1 again."""
    sequence: int


class Counted(msgspec.Struct, frozen=True, array_like=True):
    """Which events of a dependency have been counted.

    Replicas count out of order, so the latest alone does not tell: all up to a place, and beyond
    it one by one until nothing before them is under way any more.
    """

    floor: int = 0
    """Sequence up to which no event will be delivered again."""
    latest: float = 0.0
    """When the newest of them was stored: what is newer, yet stands where an older one stood, is
    of a stream that was made anew."""
    above: frozenset[int] = frozenset()
    """Sequences beyond the floor."""

    def covers(self, mark: Mark) -> bool:
        """Return whether an event was counted."""
        return mark.stored <= self.latest and self._has(mark)

    def _has(self, mark: Mark) -> bool:
        return mark.sequence <= self.floor or mark.sequence in self.above

    def add(self, mark: Mark) -> "Counted":
        """Return it with one more event."""
        if mark.stored > self.latest and self._has(mark):
            return Counted(0, mark.stored, frozenset({mark.sequence}))
        return Counted(self.floor, max(self.latest, mark.stored), self.above | {mark.sequence})

    def trim(self, sequence: int) -> "Counted":
        """Return it shorter: nothing up to a sequence will be delivered again."""
        gone = [number for number in self.above if number <= sequence]
        if not gone:
            return self
        return Counted(max(gone), self.latest, self.above.difference(gone))


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
        return self.replace(trigger, msgspec.structs.replace(state, firings=firings))


_NOTHING = TriggerState()
EMPTY = State()


# ---------------------------------------------------------------------------- storing


class _Head(msgspec.Struct):
    """A TriggerState without the events."""

    saved: dict[str, Mark] = {}
    counted: dict[str, Counted] = {}
    firings: dict[str, dict[str, Mark]] = {}
    bodies: dict[str, msgspec.Raw] = {}
    """Key -> event, of small ones."""


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
    head = _Head(
        bodies=inline,
        saved={name: saved.mark for name, saved in state.saved.items()},
        counted=state.counted,
        firings={
            key: {name: saved.mark for name, saved in events.items()}
            for key, events in state.firings.items()
        },
    )
    return _encode(head), bodies


def body_keys(value: bytes) -> frozenset[str]:
    """Return the keys of the bodies that a stored value names and does not hold."""
    head = _decode_head(value)
    groups = [head.saved, *head.firings.values()]
    named = frozenset(body_key(name, mark) for group in groups for name, mark in group.items())
    return named - head.bodies.keys()


def join(value: bytes, bodies: Mapping[str, bytes]) -> TriggerState:
    """Return what `split` took apart. Events whose body is missing are left out."""
    head = _decode_head(value)
    bodies = {**bodies, **{key: bytes(raw) for key, raw in head.bodies.items()}}
    firings = {key: _saved(marks, bodies) for key, marks in head.firings.items()}
    return TriggerState(
        saved=_saved(head.saved, bodies),
        counted=head.counted,
        firings={k: f for k, f in firings.items() if f.keys() == head.firings[k].keys()},
    )


def _saved(marks: Mapping[str, Mark], bodies: Mapping[str, bytes]) -> dict[str, Saved]:
    out = {}
    for name, mark in marks.items():
        body = bodies.get(body_key(name, mark))
        if body is not None:
            out[name] = Saved(mark, _decode_event(body))
    return out

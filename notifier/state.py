"""What is remembered of an object: which conditions hold since when, and who was told of them.

Pure records and the arithmetic on them; `notifier.keeping` stores them in the bus, one key for
each object. Times are unix seconds.

A condition that becomes true begins a new activation, with the next number. Without `oncePer` a
destination is told once for each activation, with it once for each value. What was told bears the
number, so a message that is confirmed late never counts for a later activation.
"""

import hashlib
from collections import Counter
from collections.abc import Collection
from typing import Literal

import msgspec

LONGEST = 64
"""Bytes of a `oncePer` value that is kept as it is; a longer one is hashed."""
LATEST = 3
"""Activations without `oncePer` that are remembered for each destination."""
KEPT = 20
"""Values of `oncePer` that are remembered for each condition and destination."""
WHOLE = 5_000
"""Destinations and values that are remembered of a condition, beside those of now."""
KEPT_FOR = 30 * 24 * 3600.0
"""Seconds for which it is remembered who was told of what holds no more."""
LEFT_FOR = 300.0
"""Seconds for which a condition that was edited away can be taken for the one it became."""

Stage = Literal["claimed", "sent", "dead", "adopted", "imported", "broken", "muted"]
"""How far a message is. `claimed`: stored on the bus, on its way. `adopted` and `imported`: taken
as told, by `onStart` or by Argo's annotation. `broken`: its template failed. `muted`: dropped by
quiet hours."""


class Told(msgspec.Struct, omit_defaults=True):
    """One destination that was told of one activation of a condition."""

    service: str
    recipient: str
    stage: Stage
    at: float
    """When it was claimed, for a repetition the latest."""
    number: int
    """The activation."""
    once: str = ""
    """Value of `oncePer`, hashed where it is long; empty where there is none."""
    repeats: int = 0
    """How often it was told again, by `repeatEvery`."""
    anew: int = 0
    """Activation in which it was told of a value again whose message nobody got."""
    confirmed: str = ""
    """Key of the latest message that its service took."""
    over: bool = False
    """Whether it was told that the condition holds no more."""
    why: str = ""
    """What is wrong with a broken one."""
    config: str = ""
    """Version of the configuration with which it broke."""

    def is_for(self, service: str, recipient: str) -> bool:
        """Return whether it is about this destination."""
        return self.service == service and self.recipient == recipient


class Phase(msgspec.Struct, omit_defaults=True):
    """One condition of one object."""

    number: int = 0
    """Activations so far."""
    since: float = 0.0
    """Since when it holds; 0 where it does not."""
    name: str = ""
    """What messages call it: what it was before it was edited; empty: as it stands in `phases`."""
    index: int = 0
    """Its place in the trigger, to recognise it when it is edited."""
    told: list[Told] = []
    error: str = ""
    """Why it could not be evaluated the last time."""
    left: float = 0.0
    """When it was first seen that its trigger has it no more; 0 while it has."""
    doubt: str = ""
    """Version of the object at an activation of which only a message tells, as whoever met it died
    before he stored it, and that was seen since then to be over: if it holds at a later version,
    that is another one."""
    met: str = ""
    """Version of the object at an activation of which only a message tells so far: what a replica
    that is behind sees of the object at an earlier one does not end it."""

    def found(self, service: str, recipient: str, once: str) -> Told | None:
        """Return who was told already: of this value, or where there is none of this activation."""
        for one in reversed(self.told):
            same = one.is_for(service, recipient) and one.once == once
            if same and (once or one.number == self.number):
                return one
        return None

    def prune(self, now: float, current: Collection[tuple[str, str, str]] = ()) -> None:
        """Forget what counts no more, the oldest first.

        `current` are service, recipient and value of those of whom the condition holds now: they
        are not forgotten, however old they are.
        """
        each, left, beside = Counter[tuple[str, str]](), set[int](), 0
        told = sorted(enumerate(self.told), key=lambda one: (one[1].at, one[0]), reverse=True)
        for at, one in told:
            place = one.service, one.recipient
            each[place] += 1
            counts = bool(one.once) or one.number == self.number
            if counts and (*place, one.once) in current:
                left.add(at)
            elif beside < WHOLE and self._may_matter(one, each[place], now):
                left.add(at)
                beside += 1
        self.told = [self.told[at] for at in sorted(left)]

    def _may_matter(self, told: Told, latest: int, now: float) -> bool:
        """Return whether one is remembered that is so manieth of its destination, from the end."""
        this_time = told.number == self.number
        if not this_time and now - told.at >= KEPT_FOR:
            return False
        return latest <= KEPT if told.once else this_time or latest <= LATEST


class HealthSeen(msgspec.Struct, omit_defaults=True):
    """What was last seen of an object's health."""

    status: str = ""
    since: float = 0.0
    """Since when it has this status."""
    previous: str = ""
    """The status before."""


class ObjectState(msgspec.Struct, omit_defaults=True):
    """Everything that is remembered of one object."""

    version: str = ""
    """resourceVersion that was evaluated when this was written."""
    namespace: str = ""
    name: str = ""
    health: HealthSeen = msgspec.field(default_factory=HealthSeen)
    phases: dict[str, Phase] = {}
    """`TRIGGER/CONDITION` -> what is known of it."""

    def phase(self, trigger: str, condition: str) -> Phase:
        """Return what is known of a condition, to be changed in place."""
        key = f"{trigger}/{condition}"
        found = self.phases.get(key)
        if found is None:
            found, number = Phase(), 1
            while self.named(trigger, name_of(key, found)) is not None:
                number += 1
                found.name = f"{condition}+{number}"
            self.phases[key] = found
        return found

    def named(self, trigger: str, name: str) -> Phase | None:
        """Return the condition of which messages speak by a name."""
        for key, phase in self.phases.items():
            if key.startswith(f"{trigger}/") and name_of(key, phase) == name:
                return phase
        return None


def name_of(key: str, phase: Phase) -> str:
    """Return what messages call a condition, however often it is edited."""
    return phase.name or key.partition("/")[2]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ObjectState).decode


def encode(state: ObjectState) -> bytes:
    """Return a record as it is stored."""
    return _encode(state)


def decode(data: bytes) -> ObjectState:
    """Read a stored record; one that cannot be read is as if there were none."""
    try:
        return _decode(data)
    except msgspec.DecodeError:
        return ObjectState()


def short(once: str) -> str:
    """Return a value of `oncePer` as it is kept."""
    data = once.encode()
    if len(data) <= LONGEST:
        return once
    return "sha256:" + hashlib.sha256(data).hexdigest()[:40]


def message_key(*parts: str) -> str:
    """Return the idempotency key of a message: equal for the same destination and activation."""
    return hashlib.blake2b("\x00".join(parts).encode(), digest_size=16).hexdigest()

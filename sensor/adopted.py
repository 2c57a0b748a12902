"""What was done before this Sensor took over from another program, and is not done again.

Argo Events keeps a position for each trigger and event; a Sensor here has one. So it begins at
the lowest of them, and what lies behind one of the others is skipped for that trigger and that
dependency alone. It is written on the bus before the durable is made, and dropped once the
durable is past all of it; that the Sensor took over stays written.
"""

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import msgspec

from delivery.subjects import token
from eventbus.bus import STATE, Bus, Message, ReaderInfo
from sensor.decision import Skip
from sensor.plan import Plan
from spine.errors import ConflictError


class Position(msgspec.Struct, frozen=True, array_like=True):
    """How far somebody was: what is done of the events that he read."""

    through: int
    """Sequence of the newest event that he was handed."""
    left: frozenset[int] = frozenset()
    """Those of them that he did not acknowledge."""

    def covers(self, sequence: int) -> bool:
        """Return whether an event is done."""
        return sequence <= self.through and sequence not in self.left


class Adopted(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is written of taking over."""

    taken: float
    """When, in unix seconds."""
    after: int | None = None
    """Sequence after which the durable begins; None once it is past all positions."""
    at: float = 0.0
    """When the newest event that may be done was stored: a stream made anew counts from 1."""
    positions: dict[str, Position] = {}
    """By the durable that was taken over; empty for those who had none."""
    places: dict[str, dict[str, str]] = {}
    """Trigger -> dependency -> durable."""
    durables: tuple[str, ...] = ()
    """All that was taken over, until it is forgotten."""
    buckets: tuple[str, ...] = ()


_decode = msgspec.json.Decoder(Adopted).decode


def adopted_key(sensor: str) -> str:
    """Return the key under which it is written that a Sensor took over."""
    return f"{token(sensor)}.@adopted"


async def adopted_of(sensor: str, bus: Bus) -> Adopted | None:
    """Return what is written of a Sensor, None where it took nothing over. Raises BusError."""
    found = await bus.store(STATE).get(adopted_key(sensor))
    return None if found is None else _decode(found[0])


async def write_adopted(sensor: str, bus: Bus, adopted: Adopted) -> None:
    """Write it down. Raises ConflictError where somebody has done so, and BusError."""
    await bus.store(STATE).put(adopted_key(sensor), msgspec.json.encode(adopted), revision=None)


async def change_adopted(sensor: str, bus: Bus, **fields: object) -> None:
    """Change fields of what is written, if anything is. Raises BusError."""
    store, key = bus.store(STATE), adopted_key(sensor)
    while (found := await store.get(key)) is not None:
        before = _decode(found[0])
        after = msgspec.structs.replace(before, **fields)
        if after == before:
            return
        with suppress(ConflictError):  # else a replica was faster: look again
            await store.put(key, msgspec.json.encode(after), revision=found[1])
            return


@dataclass(eq=False)
class Done:
    """What a Sensor has to skip."""

    plan: Plan
    adopted: Adopted

    @cached_property
    def top(self) -> int:
        """Sequence beyond which nothing is skipped."""
        return max((one.through for one in self.adopted.positions.values()), default=0)

    def skip(self, message: Message) -> Skip | None:
        """Return the dependencies that skip an event, some for one trigger; None: all do."""
        if message.sequence > self.top or message.stored > self.adopted.at:
            return ()
        _, source, name = message.subject.split(".", 2)
        skipped: list[str | tuple[str, str]] = []
        dependencies = self.plan.dependencies_of(source, name)
        whole = 0
        for dependency in dependencies:
            pairs = [
                (trigger, dependency.name)
                for trigger in dependency.triggers
                if self._covers(trigger, dependency.name, message.sequence)
            ]
            if len(pairs) == len(dependency.triggers):
                skipped.append(dependency.name)
                whole += 1
            skipped += pairs
        return None if whole == len(dependencies) > 0 else tuple(skipped)

    def _covers(self, trigger: str, dependency: str, sequence: int) -> bool:
        durable = self.adopted.places.get(trigger, {}).get(dependency)
        return durable is not None and self.adopted.positions[durable].covers(sequence)

    def is_behind(self, info: ReaderInfo) -> bool:
        """Return whether the durable is past all that is skipped."""
        nothing_left = info.pending == info.in_flight == 0
        return nothing_left or info.acknowledged >= self.top


async def done_of(plan: Plan, bus: Bus) -> Done | None:
    """Return what is to be skipped, None where nothing is. Raises BusError."""
    adopted = await adopted_of(plan.name, bus)
    return None if adopted is None or adopted.after is None else Done(plan, adopted)


async def drop(plan: Plan, bus: Bus) -> None:
    """Forget the positions: all of them are behind. Raises BusError."""
    await change_adopted(plan.name, bus, after=None, at=0.0, positions={}, places={})

"""Where a Sensor begins: its durable, and the moments from which its dependencies count.

A first durable begins where the Sensor says, at new events by default, or where the program was
whose place it took. An edit never moves it.
But a durable whose filter grows may hand out events that are older than the edit, so the moment
at which a dependency was added is written down, by the clock of the bus, before the durable is
changed, and what is older does not count for it.
"""

import time
from collections.abc import Mapping
from dataclasses import replace

import msgspec

from delivery.inorder import ACK_WAIT
from delivery.subjects import decision_subject, sensor_durable, token
from eventbus.bus import DECISIONS, EVENTS, STATE, Bus, Reader, ReaderInfo
from sensor.adopted import adopted_of
from sensor.plan import Plan
from spine.errors import ConflictError

GENERATION = "generation"
"""Key in a durable's metadata."""


class _Added(msgspec.Struct, frozen=True):
    """When a dependency was added."""

    topic: str
    since: float
    """Unix seconds; 0 where it was there from the first start."""


_decode = msgspec.json.Decoder(dict[str, _Added]).decode


def reader_of(plan: Plan, generation: int = 0) -> Reader:
    """Return the durable of a Sensor, shared by all its replicas."""
    reader = Reader(
        durable=sensor_durable(plan.name),
        subjects=tuple(topic.subject for topic in plan.topics),
        start=plan.start(time.time()),
        metadata={GENERATION: str(generation), "fingerprint": plan.fingerprint},
    )
    return replace(reader, ack_wait=ACK_WAIT) if plan.ordered else reader


async def durable_of(plan: Plan, bus: Bus) -> ReaderInfo | None:
    """Return where the durable of a Sensor stands, None if there is none."""
    name = sensor_durable(plan.name)
    return next((info for info in await bus.readers(EVENTS) if info.durable == name), None)


def generation_of(info: ReaderInfo | None) -> int:
    """Return the generation of the Sensor that made a durable what it is."""
    text = info.metadata.get(GENERATION, "0") if info is not None else "0"
    return int(text) if text.isdecimal() else 0


async def prepare(plan: Plan, bus: Bus, generation: int = 0) -> Mapping[str, float]:
    """Create the durable or bring it up to date, so that no event from now on is missed.

    Returns the unix seconds from which events count, for dependencies that were added later. To
    be called before any source listens. Raises BusError.
    """
    fresh = await durable_of(plan, bus) is None
    added = await _record(plan, bus, fresh=fresh)
    reader = reader_of(plan, generation)
    if fresh and (adopted := await adopted_of(plan.name, bus)) is not None:
        reader = replace(reader, after=adopted.after)
    await bus.ensure(reader)
    return {name: one.since for name, one in added.items() if one.since}


async def _record(plan: Plan, bus: Bus, *, fresh: bool) -> dict[str, _Added]:
    store, key = bus.store(STATE), f"{token(plan.name)}.@dependencies"
    while True:
        found = await store.get(key)
        known = {} if found is None or fresh else _decode(found[0])
        since = 0.0 if found is None or fresh else await _now(plan, bus)
        added = {}
        for name, dependency in plan.dependencies.items():
            topic, before = dependency.topic.subject, known.get(name)
            same = before is not None and before.topic == topic
            added[name] = before if before and same else _Added(topic, since)
        if found is not None and added == known:
            return added
        try:
            revision = None if found is None else found[1]
            await store.put(key, msgspec.json.encode(added), revision=revision)
        except ConflictError:
            continue  # another replica starts too
        return added


async def _now(plan: Plan, bus: Bus) -> float:
    """Return the time by the clock of the bus."""
    subject = decision_subject(plan.name, "@start")
    sequence = await bus.append(DECISIONS, subject, b'{"started":true}')
    message = await bus.get(DECISIONS, sequence)
    return time.time() if message is None else message.stored

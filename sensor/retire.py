"""Forgets Sensors that are gone: their durables and what their conditions remembered.

What waits in their own queue becomes dead letters; events that they have not read are theirs no
more.

A durable that nobody reads holds its events on the bus, and in the end keeps sources from
publishing. So whoever owns a bus tells now and then which Sensors there are; one that has been
missing for the grace period loses its place. Until then it may come back and miss nothing.
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

from delivery.leftover import set_aside
from delivery.subjects import (
    claims_of,
    lane_of,
    sensor_durable,
    sensor_of,
    token,
    tries_of,
)
from eventbus.bus import ACTIONS, EVENTS, STATE, Bus, Store
from eventbus.kept import forget as forget_kept
from eventbus.kept import key_token
from sensor.start import GENERATION
from spine.errors import ConflictError

GRACE = 24 * 3600.0
"""Seconds for which a Sensor may be missing: a day of work on a folder of manifests."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A Sensor that has a place on the bus and is not there."""

    name: str
    pending: int
    """Events that wait for it."""
    forgotten: bool
    """Whether its place was removed now."""


async def retire(
    bus: Bus, present: Collection[str], now: float, *, grace: float = GRACE
) -> list[Missing]:
    """Note which Sensors are missing, and forget those that have been for longer than `grace`.

    `now` is in unix seconds. Raises BusError.
    """
    store, missing = bus.store(STATE), []
    for info in await bus.readers(EVENTS):
        name = sensor_of(info.durable)
        if name is None or GENERATION not in info.metadata:
            continue  # not ours
        key = f"gone/{token(name)}"
        if name in present:
            await store.delete(key)
            continue
        since = await _since(store, key, now)
        over = now - since > grace
        if over:
            await forget(bus, name)
            await store.delete(key)
        missing.append(Missing(name, info.pending + info.in_flight, over))
    return missing


async def forget(bus: Bus, name: str) -> None:
    """Remove the place of a Sensor and all that is remembered for it. Raises BusError."""
    await bus.remove_reader(EVENTS, sensor_durable(name))
    for info in await bus.readers(ACTIONS):
        if lane_of(info.durable, name) is not None:
            await bus.remove_reader(ACTIONS, info.durable)
    await set_aside(bus, name)
    store = bus.store(STATE)
    for prefix in (f"{token(name)}.", claims_of(name), tries_of(name)):
        for kept in await store.keys(prefix):
            await store.delete(kept)
    await forget_kept(bus, f"trigger.{key_token(name)}")


async def _since(store: Store, key: str, now: float) -> float:
    """Return since when a Sensor is missing; note it if this is the first time."""
    found = await store.get(key)
    if found is not None:
        return float(found[0])
    with suppress(ConflictError):  # somebody else has just noted it
        await store.put(key, str(now).encode(), revision=None)
    return now

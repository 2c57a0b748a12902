"""Forgets what deleted objects left on their bus, a day after they were deleted.

No finalizer does that: it would hold an object for as long as it may come back, and one that is
held when the controller goes is stuck, with its namespace. Instead it is written on the bus whom
this EventBus object has ever served, and now and then that is compared with those there are. What
others put on the same bus is none of ours, and is left alone.

The pods of a deleted Sensor finish what is under way. What waits on the bus stays for that day, in
which a Sensor of the same name goes on with it; then actions that were owed become dead letters.

The same look tells how many events wait for each Sensor, how many actions for each of its triggers,
and how many dead letters each object has.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from controller.cluster import Cluster
from controller.reconciler import Key, Manifest
from controller.workload.buses import bus_state
from controller.workload.durables import PATIENCE, secrets_of
from delivery.subjects import NOTIFIER, name_of, sensor_of, token
from eventbus.bus import ACTIONS, DEAD, EVENTS, STATE, Bus, ReaderInfo
from eventbus.config import BusConfig
from eventbus.opening import open_bus
from spine.errors import Fault
from spine.manifest import ARGO, OURS
from spine.model import load

log = logging.getLogger(__name__)

GRACE = 24 * 3600.0
"""Seconds for which an object that was deleted may come back and miss nothing."""
EVERY = 30.0
"""Seconds between looks."""
LONGEST = 20.0
"""Seconds that a look at one bus may take."""
KINDS = (("Sensor", ARGO), ("Notifier", f"{OURS}/v1alpha1"), ("EventSource", ARGO))

Served = dict[str, float]
"""Since when, in unix seconds, what this bus has served is gone, by `KIND/NAME`; 0: it is there."""

_decode = msgspec.json.Decoder(Served).decode


@dataclass(eq=False)
class Sweep:
    """Looks at every bus now and then."""

    lags: dict[Key, int]
    """Events that wait for each Sensor; kept up to date."""
    dead: dict[Key, Mapping[str, int]]
    """Dead letters of each object by its event, trigger or service; kept up to date."""
    pending: dict[Key, Mapping[str, int]]
    """Actions that wait on the bus by trigger; kept up to date."""
    grace: float = GRACE
    every: float = EVERY
    clock: Callable[[], float] = field(default=time.time)

    async def run(self, cluster: Cluster, look: Callable[[Key], None]) -> None:
        """Look at all buses until cancelled; `look` is called for objects that wait longer."""
        while True:
            await asyncio.sleep(self.every)
            for manifest in cluster.all(ARGO, "EventBus"):
                where = f"{manifest['metadata']['namespace']}/{manifest['metadata']['name']}"
                try:
                    async with asyncio.timeout(LONGEST):
                        await self._look(cluster, manifest, look)
                except (Fault, TimeoutError) as exc:
                    log.debug("looking at EventBus %s: %s", where, exc)

    async def _look(
        self, cluster: Cluster, manifest: Manifest, look: Callable[[Key], None]
    ) -> None:
        metadata = manifest["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        state = bus_state(cluster, namespace, name)
        if not state.ready or state.config is None:
            return
        config = load(BusConfig, state.config, what="event bus", lenient=True)
        secrets = await secrets_of(cluster, namespace, config)
        opening = open_bus(config, secrets, give_up_after=PATIENCE, name="tocsin-controller")
        async with opening as bus:
            users = [Key(kind, namespace, one) for kind, one in _users(cluster, namespace, name)]
            there = {f"{one.kind}/{one.name}" for one in users}
            await self.compare(bus, metadata["uid"], namespace, there)
            news = set[Key]()
            for key, lag in (await _lags(bus, namespace, there)).items():
                if self.lags.get(key) != lag:
                    self.lags[key] = lag
                    news.add(key)
            dead = dead_of(await bus.counts(DEAD), namespace)
            pending = pending_of(await bus.readers(ACTIONS), namespace)
            for kept, found in ((self.dead, dead), (self.pending, pending)):
                for key in users:
                    if kept.get(key) != found.get(key, {}):
                        kept[key] = found.get(key, {})
                        news.add(key)
            for key in news:
                look(key)

    async def compare(self, bus: Bus, uid: str, namespace: str, there: Iterable[str]) -> None:
        """Note what an EventBus object serves, `KIND/NAME`, and forget what has long gone.

        Raises BusError, ConflictError where another controller did so at the same time.
        """
        store, key = bus.store(STATE), f"served/{token(uid)}"
        found = await store.get(key)
        before = _decode(found[0]) if found is not None else {}
        served = after(before, there, self.clock())
        for one, since in list(served.items()):
            if since and self.clock() - since > self.grace:
                await _forget(bus, namespace, one)
                log.info("forgot %s of namespace %s on its bus", one, namespace)
                del served[one]
        if served != before:
            revision = None if found is None else found[1]
            await store.put(key, msgspec.json.encode(served), revision=revision)


def after(before: Mapping[str, float], there: Iterable[str], now: float) -> Served:
    """Return what has been served, with what is there now, and since when the others are gone."""
    served = {one: since or now for one, since in before.items()}
    return served | dict.fromkeys(there, 0.0)


def _users(cluster: Cluster, namespace: str, bus: str) -> Iterable[tuple[str, str]]:
    """Yield kind and name of all who use a bus."""
    for kind, api_version in KINDS:
        for one in cluster.all(api_version, kind, namespace):
            spec = one.get("spec") or {}
            if (spec.get("eventBusName") or "default") == bus:
                yield kind, one["metadata"]["name"]


def dead_of(counts: Mapping[str, int], namespace: str) -> dict[Key, dict[str, int]]:
    """Return the dead letters of objects of a namespace by place, from those of subjects."""
    found: dict[Key, dict[str, int]] = {}
    for subject, count in counts.items():
        component, _, rest = subject.removeprefix(f"{DEAD}.").partition(".")
        owner, _, place = rest.partition(".")
        kind, name = _COMPONENTS.get(component, ""), name_of(owner)
        if component == NOTIFIER:
            space, _, name = name.rpartition("/")
            if space != namespace:
                continue
        if kind:
            found.setdefault(Key(kind, namespace, name), {})[name_of(place)] = count
    return found


def pending_of(infos: Iterable[ReaderInfo], namespace: str) -> dict[Key, dict[str, int]]:
    """Return how many actions wait for each trigger of each Sensor."""
    found: dict[Key, dict[str, int]] = {}
    for info in infos:
        _, _, place = info.durable.partition("@")
        owner, _, lane = place.partition("@")
        count, trigger = info.pending + info.in_flight, name_of(lane.partition("@")[0])
        if count and trigger:
            waiting = found.setdefault(Key("Sensor", namespace, name_of(owner)), {})
            waiting[trigger] = waiting.get(trigger, 0) + count
    return found


_COMPONENTS = {"eventsource": "EventSource", "sensor": "Sensor", "notifier": "Notifier"}


async def _forget(bus: Bus, namespace: str, one: str) -> None:
    kind, _, name = one.partition("/")
    if kind == "Sensor":
        from sensor.retire import forget

        await forget(bus, name)
    elif kind == "EventSource":
        from eventsource.retire import forget as forget_source

        await forget_source(bus, name)
    else:
        from notifier.retire import forget as forget_notifier

        await forget_notifier(bus, namespace, name)


async def _lags(bus: Bus, namespace: str, there: set[str]) -> dict[Key, int]:
    found = {}
    for info in await bus.readers(EVENTS):
        name = sensor_of(info.durable)
        if name is not None and f"Sensor/{name}" in there:
            found[Key("Sensor", namespace, name)] = info.pending + info.in_flight
    return found

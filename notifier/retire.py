"""Forgets a Notifier that is gone: what it remembers of objects and gathers.

Messages that it has not sent become dead letters.
"""

from delivery.leftover import set_aside
from delivery.subjects import claims_of, lane_of, notifier_owner, token, tries_of
from eventbus.bus import ACTIONS, STATE, Bus
from eventbus.kept import forget as forget_kept
from eventbus.kept import key_token
from notifier.keeping import name_on_bus


async def forget(bus: Bus, namespace: str, name: str) -> None:
    """Remove all that a Notifier has on a bus. Raises BusError."""
    called = name_on_bus(namespace, name)
    owner, store = notifier_owner(called), bus.store(STATE)
    for info in await bus.readers(ACTIONS):
        if lane_of(info.durable, owner) is not None:
            await bus.remove_reader(ACTIONS, info.durable)
    await set_aside(bus, owner)
    mine = (f"notified/.{token(called)}.", f"digest/.{token(owner)}.", f"{token(owner)}.")
    for prefix in (*mine, claims_of(owner), tries_of(owner)):
        for kept in await store.keys(prefix):
            await store.delete(kept)
    await store.delete(f"adopting/.{token(called)}")
    await forget_kept(bus, f"service.{key_token(called)}")

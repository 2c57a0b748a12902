"""Sensors that are gone lose their place on the bus, but not at once."""

import msgspec
from plan_kit import dependency, event, trigger

from delivery.action import Action
from delivery.dead import list_dead, retry
from delivery.subjects import claim_key, pending_subject, token, tries_key
from eventbus.bus import ACTIONS, EVENTS, STATE
from eventbus.memory import MemoryBus
from sensor.plan import compile_plan
from sensor.retire import Missing, forget, retire
from sensor.spec import SensorSpec
from sensor.start import prepare
from spine.model import load

DAY = 24 * 3600.0


def plan(name: str):
    spec = {"dependencies": [dependency("placed")], "triggers": [trigger()]}
    return compile_plan(name, "ns", load(SensorSpec, spec))


async def durables(bus: MemoryBus) -> set[str]:
    return {info.durable for info in await bus.readers(EVENTS)}


async def test_a_missing_sensor_is_kept_for_the_grace_period_and_then_forgotten():
    bus = MemoryBus()
    for name in ("stays", "goes.away"):
        await prepare(plan(name), bus)
    await bus.publish(event("placed"))

    assert await retire(bus, {"stays", "goes.away"}, 0.0) == []
    assert await retire(bus, {"stays"}, DAY) == [Missing("goes.away", 1, forgotten=False)]
    assert await retire(bus, {"stays"}, 2 * DAY) == [Missing("goes.away", 1, forgotten=False)]
    assert len(await durables(bus)) == 2

    assert await retire(bus, {"stays"}, 2 * DAY + 1) == [Missing("goes.away", 1, forgotten=True)]
    assert await durables(bus) == {"sensor-stays"}
    assert await bus.store(STATE).keys("goes") == []
    assert await bus.store(STATE).keys("gone") == []
    assert await bus.store(STATE).keys("stays")


async def test_one_that_comes_back_begins_a_new_grace_period():
    bus = MemoryBus()
    await prepare(plan("x"), bus)

    await retire(bus, (), 0.0)
    await retire(bus, {"x"}, DAY)
    assert await retire(bus, (), 2 * DAY) == [Missing("x", 0, forgotten=False)]
    assert await durables(bus) == {"sensor-x"}


async def test_what_its_orders_and_keys_left_behind_goes_with_it():
    bus = MemoryBus()
    store = bus.store(STATE)
    for name in ("stays", "goes.away"):
        await prepare(plan(name), bus)
        for key in (claim_key(name, "t", "k"), tries_key(name, "t", "k")):
            await store.put(key, b"1", revision=None)

    await retire(bus, {"stays"}, 0.0)
    assert len(await store.keys("claims/")) == 2
    await retire(bus, {"stays"}, DAY + 1)
    assert await store.keys("claims/") == [claim_key("stays", "t", "k")]
    assert await store.keys("tries/") == [tries_key("stays", "t", "k")]


async def test_what_waited_in_its_queue_becomes_dead_letters_that_can_be_retried():
    bus = MemoryBus()
    for name in ("stays", "goes.away"):
        await prepare(plan(name), bus)
        action = Action(
            key=f"k-{name}", sensor=name, trigger="t", kind="log", content={}, events={}
        )
        for lane in (token("t"), f"{token('t')}@dlq"):
            subject = pending_subject(name, lane)
            await bus.append(
                ACTIONS, subject, msgspec.json.encode(action), message_id=f"{name}{lane}"
            )
        await bus.append(ACTIONS, pending_subject(name, token("x")), b"of the future")

    for _ in range(2):  # once more, as after a crash
        await forget(bus, "goes.away")

    left = [message.subject async for message in bus.read(ACTIONS)]
    assert left == [pending_subject("stays", lane) for lane in ("t", "t@dlq", "x")]
    found = [entry async for entry in list_dead(bus)]
    assert [(e.letter.object, e.letter.place, e.letter.lane) for e in found] == [
        ("goes.away", "t", "t"),
        ("goes.away", "t", "t@dlq"),
        ("goes.away", "x", ""),
    ]
    assert "'goes.away': it was deleted" in found[0].letter.message
    await retry(bus, found[0].sequence)
    await forget(bus, "goes.away")
    assert len([entry async for entry in list_dead(bus)]) == 3

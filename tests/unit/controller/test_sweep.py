"""What deleted objects left on a bus is forgotten, once and not at once."""

import pytest
from plan_kit import dependency, trigger

from controller.sweep import GRACE, Sweep, after
from delivery.subjects import claims_of, notifier_owner
from eventbus.bus import EVENTS, STATE
from eventbus.kept import key_token
from eventbus.memory import MemoryBus
from eventsource.spec import kinds
from notifier.keeping import Records, name_on_bus
from sensor.plan import compile_plan
from sensor.spec import SensorSpec
from sensor.start import prepare
from spine.model import load

UID = "bus-uid"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sweep(clock):
    return Sweep({}, {}, {}, clock=clock)


async def sensors(bus, *names):
    for name in names:
        spec = {"dependencies": [dependency("placed")], "triggers": [trigger()]}
        await prepare(compile_plan(name, "ns", load(SensorSpec, spec)), bus)


async def durables(bus):
    return {info.durable for info in await bus.readers(EVENTS)}


async def test_a_deleted_sensor_loses_its_place_after_the_grace_period(sweep, clock):
    bus = MemoryBus()
    await sensors(bus, "stays", "goes")
    await sweep.compare(bus, UID, "ns", {"Sensor/stays", "Sensor/goes"})
    await sweep.compare(bus, UID, "ns", {"Sensor/stays"})
    clock.now += GRACE
    await sweep.compare(bus, UID, "ns", {"Sensor/stays"})
    assert len(await durables(bus)) == 2
    clock.now += 1
    await sweep.compare(bus, UID, "ns", {"Sensor/stays"})
    assert await durables(bus) == {"sensor-stays"}
    assert await bus.store(STATE).keys("goes") == []
    assert await bus.store(STATE).keys("stays")


async def test_one_that_comes_back_has_lost_nothing(sweep, clock):
    bus = MemoryBus()
    await sensors(bus, "x")
    await sweep.compare(bus, UID, "ns", {"Sensor/x"})
    await sweep.compare(bus, UID, "ns", ())
    clock.now += GRACE
    await sweep.compare(bus, UID, "ns", {"Sensor/x"})
    await sweep.compare(bus, UID, "ns", ())
    clock.now += GRACE
    await sweep.compare(bus, UID, "ns", ())
    assert await durables(bus) == {"sensor-x"}


async def test_what_others_have_on_the_bus_is_left_alone(sweep, clock):
    bus = MemoryBus()
    await sensors(bus, "ours", "theirs")
    for there in ({"Sensor/ours"}, (), ()):
        await sweep.compare(bus, UID, "ns", there)
        await sweep.compare(bus, "another-bus-object", "ns", ())
        clock.now += GRACE + 1
    assert await durables(bus) == {"sensor-theirs"}


async def test_a_notifier_is_forgotten_with_all_that_it_keeps(sweep, clock):
    bus = MemoryBus()
    store = bus.store(STATE)
    keys = {}
    for name in ("stays", "goes"):
        called = name_on_bus("ns", name)
        record = Records(bus, called).key("Pod.", "uid")
        claim = f"{claims_of(notifier_owner(called))}t.k"
        keys[name] = {record, claim, f"service.{key_token(called)}.ns.mail.threads"}
        for key in keys[name]:
            await store.put(key, b"1", revision=None)
    await sweep.compare(bus, UID, "ns", {"Notifier/stays", "Notifier/goes"})
    for _ in range(2):
        await sweep.compare(bus, UID, "ns", {"Notifier/stays"})
        clock.now += GRACE + 1
    left = {key for key in await store.keys() if not key.startswith("served/")}
    assert left == keys["stays"]


KEPT = {
    "EventSource": ("file.{}.e", "resource.{}.e.head", "pubsub.{}.e"),
    "Sensor": ("trigger.{}", "trigger.{}.graves.3"),
}
"""Keys under which sources and triggers keep what they need after a restart."""


@pytest.mark.parametrize("kind", KEPT)
async def test_what_a_source_or_a_trigger_kept_is_forgotten_with_it(sweep, clock, kind):
    bus = MemoryBus()
    keys = {name: {one.format(name) for one in KEPT[kind]} for name in ("go", "going", "stays")}
    for key in {key for some in keys.values() for key in some}:
        await bus.store(STATE).put(key, b"1", revision=None)
    there = {f"{kind}/going", f"{kind}/stays"}
    await sweep.compare(bus, UID, "ns", {*there, f"{kind}/go"})
    await sweep.compare(bus, UID, "ns", there)
    clock.now += GRACE
    await sweep.compare(bus, UID, "ns", there)
    left = {key for key in await bus.store(STATE).keys() if not key.startswith("served/")}
    assert left == keys["go"] | keys["going"] | keys["stays"]
    clock.now += 1
    await sweep.compare(bus, UID, "ns", there)
    left = {key for key in await bus.store(STATE).keys() if not key.startswith("served/")}
    assert left == keys["going"] | keys["stays"]


def test_the_kinds_of_sources_are_those_of_the_keys():
    assert {key.partition(".")[0] for key in KEPT["EventSource"]} <= {
        kind.type for kind in kinds().values()
    }


def test_since_when_something_is_gone_is_kept():
    assert after({"a": 0.0, "b": 5.0, "c": 6.0}, {"c", "d"}, 9.0) == {
        "a": 9.0,
        "b": 5.0,
        "c": 0.0,
        "d": 0.0,
    }

"""Events that are held together, in sensors on a bus in memory: in time, never lost or twice."""

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import pytest
from delivery_kit import Target, dead, pending, until
from sensor_kit import dependency, event, plan, running, trigger, use_targets

from delivery.dead import retry
from eventbus.bus import EVENTS, STATE
from eventbus.memory import MemoryBus
from sensor.evaluate import tick
from sensor.keeping import Keeper
from sensor.plan import Plan
from spine.errors import BusError

pytestmark = pytest.mark.looptime


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus()


@pytest.fixture
def target(monkeypatch) -> Target:
    found = Target()
    use_targets(monkeypatch, {"t": found})
    return found


def holding(dest: str = "#.n", conditions: str = "a", names: str = "a", **how: Any) -> Plan:
    """A trigger whose body is `{"n": VALUE}`."""
    entry = trigger("t", conditions, **how)
    src = {"dependencyName": "a", "dataKey": dest, "useRawData": True}
    entry["template"]["http"]["payload"] = [{"src": src, "dest": "n"}]
    return plan([dependency(name) for name in names], [entry])


DEBOUNCE = holding("n", debounce={"duration": "30s", "maxWait": "5m"})
BATCH = holding(batch={"count": 5, "duration": "30s"})


@asynccontextmanager
async def replica(bus: MemoryBus, made: Plan, **more: Any):
    async with running(bus, made, clock=bus._clock.now, **more) as runner:
        yield runner


def now() -> float:
    return asyncio.get_running_loop().time()


async def settled(bus: MemoryBus) -> None:
    """Wait until all events are acknowledged and all actions done."""
    async with asyncio.timeout(1_000):
        while True:
            [info] = [r for r in await bus.readers(EVENTS) if r.durable == "sensor-s"]
            if not (info.pending + info.in_flight + await pending(bus)):
                return
            await asyncio.sleep(0.1)


def fired(target: Target) -> list[Any]:
    return [body["n"] for body in target.bodies]


async def test_what_another_replica_fires_first_is_not_fired_with_more(bus, target):
    """Both find that a batch is due, and one has met another event by then."""
    store = bus.store(STATE)
    put, other = store.put, Keeper(BATCH, store, lambda: asyncio.sleep(0, 0))

    async def refuses(*_: Any, **__: Any) -> int:
        raise BusError("writing: no")

    async def too_late(key: str, value: bytes, *, revision: int | None) -> int:
        store.put = put
        await other.load()
        first = tick(BATCH, other.state, bus._clock.now())
        await other.write(first.state, first.changed)
        return await put(key, value, revision=revision)

    async with replica(bus, BATCH):
        await bus.publish(event(1))
        await asyncio.sleep(25)
        await bus.publish(event(2))
        bus.down, store.put = "away", refuses
        await asyncio.sleep(10)
        bus.down, store.put = "", too_late
        bus._notify()
        await until(lambda: len(target.done) == 2)
        await asyncio.sleep(600)
    assert sorted(fired(target)) == [[1], [2]]


async def test_a_debounce_fires_when_it_is_quiet(bus, target) -> None:
    async with replica(bus, DEBOUNCE):
        began = now()
        for n in range(4):
            await bus.publish(event(n))
            await asyncio.sleep(10)
        await settled(bus)
        assert fired(target) == []
        await until(lambda: target.done)
        assert now() - began == pytest.approx(60, abs=1)
    assert fired(target) == [3]


async def test_a_debounce_fires_at_last(bus, target) -> None:
    async with replica(bus, DEBOUNCE):
        began = now()
        for n in range(40):
            await bus.publish(event(n))
            await asyncio.sleep(10)
            if target.done:
                break
        assert now() - began == pytest.approx(300, abs=11)
    assert fired(target)[0] in {29, 30}


async def test_a_batch_fires_by_count_and_by_time(bus, target) -> None:
    async with replica(bus, BATCH):
        for n in range(7):
            await bus.publish(event(n))
        await settled(bus)
        assert fired(target) == [[0, 1, 2, 3, 4]]
        await until(lambda: len(target.done) == 2)
    assert fired(target)[1] == [5, 6]
    assert await dead(bus) == []


async def test_nothing_is_written_while_nothing_happens(bus, target) -> None:
    async with replica(bus, BATCH):
        await bus.publish(event(1))
        await settled(bus)
        await asyncio.sleep(5)
        store, reads, writes = bus.store(STATE), [], []
        get, put = store.get, store.put

        async def counted_get(key):
            reads.append(now())
            return await get(key)

        async def counted_put(key, value, *, revision):
            writes.append(now())
            return await put(key, value, revision=revision)

        store.get, store.put = counted_get, counted_put
        await asyncio.sleep(20)
    assert len(reads) <= 8
    assert writes == []


async def test_a_replica_reads_little_of_what_another_one_holds(bus, target) -> None:
    """Only a value in each look, and none of the events, while nothing is due."""
    made = holding(batch={"count": 1_000})
    async with replica(bus, made) as idle:
        store, read = bus.store(STATE), []
        get = store.get

        async def counted(key):
            read.append(key)
            return await get(key)

        idle._gate.close()  # it takes no events
        async with replica(bus, made):
            await asyncio.sleep(1)
            store.get = counted
            for n in range(600):
                await bus.publish(event(n, data=b'{"n":%d,"x":"%s"}' % (n, b"x" * 300)))
                await asyncio.sleep(0.1)
    assert len([key for key in read if "part" in key]) == 0
    assert len(read) < 60
    assert fired(target) == []


async def test_what_is_held_survives_a_restart(bus, target) -> None:
    async with replica(bus, BATCH):
        for n in range(3):
            await bus.publish(event(n))
        await settled(bus)
    assert fired(target) == []
    async with replica(bus, BATCH):
        await bus.publish(event(3))
        await bus.publish(event(4))
        await settled(bus)
    assert fired(target) == [[0, 1, 2, 3, 4]]


async def test_what_became_due_while_nobody_ran_fires_at_the_start(bus, target) -> None:
    async with replica(bus, BATCH):
        await bus.publish(event(1))
        await settled(bus)
    await asyncio.sleep(100)
    async with replica(bus, BATCH):
        began = now()
        await until(lambda: target.done)
        assert now() - began < 3
    assert fired(target) == [[1]]


async def test_what_waits_on_the_bus_is_held_together_as_it_came(bus, target) -> None:
    """Two came within the 30 s, one later: as if the sensor had run."""
    async with replica(bus, BATCH):
        await bus.publish(event(1))
        await settled(bus)
    await asyncio.sleep(5)
    await bus.publish(event(2))
    await asyncio.sleep(100)
    await bus.publish(event(3))
    await asyncio.sleep(100)
    async with replica(bus, BATCH):
        await until(lambda: len(target.done) == 2)
        await settled(bus)
    assert sorted(fired(target)) == [[1, 2], [3]]


async def test_a_replica_fires_what_another_one_left(bus, target) -> None:
    async with replica(bus, BATCH):
        async with replica(bus, BATCH):
            for n in range(3):
                await bus.publish(event(n))
            await settled(bus)
        began = now()
        await until(lambda: target.done)
        assert now() - began < 36
        await asyncio.sleep(60)
    assert [sorted(one) for one in fired(target)] == [[0, 1, 2]]


async def test_replicas_share_what_is_held_and_fire_it_once(bus, target) -> None:
    async with replica(bus, BATCH, in_flight=33), replica(bus, BATCH, in_flight=33):
        for n in range(203):
            await bus.publish(event(n))
            if n % 7 == 0:
                await asyncio.sleep(0.05)
        await until(lambda: sum(map(len, fired(target))) >= 203)
        await asyncio.sleep(60)
    assert sorted(n for one in fired(target) for n in one) == list(range(203))
    assert all(len(one) <= 5 for one in fired(target))


class Cut:
    """A store that is cut off at the nth write, before or after it."""

    def __init__(self, store, nth: int, after: bool, *, hangs: bool) -> None:
        self.store, self.left, self.after, self.hangs = store, nth, after, hangs

    def __getattr__(self, name):
        return getattr(self.store, name)

    async def put(self, key, value, *, revision):
        if "@" in key:
            return await self.store.put(key, value, revision=revision)
        self.left -= 1
        if self.left == 0 and not self.after:
            await self.fail()
        result = await self.store.put(key, value, revision=revision)
        if self.left == 0:
            await self.fail()
        return result

    async def fail(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        raise BusError("cut off")


@pytest.fixture(params=[0, 100_000], ids=["in parts", "within"])
def room(request, monkeypatch) -> None:
    monkeypatch.setattr("sensor.keeping.LOOSE", request.param)
    monkeypatch.setattr("sensor.keeping.compact.__defaults__", (request.param,))


@pytest.mark.parametrize("hangs", [False, True], ids=["cut", "crash"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("nth", range(1, 13))
@pytest.mark.usefixtures("room")
async def test_every_event_fires_once_whatever_is_cut(bus, target, nth, after, hangs) -> None:
    right = bus.store
    cut = Cut(right(STATE), nth, after, hangs=hangs)
    bus.store = lambda name: cut if name == STATE else right(name)
    async with replica(bus, BATCH, grace=0.1):
        for n in range(12):
            await bus.publish(event(n))
            await asyncio.sleep(0.1 * (n % 3))
        await asyncio.sleep(40)
    bus.store = right
    async with replica(bus, BATCH):
        await settled(bus)
        await asyncio.sleep(60)
        await settled(bus)
    assert sorted(n for one in fired(target) for n in one) == list(range(12))
    assert await dead(bus) == []


async def test_a_surviving_replica_does_what_a_dead_one_had_decided(bus, target) -> None:
    """It wrote the firing down and died before the action was on the bus."""
    right = bus.append

    async def append(stream, subject, data, **more):
        if subject.startswith("tocsin-actions.s.t"):
            await asyncio.Event().wait()
        return await right(stream, subject, data, **more)

    bus.append = append
    async with replica(bus, BATCH, grace=0.1):
        await bus.publish(event(1))
        await asyncio.sleep(32)  # fired by time: the event is long acknowledged
        bus.append = right
        async with replica(bus, BATCH):
            await until(lambda: target.done)
        await asyncio.sleep(10)
    assert fired(target) == [[1]]


async def test_a_survivor_that_ran_all_the_time(bus, target) -> None:
    right, first = bus.append, True

    async def append(stream, subject, data, **more):
        nonlocal first
        if subject.startswith("tocsin-actions.s.t") and first:
            first = False
            await asyncio.Event().wait()
        return await right(stream, subject, data, **more)

    bus.append = append
    async with replica(bus, BATCH, grace=0.1), replica(bus, BATCH, grace=0.1):
        await bus.publish(event(1))
        await asyncio.sleep(29)
        began = now()
        await until(lambda: target.done)
        assert now() - began < 15
        await asyncio.sleep(20)
    assert fired(target) == [[1]]


class Rival:
    """A store in which somebody else writes one key just before every other write to it."""

    def __init__(self, store, key: str) -> None:
        self.store, self.key, self.times = store, key, 0

    def __getattr__(self, name):
        return getattr(self.store, name)

    async def put(self, key, value, *, revision):
        found = await self.store.get(key)
        self.times += key == self.key
        if key == self.key and found is not None and self.times % 2:
            await self.store.put(key, found[0], revision=found[1])
        return await self.store.put(key, value, revision=revision)


@pytest.mark.parametrize("rival", ["s.t", "s.u"])
async def test_triggers_that_are_due_at_once_do_not_lose_each_other(
    bus, target, monkeypatch, rival
) -> None:
    """One of them is written, the other one must be decided again."""
    use_targets(monkeypatch, {"t": target, "u": target})
    entries = [trigger(name, batch={"duration": "30s"}) for name in "tu"]
    right = bus.store
    busy = Rival(right(STATE), rival)
    bus.store = lambda name: busy if name == STATE else right(name)
    async with replica(bus, plan([dependency("a")], entries)):
        for n in range(6):
            await bus.publish(event(n))
            await asyncio.sleep(32)
            assert len(target.done) == 2 * (n + 1)
    assert busy.times > 12


async def test_the_bus_is_away_when_something_is_due(bus, target, caplog) -> None:
    async with replica(bus, BATCH):
        await bus.publish(event(1))
        await settled(bus)
        await asyncio.sleep(25)
        bus.down = "cut off"
        await asyncio.sleep(60)
        assert fired(target) == []
        bus.down = ""
        await until(lambda: target.done)
        await asyncio.sleep(60)
    assert fired(target) == [[1]]
    assert len([r for r in caplog.records if "folding" in r.message]) < 30


async def test_an_edit_that_takes_the_batch_away_fires_what_was_held(bus, target) -> None:
    async with replica(bus, BATCH):
        await bus.publish(event(1))
        await bus.publish(event(2))
        await settled(bus)
    async with replica(bus, holding("n")):
        await until(lambda: len(target.done) == 2)
        await bus.publish(event(3))
        await until(lambda: len(target.done) == 3)
        await settled(bus)
    assert sorted(fired(target)[:2]) == [1, 2], "each by itself, as the trigger is now"
    assert fired(target)[2] == 3
    assert await bus.store(STATE).keys("s.t") == []


async def test_an_older_replica_may_hold_events_for_a_while_after_an_edit(bus, target) -> None:
    async with replica(bus, BATCH), replica(bus, holding("n")):
        await asyncio.sleep(5)
        for n in range(20):
            await bus.publish(event(n))
        await settled(bus)
    async with replica(bus, holding("n")):
        await asyncio.sleep(90)
    each = [n for one in fired(target) for n in (one if isinstance(one, list) else [one])]
    assert sorted(each) == list(range(20))
    assert await bus.store(STATE).keys("s.t") == []


async def test_what_cannot_be_made_of_a_batch_is_one_dead_letter(bus, target) -> None:
    broken, mended = holding("7.n", batch={"duration": "30s"}), holding(batch={"duration": "30s"})
    async with replica(bus, broken):
        await bus.publish(event(1))
        await bus.publish(event(2))
        await asyncio.sleep(60)
        [entry] = await dead(bus)
    assert entry.letter.place == "triggers.t"
    assert "resolving dataKey '7.n'" in entry.letter.message
    assert list(entry.letter.events) == ["a"]
    async with replica(bus, mended):
        await asyncio.sleep(60)
        assert len(await dead(bus)) == 1, "it is not tried again by itself"
        await retry(bus, entry.sequence)
        await until(lambda: target.done)
        await settled(bus)
    assert fired(target) == [[1, 2]]
    assert await dead(bus) == []


async def test_a_bug_in_one_firing_stops_nothing_else(bus, target) -> None:
    made = holding(batch={"count": 2, "duration": "30s"})
    (planned,) = made.triggers.values()
    right = planned.content

    def content(events):
        if b"13" in events["a"].data:
            raise ZeroDivisionError("a bug")
        return right(events)

    object.__setattr__(planned, "content", content)
    async with replica(bus, made):
        await bus.publish(event(13))
        await asyncio.sleep(60)
        for n in (1, 2, 13, 14, 3, 4):
            await bus.publish(event(n, data=b'{"n":%d,"again":1}' % n) if n != 13 else event(130))
        await settled(bus)
        await asyncio.sleep(60)
    assert fired(target) == [[1, 2], [3, 4]]
    letters = [entry.letter for entry in await dead(bus)]
    assert [(one.code, one.message) for one in letters] == [("Bug", "ZeroDivisionError: a bug")] * 2


async def test_many_events_are_stored_in_parts_and_leave_nothing(bus, target) -> None:
    made = holding(batch={"count": 1_000})
    async with replica(bus, made):
        for n in range(999):
            await bus.publish(event(n, data=b'{"n":%d,"x":"%s"}' % (n, b"x" * 300)))
        await settled(bus)
        keys = await bus.store(STATE).keys("s.t")
        assert 3 <= len(keys) <= 8, "some events in each part"
        await bus.publish(event(999))
        await settled(bus)
        await asyncio.sleep(1)
        assert await bus.store(STATE).keys("s.t") == ["s.t"]
    assert fired(target) == [list(range(1_000))]


async def test_parts_that_nobody_names_are_swept(bus, target) -> None:
    store = bus.store(STATE)
    await store.put("s.t.part-0", b"[]", revision=None)
    async with replica(bus, BATCH):
        await bus.publish(event(1))
        await asyncio.sleep(10)
        assert "s.t.part-0" in await store.keys("s.t"), "another replica may be about to name it"
        await asyncio.sleep(100)
        assert await store.keys("s.t") == ["s.t"]
    assert fired(target) == [[1]]


async def test_firing_early_is_told(bus, target, caplog) -> None:
    async with replica(bus, holding(batch={"count": 100})) as runner:
        runner.plan.room = 2_000
        for n in range(3):
            await bus.publish(event(n, data=b'{"n":%d,"x":"%s"}' % (n, b"x" * 900)))
        await settled(bus)
    assert fired(target) == [[0, 1]]
    assert "Trigger 't' fires early with 2 events: more than 2000 bytes are held" in caplog.text

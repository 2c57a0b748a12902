"""A sensor on a bus in memory."""

import asyncio
import json
import random
from dataclasses import replace

import pytest
from delivery_kit import Target, dead, down, fails_until, pending, refuses, until
from sensor_kit import dependency, event, plan, running, trigger, use_targets

from delivery.dead import retry
from eventbus.bus import DECISIONS, EVENTS
from eventbus.memory import MemoryBus
from sensor.intake import Intake
from sensor.start import prepare, reader_of
from sensor.state import EMPTY, Mark, Saved, TriggerState, split
from spine.errors import BusError
from spine.event import encode

pytestmark = pytest.mark.looptime


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus()


@pytest.fixture
def targets(monkeypatch) -> dict[str, Target]:
    found = {name: Target() for name in ("t", "u", "join")}
    use_targets(monkeypatch, found)
    return found


SIMPLE = plan([dependency("a")], [trigger("t", payload=["a"])])
TWO = plan([dependency("a")], [trigger("t"), trigger("u")])
JOIN = plan([dependency("a"), dependency("b")], [trigger("join", "a && b", payload=["a", "b"])])
MIXED = plan(
    [dependency("a"), dependency("b")],
    [trigger("join", "a && b", payload=["a", "b"]), trigger("t", "a")],
)


async def waiting(bus, name: str = "sensor-s") -> int:
    """Events that are not acknowledged."""
    [info] = [r for r in await bus.readers(EVENTS) if r.durable == name]
    return info.pending + info.in_flight


async def settled(bus) -> None:
    async with asyncio.timeout(1_000):
        while await waiting(bus) or await pending(bus):
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.5)


async def test_event_becomes_an_action(bus, targets) -> None:
    async with running(bus, SIMPLE) as runner:
        assert runner.problem == ""
        await bus.publish(event(1))
        await settled(bus)

    assert len(targets["t"].done) == 1
    assert await dead(bus) == []


async def test_first_start_is_at_new_events(bus, targets) -> None:
    await bus.publish(event(1))
    async with running(bus, SIMPLE):
        await bus.publish(event(2))
        await settled(bus)

    assert len(targets["t"].done) == 1


async def test_nothing_is_missed_while_it_was_down(bus, targets) -> None:
    async with running(bus, SIMPLE):
        pass
    await bus.publish(event(1))
    async with running(bus, SIMPLE):
        await settled(bus)

    assert len(targets["t"].done) == 1


async def test_prepared_before_any_source_listens(bus, targets) -> None:
    await prepare(SIMPLE, bus)
    await bus.publish(event(1))
    async with running(bus, SIMPLE):
        await settled(bus)

    assert len(targets["t"].done) == 1


async def test_events_older_than_an_added_dependency_do_not_count(bus, targets) -> None:
    async with running(bus, SIMPLE):
        await bus.publish(event(1, "a"))
        await bus.publish(event(1, "b"))
        await settled(bus)
    await bus.publish(event(2, "a"))
    await bus.publish(event(2, "b"))  # while it is down, and before b is added
    both = plan(
        [dependency("a"), dependency("b")],
        [trigger("t", "a", payload=["a"]), trigger("u", "b", payload=["b"])],
    )
    await asyncio.sleep(1)
    for _ in range(2):  # a restart does not forget it
        async with running(bus, both):
            await settled(bus)
    assert len(targets["t"].done) == 2
    assert targets["u"].done == []
    async with running(bus, both):
        await bus.publish(event(3, "b"))
        await settled(bus)

    assert len(targets["u"].done) == 1


async def test_sibling_does_not_fire_again_because_one_failed(bus, targets) -> None:
    targets["u"].answer = fails_until(2)
    async with running(bus, TWO):
        await bus.publish(event(1))
        await settled(bus)
        await until(lambda: targets["u"].done)

    assert len(targets["t"].attempts) == 1
    assert len(targets["u"].attempts) == 2


async def test_sibling_does_not_fire_again_because_the_bus_was_away(bus, targets) -> None:
    """The failed action could not be stored, so the event comes back, as often as it takes."""

    def cut(_action, _attempt) -> None:
        bus.down = "cut off"
        asyncio.get_running_loop().call_later(3, lambda: setattr(bus, "down", ""))
        targets["u"].answer = None
        down(_action, _attempt)

    targets["u"].answer = cut
    async with running(bus, TWO):
        await bus.publish(event(1))
        await until(lambda: targets["u"].done)
        await settled(bus)

    assert len(targets["t"].attempts) == 1
    assert await dead(bus) == []


async def test_poison_blocks_nothing(bus, targets) -> None:
    async with running(bus, SIMPLE):
        await bus.append(EVENTS, "default.src.a", b"\xff not a CloudEvent")
        await bus.append(EVENTS, "default.src.a", b"null")
        await bus.publish(event(1))
        await settled(bus)

    letters = [entry.letter for entry in await dead(bus)]
    assert [letter.code for letter in letters] == ["UnusableEvent"] * 2
    assert letters[0].data == b"\xff not a CloudEvent"
    assert letters[0].subject == "default.src.a"
    assert len(targets["t"].done) == 1


async def test_bug_in_handling_one_event_is_its_own_affair(bus, targets, monkeypatch) -> None:
    from sensor import intake

    right = intake.evaluate

    def stumble(plan, state, event, *args, **kwargs):
        if event.id == "a2":
            raise ZeroDivisionError("oops")
        return right(plan, state, event, *args, **kwargs)

    monkeypatch.setattr(intake, "evaluate", stumble)
    async with running(bus, SIMPLE):
        for n in (1, 2, 3):
            await bus.publish(event(n))
        await settled(bus)

    [entry] = await dead(bus)
    assert entry.letter.code == "Bug"
    assert "in stumble" in entry.letter.traceback
    assert len(targets["t"].done) == 2


async def test_five_deliveries_without_an_outcome(bus, targets, monkeypatch) -> None:
    """Each life of the process ends while it handles the event."""
    targets["t"].seconds = 1_000
    for _ in range(5):
        async with running(bus, SIMPLE, grace=0.1):
            if not targets["t"].attempts:
                await bus.publish(event(1))
            await asyncio.sleep(1)
    assert await dead(bus) == []
    async with running(bus, SIMPLE, grace=0.1):
        await settled(bus)

    [entry] = await dead(bus)
    assert entry.letter.code == "NoOutcome"
    assert "5 deliveries without an outcome" in entry.letter.message
    assert len(targets["t"].attempts) == 5


async def test_absence_of_the_bus_is_no_fault_of_an_event(bus, targets) -> None:
    targets["t"].answer = down
    right, times = bus.append, []

    async def away(stream, subject, data, *, message_id=""):
        if subject.startswith("tocsin-actions") and len(times) < 12:
            times.append(1)
            raise BusError("away")
        return await right(stream, subject, data, message_id=message_id)

    bus.append = away
    async with running(bus, SIMPLE):
        await bus.publish(event(1))
        await until(lambda: len(times) == 12)
        targets["t"].answer = None
        await settled(bus)

    assert await dead(bus) == []
    assert len(targets["t"].done) == 1


async def test_wrong_data_is_a_dead_letter_that_can_be_retried(bus, targets) -> None:
    """A transform that fails for one dependency keeps the other from nothing."""
    broken = plan(
        [dependency("a", transform={"jq": ".n + 1"}), dependency("same", "a")],
        [trigger("t", "a"), trigger("u", "same")],
    )
    mended = plan(
        [dependency("a", transform={"jq": "{m: .n}"}), dependency("same", "a")],
        [trigger("t", "a"), trigger("u", "same")],
    )
    async with running(bus, broken):
        await bus.publish(event(1))
        await settled(bus)
        [entry] = await dead(bus)
        assert entry.letter.place == "dependencies.a"
        assert entry.letter.code == "TransformFailed"
        await retry(bus, entry.sequence)
        await settled(bus)
        [again] = await dead(bus)  # still broken, and not lost
        assert again.sequence != entry.sequence
    assert len(targets["u"].done) == 1
    async with running(bus, mended):
        await retry(bus, again.sequence)
        await settled(bus)

    assert len(targets["t"].done) == 1
    assert len(targets["u"].done) == 1, "the other dependency has had this event"
    assert await dead(bus) == []


async def test_dead_action_is_retried(bus, targets) -> None:
    targets["t"].answer = refuses
    async with running(bus, SIMPLE):
        await bus.publish(event(1))
        await settled(bus)
        [entry] = await dead(bus)
        assert await retry(bus, entry.sequence) == "trigger t of sensor s"
        await settled(bus)
        [again] = await dead(bus)
    await retry(bus, again.sequence)
    targets["t"].answer = None
    async with running(bus, SIMPLE):
        await settled(bus)

    assert len(targets["t"].done) == 1
    assert await dead(bus) == []


async def test_dead_action_of_a_trigger_that_is_gone(bus, targets) -> None:
    targets["t"].answer = refuses
    async with running(bus, SIMPLE):
        await bus.publish(event(1))
        await settled(bus)
    other = plan([dependency("a")], [trigger("u")])
    async with running(bus, other):
        [entry] = await dead(bus)
        await retry(bus, entry.sequence)
        await settled(bus)

    [again] = await dead(bus)
    assert "the Sensor no longer has it" in again.letter.message
    assert again.letter.action == entry.letter.action


async def test_action_that_cannot_be_made_keeps_its_events(bus, targets) -> None:
    def with_dest(dest: str):
        bad = trigger("join", "a && b")
        bad["parameters"] = [{"src": {"dependencyName": "a", "dataKey": "s"}, "dest": dest}]
        return plan([dependency("a"), dependency("b")], [bad])

    broken, mended = with_dest("http.timeout"), with_dest("http.url")
    async with running(bus, broken):
        await bus.publish(event(1, "a", b'{"s":"http://y/"}'))
        await bus.publish(event(1, "b"))
        await settled(bus)
    [entry] = await dead(bus)
    assert entry.letter.place == "triggers.join"
    assert sorted(entry.letter.events) == ["a", "b"]
    async with running(bus, mended):
        assert len(await dead(bus)) == 1
        await retry(bus, entry.sequence)
        await settled(bus)

    assert len(targets["join"].done) == 1
    assert await dead(bus) == []


# ---------------------------------------------------------------------------- conditions


@pytest.fixture(params=[0, 100_000], ids=["bodies by key", "bodies within"])
def room(request, monkeypatch) -> None:
    monkeypatch.setattr("sensor.keeping.INLINE", request.param)


async def test_conditions_fire_once_both_have_come(bus, targets) -> None:
    async with running(bus, JOIN):
        await bus.publish(event(1, "a"))
        await settled(bus)
        assert targets["join"].done == []
        await bus.publish(event(1, "b"))
        await settled(bus)

    assert len(targets["join"].done) == 1


async def test_half_met_conditions_survive_a_restart(bus, targets) -> None:
    async with running(bus, JOIN):
        await bus.publish(event(1, "a"))
        await settled(bus)
    async with running(bus, JOIN):
        await bus.publish(event(1, "b"))
        await settled(bus)

    assert len(targets["join"].done) == 1


@pytest.mark.usefixtures("room")
async def test_state_does_not_grow(bus, targets, monkeypatch) -> None:
    monkeypatch.setattr("sensor.keeping.TRIM", 0.0)
    async with running(bus, JOIN):
        for n in range(2_000):
            await bus.publish(event(n, "ab"[n % 2]))
        await settled(bus)
        store = bus.store("tocsin-state")
        keys = await store.keys("s.")
        head = await store.get("s.join")

    assert len(targets["join"].done) == 1_000
    assert sorted(keys) == ["s.@dependencies", "s.join"]
    assert head is not None
    assert len(head[0]) < 6_000


async def test_firing_whose_events_are_gone_from_the_bus(bus, targets) -> None:
    """A process died right after it had stored the firing; nothing will be delivered again."""
    a, b = (Saved(Mark(float(n), n), event(n, name)) for n, name in ((1, "a"), (2, "b")))
    value, _ = split(TriggerState({}, {}, {"some-key": {"a": a, "b": b}}), 10_000)
    await bus.store("tocsin-state").put("s.join", value, revision=None)
    for _ in range(2):
        async with running(bus, JOIN):
            await settled(bus)

    assert targets["join"].done == ["some-key"]


async def test_retried_event_counts_once_more_and_upsets_nothing(bus, targets, monkeypatch) -> None:
    """It is old by its place in the stream, and new to conditions."""
    monkeypatch.setattr("sensor.keeping.LONG", 0)
    monkeypatch.setattr("sensor.keeping.TRIM", 0.0)
    picky = plan(
        [dependency("a", transform={"jq": "if .n == 0 then error else . end"}), dependency("b")],
        [trigger("join", "a && b", payload=["a", "b"])],
    )
    async with running(bus, picky):
        for n in range(6):
            await bus.publish(event(n, "a"))
            await settled(bus)
    [entry] = await dead(bus)
    async with running(bus, JOIN):
        await bus.publish(event(1, "b"))
        await settled(bus)
        await retry(bus, entry.sequence)
        await settled(bus)
        await bus.publish(event(2, "b"))
        await settled(bus)
        head = await bus.store("tocsin-state").get("s.join")

    bodies = [body["id"] for body in targets["join"].bodies]
    assert [{k: int(v) for k, v in body.items()} for body in bodies] == [
        {"a": 5, "b": 1},
        {"a": 0, "b": 2},
    ]
    assert head is not None
    assert json.loads(head[0])["counted"]["a"][0] >= 5, "what was counted is known as before"


async def test_stateless_trigger_beside_conditions(bus, targets) -> None:
    async with running(bus, MIXED):
        await bus.publish(event(1, "a"))
        await bus.publish(event(1, "b"))
        await bus.publish(event(2, "a"))
        await settled(bus)

    assert len(targets["join"].done) == 1
    assert len(targets["t"].done) == 2


async def test_two_replicas_fire_once_for_each_pair(bus, targets) -> None:
    async with running(bus, JOIN, in_flight=33), running(bus, JOIN, in_flight=33):
        for n in range(60):
            await bus.publish(event(n, "a"))
            await bus.publish(event(n, "b"))
            await settled(bus)
            assert len(targets["join"].done) == n + 1
        for n in range(60, 400):
            await bus.publish(event(n, "a"))
            await bus.publish(event(n, "b"))
        await settled(bus)

    used = [part for body in targets["join"].bodies for part in body["id"].items()]
    assert len(used) == len(set(used)), "an event was used twice"
    assert len(targets["join"].done) == len(targets["join"].bodies)


class Rival:
    """A store in which somebody else writes just before every other write."""

    def __init__(self, store) -> None:
        self.store, self.times = store, 0

    def __getattr__(self, name):
        return getattr(self.store, name)

    async def put(self, key, value, *, revision):
        found = await self.store.get(key)
        self.times += key == "s.join"
        if key == "s.join" and found is not None and self.times % 2:
            await self.store.put(key, found[0], revision=found[1])
        return await self.store.put(key, value, revision=revision)


@pytest.mark.usefixtures("room")
async def test_firings_are_exact_whoever_else_writes(bus, targets) -> None:
    right = bus.store
    rival = Rival(right("tocsin-state"))
    bus.store = lambda name: rival if name == "tocsin-state" else right(name)
    async with running(bus, JOIN):
        for n in range(20):
            await bus.publish(event(n, "a"))
            await bus.publish(event(n, "b"))
            await settled(bus)
            assert len(targets["join"].done) == n + 1

    assert rival.times > 40


class Dying:
    """A store that fails at the nth write, before or after it."""

    def __init__(self, store, nth: int, after: bool) -> None:
        self.store, self.left, self.after = store, nth, after

    def __getattr__(self, name):
        return getattr(self.store, name)

    async def put(self, key, value, *, revision):
        if "@" in key:
            return await self.store.put(key, value, revision=revision)
        self.left -= 1
        if self.left == 0 and not self.after:
            raise BusError("cut off before")
        result = await self.store.put(key, value, revision=revision)
        if self.left == 0:
            raise BusError("cut off after")
        return result


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("nth", range(1, 9))
@pytest.mark.usefixtures("room")
async def test_firing_survives_a_cut_at_any_write(bus, targets, nth, after) -> None:
    right = bus.store
    dying = Dying(right("tocsin-state"), nth, after)
    bus.store = lambda name: dying if name == "tocsin-state" else right(name)
    async with running(bus, JOIN):
        for n in range(3):
            await bus.publish(event(n, "a"))
            await bus.publish(event(n, "b"))
            await settled(bus)

    assert len(targets["join"].done) == 3


@pytest.mark.parametrize("nth", range(1, 9))
@pytest.mark.usefixtures("room")
async def test_firing_survives_a_crash_at_any_write(bus, targets, nth) -> None:
    """The process hangs at a write until it is killed, and another follows."""
    right = bus.store
    dying = Dying(right("tocsin-state"), nth, after=nth % 2 == 0)

    bus.store = lambda name: dying if name == "tocsin-state" else right(name)
    kept = dying.put

    async def put(key, value, *, revision):
        try:
            return await kept(key, value, revision=revision)
        except BusError:
            await asyncio.Event().wait()

    dying.put = put
    async with running(bus, JOIN, grace=0.1):
        for n in range(2):
            await bus.publish(event(n, "a"))
            await bus.publish(event(n, "b"))
            await asyncio.sleep(1)
    bus.store = right
    async with running(bus, JOIN):
        await settled(bus)

    assert len(targets["join"].done) == 2


# ---------------------------------------------------------------------------- stopping, editing


async def test_stopping_finishes_what_is_under_way(bus, targets) -> None:
    targets["t"].seconds = 3
    async with running(bus, SIMPLE, in_flight=40):
        for n in range(100):
            await bus.publish(event(n))
        await asyncio.sleep(1)
        begun = len(targets["t"].attempts)

    assert begun == len(targets["t"].done) == 8
    assert await pending(bus) == 32, "taken and not begun; what was not taken stays where it is"
    targets["t"].seconds = 0
    async with running(bus, SIMPLE):
        await until(lambda: len(targets["t"].done) >= 100)
        await settled(bus)
    assert len(targets["t"].attempts) == 100, "nothing was cut off"


async def test_older_generation_steps_back(bus, targets) -> None:
    more = plan([dependency("a"), dependency("b")], [trigger("t", "a"), trigger("u", "b")])
    targets["t"].seconds = targets["u"].seconds = 1
    async with running(bus, SIMPLE, generation=1) as old:
        await bus.publish(event(1, "a"))
        await asyncio.sleep(0.1)
        async with running(bus, more, generation=2, in_flight=2):
            for n in range(50):
                await bus.publish(event(n, "b"))
            await settled(bus)
            await asyncio.sleep(5)
            assert "generation 2" in old.problem
            await bus.publish(event(2, "a"))
            await settled(bus)
        assert len(targets["u"].done) == 50, "given back by who does not know it"
    async with asyncio.timeout(10):  # and it does not come back
        metrics = replace(old, ready=lambda: None)
        await metrics.run()

    assert len(targets["t"].done) == 2


async def test_durable_tells_the_generation(bus, targets) -> None:
    async with running(bus, SIMPLE, generation=7):
        [info] = await bus.readers(EVENTS)

    assert info.metadata["generation"] == "7"
    assert info.subjects == ("default.src.a",)


async def test_events_that_nobody_wants_are_done(bus, targets) -> None:
    wide = plan([dependency("a")], [trigger("t")])
    await bus.ensure(replace(reader_of(wide), subjects=("default.*.*",)))
    async with running(bus, wide):
        await bus.publish(event(1, "other"))
        await settled(bus)

    assert await dead(bus) == []


async def test_reports_what_it_did(bus, targets) -> None:
    targets["t"].answer = refuses
    async with running(bus, SIMPLE):
        await bus.publish(event(1))
        await settled(bus)
        await asyncio.sleep(1)
        told = [m.data async for m in bus.read(DECISIONS) if m.subject.endswith(".t")]

    assert any(b'"result":"failed"' in line for line in told)
    assert any(b'"result":"dead letter"' in line for line in told)


def test_encoded_event_is_what_the_tests_think() -> None:
    assert b'"subject":"a"' in encode(event(1))


# ---------------------------------------------------------------------------- orders and keys


BY_KEY = {"dependencyName": "a", "dataKey": "k"}


def keyed(number: int, key: str, name: str = "a"):
    return event(number, name, b'{"n":%d,"k":"%b"}' % (number, key.encode()))


def numbers(target: Target, key: str | None = None) -> list[int]:
    """Numbers of the events whose actions were done, in that order."""
    bodies = [body["id"] for body in target.bodies]
    return [int(b["a"]) for b in bodies if key is None or b["k"] == key]


def ordered(name: str = "t", conditions: str = "a", **more) -> dict:
    made = trigger(name, conditions, payload=["a"], orderBy=BY_KEY, **more)
    made["template"]["http"]["payload"].append({"src": BY_KEY, "dest": "id.k"})
    return made


ORDERED = plan([dependency("a")], [ordered()])


async def test_ordered_events(bus, targets) -> None:
    targets["t"].seconds = 0.1
    async with running(bus, ORDERED):
        for n in range(60):
            await bus.publish(keyed(n, "xyz"[n % 3]))
        await settled(bus)

    for at, key in enumerate("xyz"):
        assert numbers(targets["t"], key) == list(range(at, 60, 3))
    assert targets["t"].most == 3


@pytest.mark.parametrize("seed", range(8))
async def test_order_over_replicas_that_come_and_go(bus, targets, seed) -> None:
    """Whoever stops, whenever, and whatever fails: within a key effects are in order."""
    chance = random.Random(seed)
    target = targets["t"]
    target.seconds = 0.05
    target.answer = lambda action, n: down(action, n) if chance.random() < 0.2 else None
    keys = [chance.choice("xyz") for _ in range(200)]

    async def replica() -> None:
        while True:
            async with running(bus, ORDERED, in_flight=40, grace=chance.choice([0.0, 1.0])):
                await asyncio.sleep(chance.uniform(1, 40))
            await asyncio.sleep(chance.uniform(0, 5))

    await prepare(ORDERED, bus)
    replicas = [asyncio.create_task(replica()) for _ in range(3)]
    for n, key in enumerate(keys):
        await bus.publish(keyed(n, key))
        await asyncio.sleep(chance.uniform(0, 0.4))
    await settled(bus)
    for task in replicas:
        task.cancel()
    await asyncio.gather(*replicas, return_exceptions=True)

    for key in "xyz":
        wanted = [n for n, k in enumerate(keys) if k == key]
        assert list(dict.fromkeys(numbers(target, key))) == wanted
        assert numbers(target, key) == sorted(numbers(target, key))
    assert await dead(bus) == []


class Deaf:
    """The way to a bus that hears what is stored, and not that events are done."""

    def __init__(self, bus, back_after: float) -> None:
        self.bus, self.back_after = bus, back_after

    def __getattr__(self, name):
        return getattr(self.bus, name)

    async def consume(self, reader, handle, *, in_flight):
        async def unheard(message) -> None:
            await handle(replace(message, settle=asyncio.Event().wait))
            raise BusError("acknowledging: not heard", retry_after=self.back_after)

        heard = handle if reader.stream != EVENTS else unheard
        await self.bus.consume(reader, heard, in_flight=in_flight)


async def test_order_over_an_absence_longer_than_ids_are_remembered(bus, targets) -> None:
    """What was stored before a kill is stored once more, and behind what was stored meanwhile."""
    await prepare(ORDERED, bus)
    async with running(Deaf(bus, 400.0), ORDERED, grace=0.0):
        for n in range(20):
            await bus.publish(keyed(n, "xy"[n % 2]))
        await until(lambda: len(targets["t"].done) >= 2)
        await asyncio.sleep(5)
    await asyncio.sleep(400)
    async with running(bus, ORDERED):
        await settled(bus)

    for at, key in enumerate("xy"):
        assert numbers(targets["t"], key) == [at, *range(at, 20, 2)]


async def test_slow_sibling_does_not_hold_up_what_is_ordered(bus, targets) -> None:
    targets["u"].seconds = 1_000
    both = plan([dependency("a")], [ordered(), trigger("u", "a")])
    async with running(bus, both, grace=0.0):
        for n in range(400):
            await bus.publish(keyed(n, "x"))
        await until(lambda: len(targets["t"].done) == 400)
        assert asyncio.get_running_loop().time() < 100


async def test_event_that_dies_holds_up_nobody(bus, targets) -> None:
    async with running(bus, ORDERED):
        await bus.append(EVENTS, "default.src.a", b"no event at all")
        await bus.publish(event(1, data=b'{"n": 1}'))
        await bus.publish(keyed(2, "x"))
        await settled(bus)
        letters = await dead(bus)

    assert numbers(targets["t"]) == [2]
    assert [entry.letter.code for entry in letters] == ["UnusableEvent", "ParameterFailed"]


async def test_shaky_bus_changes_no_order(bus, targets, monkeypatch) -> None:
    chance, real = random.Random(5), bus.append

    async def append(*args, **more) -> int:
        if args[0] == "tocsin-actions" and chance.random() < 0.3:
            raise BusError("not now")
        return await real(*args, **more)

    monkeypatch.setattr(bus, "append", append)
    async with running(bus, ORDERED):
        for n in range(60):
            await bus.publish(keyed(n, "xy"[n % 2]))
        await settled(bus)

    assert [numbers(targets["t"], k) for k in "xy"] == [list(range(n, 60, 2)) for n in (0, 1)]


async def test_ordered_conditions(bus, targets) -> None:
    """Firings are ordered by the event that completed them."""
    made = ordered("join", "a && b")
    join = plan([dependency("a"), dependency("b")], [made])
    async with running(bus, join), running(bus, join):
        for n in range(40):
            await bus.publish(keyed(n, "xy"[n % 2]))
            await bus.publish(event(n, "b"))
        await settled(bus)

    found = [numbers(targets["join"], k) for k in "xy"]
    assert found == [sorted(one) for one in found]
    assert sum(map(len, found)) > 0


async def test_idempotency_key(bus, targets) -> None:
    once = trigger("t", "a", payload=["a"], idempotencyKey={"src": BY_KEY, "duration": "1h"})
    found = plan([dependency("a")], [once, trigger("u", "a")])
    async with running(bus, found), running(bus, found):
        for n in range(30):
            await bus.publish(keyed(n, "xyz"[n % 3]))
        await settled(bus)
        told = [json.loads(m.data) async for m in bus.read(DECISIONS, ["tocsin-decisions.s.t"])]
        await asyncio.sleep(3_601)
        await bus.publish(keyed(30, "x"))
        await settled(bus)

    assert len(targets["t"].done) == 4
    assert len(targets["u"].done) == 31
    assert [line.get("result") for line in told].count("duplicate") == 27


async def test_idempotency_key_of_conditions(bus, targets) -> None:
    made = trigger("join", "a && b", payload=["a"], idempotencyKey={"src": BY_KEY})
    join = plan([dependency("a"), dependency("b")], [made])
    async with running(bus, join):
        for n in range(6):
            await bus.publish(keyed(n, "xy"[n % 2]))
            await bus.publish(event(n, "b"))
            await settled(bus)

    assert [int(body["id"]["a"]) for body in targets["join"].bodies] == [0, 1]


class Killable:
    """A replica's way to the bus; once it is killed, what it held comes back after a while."""

    def __init__(self, bus, chance) -> None:
        self.bus, self.chance, self.killed = bus, chance, asyncio.Event()

    def __getattr__(self, name):
        if self.killed.is_set():
            raise BusError("killed")
        return getattr(self.bus, name)

    def store(self, name):
        return _Cut(self, name)

    async def consume(self, reader, handle, *, in_flight):
        async def mortal(message):
            working = asyncio.ensure_future(handle(message))
            dying = asyncio.ensure_future(self.killed.wait())
            try:
                await asyncio.wait({working, dying}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                dying.cancel()
                killed = not working.done()
                if killed:
                    working.cancel()
                    await asyncio.gather(working, return_exceptions=True)
            if killed:
                raise BusError("killed", retry_after=self.chance.uniform(1, reader.ack_wait))
            working.result()

        await self.bus.consume(reader, mortal, in_flight=in_flight)


class _Cut:
    """A store that nobody who was killed can reach."""

    def __init__(self, bus: Killable, name: str) -> None:
        self.bus, self.inner = bus, bus.bus.store(name)

    def __getattr__(self, name):
        if self.bus.killed.is_set():
            raise BusError("killed")
        return getattr(self.inner, name)


@pytest.mark.parametrize("seed", range(8))
async def test_order_over_replicas_that_are_killed(bus, targets, seed, monkeypatch) -> None:
    """Nothing is given back in good order, and evaluating takes its time, too."""
    chance = random.Random(seed)
    target = targets["t"]
    target.seconds = 0.05
    decide = Intake.decide

    async def slowly(self, *args):
        await asyncio.sleep(chance.uniform(0, 0.3))
        return await decide(self, *args)

    async def decided(self, event, message, skip):
        return await slowly(self, EMPTY, event, message, skip)

    monkeypatch.setattr(Intake, "_decided", decided)
    keys = [chance.choice("xyz") for _ in range(150)]

    async def replica() -> None:
        while True:
            way = Killable(bus, chance)
            async with running(way, ORDERED, in_flight=20, grace=0.0):
                await asyncio.sleep(chance.uniform(5, 30))
                way.killed.set()
                await asyncio.sleep(0.01)

    await prepare(ORDERED, bus)
    replicas = [asyncio.create_task(replica()) for _ in range(2)]
    for n, key in enumerate(keys):
        await bus.publish(keyed(n, key))
        await asyncio.sleep(chance.uniform(0, 0.4))
    await settled(bus)
    for task in replicas:
        task.cancel()
    await asyncio.gather(*replicas, return_exceptions=True)

    for key in "xyz":
        wanted = [n for n, k in enumerate(keys) if k == key]
        assert list(dict.fromkeys(numbers(target, key))) == wanted
    assert await dead(bus) == []

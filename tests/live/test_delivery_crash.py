"""Nothing that was accepted is lost, whatever is killed; on a real nats-server."""

import asyncio
from collections.abc import Callable
from statistics import median
from typing import Any

import pytest
from sensor_kit import dependency, event, trigger
from sensor_process import sensor_process
from settled import settled
from sink import Sink

from delivery.dead import list_dead, retry
from eventbus.bus import ACTIONS, DEAD, EVENTS, STATE, Bus
from spine.errors import BusError
from spine.event import Event

pytestmark = pytest.mark.timeout(240)


def spec(target: Sink, *names: str, **more: Any) -> dict[str, Any]:
    """A Sensor with a trigger for each name, posting the event's number to `/NAME`."""
    triggers = []
    for name in names or ("t",):
        made = trigger(name, "a", f"{target.url}/{name}", **more)
        made["template"]["http"]["payload"] = [number("a", "id")]
        triggers.append(made)
    return {"dependencies": [dependency("a")], "triggers": triggers}


def number(dependency: str, dest: str) -> dict[str, Any]:
    return {"src": {"dependencyName": dependency, "dataKey": "n"}, "dest": dest}


def pair_spec(target: Sink) -> dict[str, Any]:
    join = trigger("join", "a && b", f"{target.url}/join")
    join["template"]["http"]["payload"] = [number("a", "a"), number("b", "b")]
    return {"dependencies": [dependency("a"), dependency("b")], "triggers": [join]}


async def until(true: Callable[[], object], seconds: float = 120.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.05)


async def accepted(bus: Bus, one: Event) -> None:
    """Publish until the bus has said yes."""
    while True:
        try:
            await bus.publish(one)
        except BusError:
            await asyncio.sleep(0.1)
        else:
            return


async def load(bus: Bus, first: int, last: int, name: str = "a", gap: float = 0.0) -> set[str]:
    """Publish events, 50 at a time, and return their ids once all are accepted."""
    for at in range(first, last, 50):
        numbers = range(at, min(at + 50, last))
        await asyncio.gather(*(accepted(bus, event(n, name)) for n in numbers))
        if gap:
            await asyncio.sleep(gap)
    return {str(n) for n in range(first, last)}


async def letters(bus: Bus) -> list[Any]:
    return [entry async for entry in list_dead(bus)]


async def test_sensor_killed_under_load(tmp_path, server, bus, target) -> None:
    target.seconds = 0.01
    job = (tmp_path, server.url, spec(target))
    async with sensor_process(*job) as first:
        loading = asyncio.create_task(load(bus, 0, 4_000, gap=0.02))
        await until(lambda: len(target.seen("/t")) > 500)
        await first.kill()
    async with sensor_process(*job) as second:
        await until(lambda: len(target.seen("/t")) > 1_500)
        await second.kill()
    async with sensor_process(*job):
        ids = await loading
        await until(lambda: ids <= target.seen("/t"))
        await settled(bus)

    twice = sum(count - 1 for count in target.ids.values())
    assert twice <= 2 * 256, "at most what was in flight at a kill"
    assert await letters(bus) == []


async def test_server_killed_under_load(tmp_path, server, bus, target) -> None:
    target.seconds = 0.005
    async with sensor_process(tmp_path, server.url, spec(target)):
        loading = asyncio.create_task(load(bus, 0, 3_000, gap=0.02))
        for least in (300, 1_200):
            await until(lambda least=least: len(target.seen("/t")) > least)
            await server.kill()
            await asyncio.sleep(0.5)
            await server.start()
        ids = await loading
        await until(lambda: ids <= target.seen("/t"))
        await settled(bus)

    assert set(target.ids.values()) == {1}, "the sensor lives and knows what it has done"
    assert await letters(bus) == []


async def test_sigterm_drains(tmp_path, server, bus, target) -> None:
    """Whatever was begun is finished, nothing is done twice, and a successor does the rest."""
    target.seconds = 0.2
    job = (tmp_path, server.url, spec(target))
    async with sensor_process(*job) as first:
        loading = asyncio.create_task(load(bus, 0, 1_500, gap=0.01))
        await until(lambda: len(target.seen("/t")) > 200)
        async with sensor_process(*job):
            began = asyncio.get_running_loop().time()
            await first.stop()
            assert asyncio.get_running_loop().time() - began < 15, "not its whole time to drain"
            assert first.process.returncode == 0
            ids = await loading
            await until(lambda: ids <= target.seen("/t"), 25)  # less than ack_wait

    assert set(target.ids.values()) == {1}, "nothing twice"


async def test_siblings_and_an_outage(tmp_path, server, bus, target) -> None:
    """One target is down: its actions wait, others neither wait nor fire again; then all come."""
    is_down = True
    target.status = lambda path, _: 503 if path == "/ill" and is_down else 200
    async with sensor_process(tmp_path, server.url, spec(target, "ill", "well")):
        ids = await load(bus, 0, 500)
        await until(lambda: ids <= target.seen("/well"))
        await asyncio.sleep(3)
        assert target.seen("/ill") == set()
        is_down = False
        await until(lambda: ids <= target.seen("/ill"))
        await settled(bus)

    assert set(target.ids.values()) == {1}
    assert await letters(bus) == []


async def test_target_that_is_not_there_at_all(tmp_path, server, bus, target) -> None:
    await target.stop()
    async with sensor_process(tmp_path, server.url, spec(target)) as sensor:
        ids = await load(bus, 0, 300)
        await asyncio.sleep(2)
        await sensor.kill()  # what waits, waits on the bus
    await target.start()
    async with sensor_process(tmp_path, server.url, spec(target)):
        await until(lambda: ids <= target.seen("/t"))
        await settled(bus)

    assert await letters(bus) == []


async def test_rate_limit_holds_over_two_replicas(tmp_path, server, bus, target) -> None:
    """The rate is kept, its trigger pulls no more than can start, and its sibling runs free."""
    sensor = spec(target, "slow", "fast")
    sensor["triggers"][0]["rateLimit"] = {"unit": "Second", "requestsPerUnit": 20}
    job = (tmp_path, server.url, sensor)
    async with sensor_process(*job), sensor_process(*job):
        ids = await load(bus, 0, 1_000)
        await until(lambda: ids <= target.seen("/fast"))
        await until(lambda: len(target.times("/slow")) > 112)
        [info] = [r for r in await bus.readers(ACTIONS) if r.durable.endswith("@slow")]
        done = len(target.times("/slow"))

    times = target.times("/slow")
    spans = [times[at + 20] - times[at] for at in range(11, len(times) - 20, 20)]
    rate = 20 / median(spans)  # whoever stands still for a moment makes one of them short
    assert rate < 32, "two replicas that kept it each for itself would reach 40"
    assert info.in_flight <= 50
    assert info.pending > 800 - done
    assert len(set(target.seen("/slow"))) == len(times), "none twice"


async def test_poison_never_blocks(tmp_path, server, bus, target) -> None:
    async with sensor_process(tmp_path, server.url, spec(target)):
        for data in (b"", b"null", b"[1]", b"\xff", b'{"specversion":"1.0"}'):
            await bus.append(EVENTS, "default.src.a", data)
        ids = await load(bus, 0, 50)
        await until(lambda: ids <= target.seen("/t"))
        await settled(bus)

    assert [entry.letter.kind for entry in await letters(bus)] == ["event"] * 5


async def test_dead_letters_are_driven_once_more(tmp_path, server, bus, target) -> None:
    mended = False
    target.status = lambda _path, body: 200 if mended or int(body["id"]) % 2 else 400
    async with sensor_process(tmp_path, server.url, spec(target)):
        ids = await load(bus, 0, 20)
        await settled(bus)
        async with asyncio.timeout(60):
            while len(dead := await letters(bus)) < 10:
                await asyncio.sleep(0.1)
        assert len(dead) == 10
        assert all("400" in entry.letter.message for entry in dead)
        for entry in dead[:3]:
            await retry(bus, entry.sequence)
        await until(lambda: len(target.requests) == 23)
        async with asyncio.timeout(60):  # still refused, and not lost
            while len(again := await letters(bus)) != 10 or again[:7] != dead[3:]:
                await asyncio.sleep(0.1)
        await settled(bus)
        mended = True
        for entry in await letters(bus):
            await retry(bus, entry.sequence)
        await until(lambda: ids <= target.seen("/t"))
        await settled(bus)

    assert await letters(bus) == []
    assert set(target.ids.values()) == {1}


async def test_one_durable_for_a_sensor_and_more_only_when_needed(
    tmp_path, server, bus, target
) -> None:
    names = [f"t{n}" for n in range(20)]
    async with sensor_process(tmp_path, server.url, spec(target, *names)):
        for n in range(5):  # one by one: what waits a second for its turn is put on the bus
            ids = await load(bus, n, n + 1)
            await until(lambda ids=ids: all(ids <= target.seen(f"/{name}") for name in names))
        assert len(await bus.readers(EVENTS)) == 1
        assert [r.durable for r in await bus.readers(ACTIONS)] == ["actions@s@@redrive"]
        target.status = lambda path, _: 503 if path == "/t7" else 200
        await load(bus, 5, 6)
        await until(lambda: len(target.times("/t7")) > 6)
        async with asyncio.timeout(30):
            while len(await bus.readers(ACTIONS)) < 2:
                await asyncio.sleep(0.1)
        assert len(await bus.readers(ACTIONS)) == 2


async def test_edit_keeps_the_position(tmp_path, server, bus, target) -> None:
    """The durable is changed, not made anew, and older events of an added dependency are not
    taken up."""
    before = spec(target)
    after = spec(target, "t", "u")
    after["dependencies"].append(dependency("b"))
    after["triggers"][1]["template"]["conditions"] = "b"
    after["triggers"][1]["template"]["http"]["payload"] = [number("b", "id")]
    async with sensor_process(tmp_path, server.url, before, generation=1) as sensor:
        first = await load(bus, 0, 10)
        await until(lambda: first <= target.seen("/t"))
        await settled(bus)
        await sensor.stop()
    missed = await load(bus, 10, 20)
    await load(bus, 10, 20, "b")
    async with sensor_process(tmp_path, server.url, after, generation=2):
        later = await load(bus, 20, 30, "b")
        await until(lambda: missed <= target.seen("/t") and later <= target.seen("/u"))
        await settled(bus)

    assert target.seen("/t") == first | missed
    assert target.seen("/u") == later
    assert set(target.ids.values()) == {1}


async def test_newer_generation_takes_over(tmp_path, server, bus, target) -> None:
    after = spec(target, "t", "u")
    after["dependencies"].append(dependency("b"))
    after["triggers"][1]["template"]["conditions"] = "b"
    after["triggers"][1]["template"]["http"]["payload"] = [number("b", "id")]
    async with sensor_process(tmp_path, server.url, spec(target), generation=1) as old:
        loading = asyncio.create_task(load(bus, 0, 1_000, gap=0.1))
        await until(lambda: len(target.seen("/t")) > 100)
        async with sensor_process(tmp_path, server.url, after, generation=2):
            ids = await load(bus, 0, 100, "b")
            await asyncio.wait_for(old.process.wait(), 90)
            await until(lambda: ids <= target.seen("/u"))
            rest = await loading
            await until(lambda: rest <= target.seen("/t"))

    assert old.process.returncode == 0
    assert set(target.ids.values()) == {1}


# ---------------------------------------------------------------------------- conditions


def pairs(target: Sink) -> list[tuple[int, int]]:
    return [
        (int(body["a"]), int(body["b"])) for _, path, body in target.requests if path == "/join"
    ]


async def test_conditions_over_restarts(tmp_path, server, bus, target) -> None:
    job = (tmp_path, server.url, pair_spec(target))
    for at in range(3):
        async with sensor_process(*job) as sensor:
            await load(bus, at, at + 1, "a")
            await settled(bus)
            await sensor.kill()
        async with sensor_process(*job) as sensor:
            await load(bus, at, at + 1, "b")
            await until(lambda at=at: len(pairs(target)) == at + 1)
            await settled(bus)
            await sensor.kill()

    assert pairs(target) == [(0, 0), (1, 1), (2, 2)]


async def test_conditions_over_two_replicas_and_a_kill(tmp_path, server, bus, target) -> None:
    """Each event takes part in one firing at most, and one thousand rounds give as many."""
    job = (tmp_path, server.url, pair_spec(target))
    async with sensor_process(*job) as first, sensor_process(*job):
        for n in range(300):
            await asyncio.gather(accepted(bus, event(n, "a")), accepted(bus, event(n, "b")))
            if n == 150:
                await first.kill()
            await asyncio.sleep(0.01)
        await settled(bus)

    found = set(pairs(target))  # what was under way at the kill may have been done twice
    used_a, used_b = [a for a, _ in found], [b for _, b in found]
    assert len(set(used_a)) == len(used_a)
    assert len(set(used_b)) == len(used_b)
    assert len(found) > 150  # of two in a row of one kind, the newer stands
    assert await letters(bus) == []


async def test_folded_conditions_are_fast_and_leave_nothing(
    tmp_path, server, bus, target, record_property
) -> None:
    job = (tmp_path, server.url, pair_spec(target))
    async with sensor_process(*job) as sensor:  # makes the durable
        await sensor.stop()
    for at in range(0, 10_000, 100):
        both = [event(n, name) for n in range(at, at + 100) for name in "ab"]
        await asyncio.gather(*(accepted(bus, one) for one in both))
    async with sensor_process(*job):
        began = asyncio.get_running_loop().time()
        async with asyncio.timeout(120):
            while (await bus.readers(EVENTS))[0].pending:
                await asyncio.sleep(0.05)
        folded = asyncio.get_running_loop().time() - began
        await settled(bus)
        done = asyncio.get_running_loop().time() - began
        async with asyncio.timeout(30):
            while len(keys := await bus.store(STATE).keys("s.")) > 3:
                await asyncio.sleep(0.1)

    record_property("folded events/s", round(20_000 / folded))
    print(f"folded {20_000 / folded:.0f} events/s, fired {len(pairs(target)) / done:.0f}/s")
    assert len(set(pairs(target))) == len(pairs(target))
    assert sorted(keys)[:2] == ["s.@dependencies", "s.join"]
    assert len(keys) <= 3, "at most one event waits"
    assert [m async for m in bus.read(DEAD)] == []

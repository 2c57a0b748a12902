"""Order within a key, on a real nats-server, whoever is killed."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from cut_kit import line
from sensor_kit import dependency, event, trigger
from sensor_process import sensor_process
from settled import settled
from sink import Sink

from delivery.dead import list_dead
from delivery.inorder import ACK_WAIT, InOrder
from delivery.subjects import lease_key
from eventbus.bus import LEASES, STATE, Bus, Message, Reader, Topic
from spine.errors import BusError
from spine.event import Event

pytestmark = pytest.mark.timeout(300)

KEYS = "abcdefgh"


def source(key: str) -> dict[str, Any]:
    return {"dependencyName": "a", "dataKey": key}


def spec(target: Sink, **more: Any) -> dict[str, Any]:
    made = trigger("t", "a", f"{target.url}/t", **more)
    made["template"]["http"]["payload"] = [
        {"src": source("n"), "dest": "id"},
        {"src": source("k"), "dest": "k"},
    ]
    return {"dependencies": [dependency("a")], "triggers": [made]}


def keyed(number: int, key: str) -> Event:
    return event(number, "a", b'{"n":%d,"k":"%b"}' % (number, key.encode()))


async def accepted(bus: Bus, one: Event) -> None:
    while True:
        try:
            await bus.publish(one)
        except BusError:
            await asyncio.sleep(0.1)
        else:
            return


async def load(bus: Bus, keys: list[str], gap: float = 0.0) -> None:
    for number, key in enumerate(keys):
        await accepted(bus, keyed(number, key))
        if gap:
            await asyncio.sleep(gap)


async def until(true: Callable[[], object], seconds: float = 120.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.05)


def attempts(target: Sink) -> dict[str, list[int]]:
    """Numbers of the events of each key, as they were tried."""
    found: dict[str, list[int]] = defaultdict(list)
    for _, _, body in target.requests:
        found[body["k"]].append(int(body["id"]))
    return found


def in_order(target: Sink, keys: list[str]) -> int:
    """Check the order of effects; return how many were repeated."""
    repeated = 0
    found = attempts(target)
    for key in set(keys):
        wanted = [n for n, k in enumerate(keys) if k == key]
        first = list(dict.fromkeys(found[key]))
        assert first == wanted, (key, first, wanted)
        assert found[key] == sorted(found[key]), "what is repeated comes before what follows it"
        repeated += len(found[key]) - len(first)
    return repeated


async def test_two_replicas_and_kills(tmp_path, server, bus, target) -> None:
    """The holder of the lease is killed under load, twice, and then its successor, too."""
    target.seconds = 0.02
    keys = random.Random(7).choices(KEYS, k=3_000)
    job = (tmp_path, server.url, spec(target, orderBy=source("k")))
    async with sensor_process(*job) as first, sensor_process(*job) as second:
        loading = asyncio.create_task(load(bus, keys, gap=0.004))
        for victim, least in ((first, 300), (second, 900)):
            await until(lambda least=least: len(target.requests) >= least)
            if victim is first:
                await first.kill()
        async with sensor_process(*job):
            await second.kill()
            await loading
            await settled(bus)

    repeated = in_order(target, keys)
    assert repeated <= 2 * len(KEYS), "at most what was under way at a kill"
    assert [e async for e in list_dead(bus)] == []


async def test_the_next_begins_when_the_bus_knows_that_the_one_before_is_done(
    tmp_path, server, bus, target
) -> None:
    """Else both would be repeated after a kill, the earlier one after the later one."""
    target.seconds = 0.3
    keys = ["ab"[n % 2] for n in range(20)]
    made = spec(target, orderBy=source("k"))
    async with line(server.port) as way:
        async with sensor_process(tmp_path, f"nats://127.0.0.1:{way.port}", made) as first:
            loading = asyncio.create_task(load(bus, keys))
            await until(lambda: len(target.requests) >= 2)
            way.hears.clear()
            await asyncio.sleep(1.5)
            assert attempts(target) == {"a": [0], "b": [1]}
            await first.kill()
        await way.cut()
    async with sensor_process(tmp_path, server.url, made):
        await loading
        await settled(bus)

    assert in_order(target, keys) == 2
    assert target.seen("/t")


async def test_server_is_killed(tmp_path, server, bus, target) -> None:
    target.seconds = 0.01
    keys = random.Random(3).choices(KEYS, k=2_000)
    job = (tmp_path, server.url, spec(target, orderBy=source("k")))
    async with sensor_process(*job), sensor_process(*job):
        loading = asyncio.create_task(load(bus, keys, gap=0.004))
        for least in (200, 800):
            await until(lambda least=least: len(target.requests) >= least)
            await server.kill()
            await asyncio.sleep(0.5)
            await server.start()
        await loading
        await settled(bus)

    in_order(target, keys)


async def test_a_failing_key_waits_alone_and_over_a_kill(tmp_path, server, bus, target) -> None:
    ill = True
    target.status = lambda _, body: 503 if ill and body["k"] == "a" else 200
    keys = ["ab"[n % 2] for n in range(400)]
    retry = {"duration": "1s", "factor": 1.0, "jitter": 0, "steps": 1000}
    job = (tmp_path, server.url, spec(target, orderBy=source("k"), retryStrategy=retry))
    async with sensor_process(*job) as first:
        began = asyncio.get_running_loop().time()
        await load(bus, keys)
        await until(lambda: len(target.seen("/t")) >= 200)
        assert set(attempts(target)["a"]) == {0}
        seconds = asyncio.get_running_loop().time() - began
        assert len(attempts(target)["a"]) < seconds + 5, "it waits between attempts"
        await first.kill()
    async with sensor_process(*job):
        tried = len(attempts(target)["a"])
        await until(lambda: len(attempts(target)["a"]) > tried + 1)
        notes = await bus.store(STATE).keys("tries/")
        ill = False
        await settled(bus)

    assert len(notes) == 1
    assert in_order(target, keys) == attempts(target)["a"].count(0) - 1
    assert set(target.ids.values()) == {1}
    assert await bus.store(STATE).keys("tries/") == []


async def test_stopping_hands_over_at_once(tmp_path, server, bus, target) -> None:
    target.seconds = 0.05
    keys = [KEYS[n % 8] for n in range(1_200)]
    job = (tmp_path, server.url, spec(target, orderBy=source("k")))
    leases, key = bus.store(LEASES), lease_key("s", "t")
    async with sensor_process(*job) as first:
        async with asyncio.timeout(60):
            while not (lease := await leases.get(key)):
                await asyncio.sleep(0.05)
        async with sensor_process(*job):
            loading = asyncio.create_task(load(bus, keys))
            await until(lambda: len(target.requests) >= 200)
            await first.stop()
            left = await leases.get(key)
            assert left is None or left[0] != lease[0], "given up, and not left to run out"
            began, done = asyncio.get_running_loop().time(), len(target.requests)
            await until(lambda: len(target.requests) >= done + 20)
            print(f"handed over in {asyncio.get_running_loop().time() - began:.1f} s")
            await loading
            await settled(bus)

    assert in_order(target, keys) == 0, "nothing twice"


async def test_idempotency_keys_over_replicas_and_kills(tmp_path, server, bus, target) -> None:
    """Of 20 events with a key one acts, and none is lost with who had claimed it."""
    target.seconds = 0.02
    keys = [f"k{n % 100}" for n in range(2_000)]
    key = {"src": [source("k")], "duration": "1h"}
    job = (tmp_path, server.url, spec(target, idempotencyKey=key))
    async with sensor_process(*job) as first, sensor_process(*job):
        loading = asyncio.create_task(load(bus, keys))
        await until(lambda: len(target.requests) >= 30)
        await first.kill()
        await loading
        await settled(bus)
        claims = await bus.store(STATE).keys("claims/.s.t.")

    found = attempts(target)
    assert set(found) == set(keys)
    for number, numbers in found.items():
        assert len(set(numbers)) == 1, f"{number}: {numbers}"
    assert sum(len(numbers) - 1 for numbers in found.values()) <= 256, "only what was in flight"
    assert len(claims) == 100


async def test_more_is_outstanding_than_is_taken_at_a_time(bus) -> None:
    """A predecessor held 100 MB, and all of it has to be in hand before the first goes on."""
    reader = Reader("d", (Topic("src", "a").subject,), ack_wait=ACK_WAIT)
    await bus.ensure(reader)
    for number in range(100):
        await accepted(bus, event(number, "a", b"x" * 750_000))
    taken: set[int] = set()

    async def give_back(message: Message) -> None:
        taken.add(message.sequence)
        raise BusError("not now", retry_after=6.0)

    first = asyncio.create_task(bus.consume(reader, give_back, in_flight=100))
    await until(lambda: len(taken) >= 100)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    begun: list[int] = []

    async def note(message: Message) -> None:
        begun.append(message.sequence)

    reading = asyncio.create_task(InOrder(bus, reader, note, in_flight=256).run())
    await until(lambda: len(begun) >= 100)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)

    assert begun == list(range(1, 101))

"""Debounce, batch and resets over kills: on a real nats-server, with processes that are killed."""

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from sensor_kit import dependency, event, trigger
from sensor_process import sensor_process
from settled import settled
from sink import Sink

from delivery.dead import list_dead
from eventbus.bus import STATE, Bus
from spine.errors import BusError

pytestmark = pytest.mark.timeout(240)


def spec(target: Sink, *names: str, conditions: str = "", key: str = "#.n", **more: Any) -> dict:
    """A Sensor whose trigger posts `{"a": VALUE, …}`, taken of the event of each name."""
    names = names or ("a",)
    made = trigger("t", conditions or " || ".join(names), f"{target.url}/t", **more)
    made["template"]["http"]["payload"] = [
        {"src": {"dependencyName": name, "dataKey": key, "useRawData": True}, "dest": name}
        for name in names
    ]
    return {"dependencies": [dependency(name) for name in names], "triggers": [made]}


async def accepted(bus: Bus, number: int, name: str = "a", data: bytes | None = None) -> None:
    while True:
        try:
            await bus.publish(event(number, name, data))
        except BusError:
            await asyncio.sleep(0.1)
        else:
            return


async def until(true: Any, seconds: float = 120.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.05)


def numbers(target: Sink, name: str = "a") -> list[Any]:
    return [body[name] for _, _, body in target.requests if name in body]


async def test_batches_over_kills(tmp_path, server, bus, target) -> None:
    """Two replicas, killed in turn under load, and the bus once: each event is in one batch.

    A batch that was under way at a kill may have been told twice.
    """
    job = (tmp_path, server.url, spec(target, batch={"count": 20, "duration": "2s"}))
    total = 1_500

    async def load() -> None:
        for at in range(0, total, 10):
            await asyncio.gather(*(accepted(bus, n) for n in range(at, at + 10)))
            await asyncio.sleep(0.03)

    def batches() -> set[tuple[int, ...]]:
        return set(map(tuple, numbers(target)))

    def seen() -> int:
        return sum(map(len, batches()))

    async with sensor_process(*job):
        async with sensor_process(*job) as second:
            loading = asyncio.create_task(load())
            await until(lambda: seen() > 200)
            await second.kill()
        async with sensor_process(*job) as third:
            await until(lambda: seen() > 500)
            await server.kill()
            await asyncio.sleep(0.3)
            await server.start()
            await until(lambda: seen() > 800)
            await third.kill()
        await loading
        await settled(bus)
        await until(lambda: seen() >= total)
        await asyncio.sleep(3)

    found = batches()
    assert Counter(n for one in found for n in one) == Counter(range(total))
    assert max(map(len, found)) <= 20
    assert len(numbers(target)) - len(found) <= 10, "only what was under way"
    assert [entry async for entry in list_dead(bus)] == []
    left = await bus.store(STATE).keys("s.t")
    assert len(left) <= 2


async def test_the_only_replica_is_killed_while_it_holds_events(
    tmp_path, server, bus, target
) -> None:
    job = (tmp_path, server.url, spec(target, batch={"count": 100, "duration": "3s"}))
    async with sensor_process(*job) as first:
        for n in range(7):
            await accepted(bus, n)
        await settled(bus)
        await first.kill()
    async with sensor_process(*job):
        await until(lambda: numbers(target))
        await asyncio.sleep(1)
    assert numbers(target) == [list(range(7))]


async def test_debounce_over_a_kill(tmp_path, server, bus, target) -> None:
    """The newest of each key, once, by the replica that is left."""
    how = {"duration": "4s", "key": {"dependencyName": "a", "dataKey": "k"}}
    job = (tmp_path, server.url, spec(target, key="n", debounce=how))
    async with sensor_process(*job), sensor_process(*job) as second:
        for n in range(40):
            await accepted(bus, n, data=b'{"n":%d,"k":"%s"}' % (n, b"xyz"[n % 3 : n % 3 + 1]))
            await asyncio.sleep(0.02)
        await second.kill()
        assert numbers(target) == []
        await until(lambda: len(numbers(target)) == 3)  # what it held comes back after 30 s
        await asyncio.sleep(3)
    assert sorted(numbers(target)) == [37, 38, 39]


async def test_a_debounce_is_quiet_for_its_duration_and_no_longer(
    tmp_path, server, bus, target
) -> None:
    job = (tmp_path, server.url, spec(target, key="n", debounce={"duration": "2s"}))
    async with sensor_process(*job):
        for n in range(8):
            await accepted(bus, n)
            last = asyncio.get_running_loop().time()
            await asyncio.sleep(0.3)
        assert numbers(target) == []
        await until(lambda: numbers(target))
        assert 1.9 < target.times("/t")[0] - last < 12
    assert numbers(target) == [7]


async def test_large_batches_are_gathered_fast_and_leave_nothing(
    tmp_path, server, bus, target, record_property
) -> None:
    job = (tmp_path, server.url, spec(target, key="#", batch={"count": 5_000}))
    async with sensor_process(*job) as first:  # makes the durable
        await first.stop()
    filler = b"x" * 200
    for at in range(0, 10_000, 200):
        await asyncio.gather(
            *(accepted(bus, n, data=b'{"n":%d,"x":"%s"}' % (n, filler))
              for n in range(at, at + 200))
        )  # fmt: skip
    async with sensor_process(*job):
        began = time.monotonic()
        await until(lambda: len(target.requests) == 2)
        speed = 10_000 / (time.monotonic() - began)
        await settled(bus)
        async with asyncio.timeout(30):
            while (keys := await bus.store(STATE).keys("s.t")) != ["s.t"]:
                await asyncio.sleep(0.1)
    record_property("gathered events/s", round(speed))
    print(f"gathered {speed:.0f} events/s")
    assert [body["a"] for _, _, body in target.requests] == [5_000, 5_000]
    assert keys == ["s.t"]


async def test_resets_over_a_kill(tmp_path, server, bus, target) -> None:
    """What is saved over a kill counts until the reset, and no longer."""
    resets = [{"byTime": {"cron": "@every 8s"}}]
    made = spec(target, "a", "b", conditions="a && b", key="n")
    made["triggers"][0]["template"]["conditionsReset"] = resets
    job = (tmp_path, server.url, made)

    async def after_a_reset(seconds: float) -> None:
        await asyncio.sleep(8 - datetime.now(UTC).timestamp() % 8 + seconds)

    async with sensor_process(*job) as first:
        await after_a_reset(0.3)
        await accepted(bus, 1, "a")
        await settled(bus)
        await first.kill()
        await accepted(bus, 1, "b")
    async with sensor_process(*job) as second:
        await until(lambda: target.requests)
        await settled(bus)
        await after_a_reset(0.3)
        await accepted(bus, 2, "a")
        await settled(bus)
        await second.kill()
    await after_a_reset(0.3)
    await accepted(bus, 3, "b")
    async with sensor_process(*job):
        await settled(bus)
        assert len(target.requests) == 1, "a of before the reset does not count"
        await after_a_reset(0.3)
        await accepted(bus, 4, "a")
        await accepted(bus, 4, "b")
        await until(lambda: len(target.requests) == 2)
        await settled(bus)
    found = [(body["a"], body["b"]) for _, _, body in target.requests]
    assert found == [(1, 1), (4, 4)]


async def test_patterns_in_names(tmp_path, server, bus, target) -> None:
    made = spec(target, "some", key="n")
    made["dependencies"] = [dependency("some", "orders-*")]
    job = (tmp_path, server.url, made)
    async with sensor_process(*job):
        for n, name in enumerate(["orders-eu", "returns", "orders-us", "orders"]):
            await accepted(bus, n, name)
        await until(lambda: len(target.requests) == 2)
        await settled(bus)
    assert sorted(numbers(target, "some")) == [0, 2]
    assert [entry async for entry in list_dead(bus)] == []

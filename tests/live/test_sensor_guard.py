"""Programs that are not known to end, in real worker processes."""

import asyncio
import re

import pytest
from delivery_kit import Target, dead, pending
from sensor_kit import dependency, event, plan, running, trigger, use_targets

from eventbus.bus import EVENTS
from eventbus.memory import MemoryBus
from spine.errors import ConfigError
from spine.runtime import Backoff

SECONDS = "5"
"""For programs that end by themselves on a machine where much else runs, too."""
HANGS_ON_13 = {"jq": "{n: (if .n == 13 then [range(1e15)] | length else .n end)}"}


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus()


@pytest.fixture
def targets(monkeypatch) -> dict[str, Target]:
    found = {name: Target() for name in ("t", "join")}
    use_targets(monkeypatch, found)
    monkeypatch.setenv("TOCSIN_PROGRAM_SECONDS", SECONDS)
    return found


async def settled(bus) -> None:
    async with asyncio.timeout(120):
        while sum(r.pending + r.in_flight for r in await bus.readers(EVENTS)) or await pending(bus):
            await asyncio.sleep(0.05)


async def test_program_that_never_ends_costs_its_own_event_only(bus, targets) -> None:
    unsafe = plan([dependency("a", transform=HANGS_ON_13)], [trigger("t", payload=["a"])])
    assert not unsafe.safe
    async with running(bus, unsafe):
        for n in range(20):
            await bus.publish(event(n))
        await settled(bus)

    [entry] = await dead(bus)
    assert entry.letter.data is not None
    assert "event 'a13'" in entry.letter.message
    assert {int(body["id"]["a"]) for body in targets["t"].bodies} == {*range(20)} - {13}


async def test_conditions_under_guard(bus, targets) -> None:
    unsafe = plan(
        [dependency("a", transform=HANGS_ON_13), dependency("b")],
        [trigger("join", "a && b", payload=["a", "b"])],
    )
    async with running(bus, unsafe):
        for n in (12, 13, 14):
            await bus.publish(event(n, "a"))
            await settled(bus)
        await bus.publish(event(1, "b"))
        await settled(bus)

    [body] = targets["join"].bodies
    assert {name: int(n) for name, n in body["id"].items()} == {"a": 14, "b": 1}
    assert len(await dead(bus)) == 1


HANGS = "if event.n == 13 then while true do end end return {n = event.n}"
LOADS = "if event.n == 13 then while true do loadstring('return 1') end end return {n = event.n}"
SWELLS = """
    local s, n = 'x', event.n
    while n == 13 do s = s .. s end
    return {n = n}
"""
LONG = "return {n = event.n, s = event.n == 13 and ('x'):rep(300000) or ''}"


@pytest.mark.parametrize(
    ("script", "seconds", "reason"),
    [
        (HANGS, "60", "it took too many steps"),
        (LOADS, SECONDS, f"it took too much time|it did not end within {SECONDS} s"),
        (SWELLS, "60", "it used too much memory"),
        (LONG, "60", "it returned too much"),
    ],
    ids=["steps", "time", "memory", "output"],
)
async def test_lua_that_is_ended_costs_its_own_event_only(
    bus, targets, monkeypatch, script, seconds, reason
) -> None:
    monkeypatch.setenv("TOCSIN_PROGRAM_SECONDS", seconds)
    monkeypatch.setenv("TOCSIN_PROGRAM_MEMORY", "256Mi")
    monkeypatch.setenv("TOCSIN_PROGRAM_OUTPUT", "200k")
    unsafe = plan([dependency("a", transform={"script": script})], [trigger("t", payload=["a"])])
    assert not unsafe.safe
    async with running(bus, unsafe):
        for n in range(10, 16):
            await bus.publish(event(n))
        await settled(bus)

    [entry] = await dead(bus)
    assert re.search(reason, entry.letter.message)
    assert "'a13'" in entry.letter.message
    assert {int(body["id"]["a"]) for body in targets["t"].bodies} == {10, 11, 12, 14, 15}


async def test_a_guard_that_does_not_start_loses_no_event(bus, targets, monkeypatch) -> None:
    waits = Backoff(duration=0.05, factor=1.0, jitter=0.0, steps=0)
    monkeypatch.setattr("spine.lang.guard.RECONNECT", waits)
    monkeypatch.setattr("sensor.guarded.FACTORY", "nowhere:worker")
    unsafe = plan([dependency("a", transform=HANGS_ON_13)], [trigger("t", payload=["a"])])
    async with running(bus, unsafe) as runner:
        await bus.publish(event(1))
        async with asyncio.timeout(60):
            while not runner.problem:
                await asyncio.sleep(0.01)
        assert "nowhere" in runner.problem  # so readiness is false
        assert not await dead(bus)
        assert runner._guard is not None
        runner._guard.factory = "sensor.guarded:worker"
        await settled(bus)
        assert not runner.problem

    assert not await dead(bus)
    assert [body["id"]["a"] for body in targets["t"].bodies] == ["1"]


async def test_bad_limits_stop_the_sensor(bus, targets, monkeypatch) -> None:
    monkeypatch.setenv("TOCSIN_PROGRAM_WORKERS", "many")
    unsafe = plan([dependency("a", transform=HANGS_ON_13)], [trigger("t", payload=["a"])])
    with pytest.raises(ConfigError, match="TOCSIN_PROGRAM_WORKERS"):
        async with running(bus, unsafe):
            pass

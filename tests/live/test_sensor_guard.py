"""Programs that are not known to end, in real worker processes."""

import asyncio

import pytest
from delivery_kit import Target, dead, pending
from sensor_kit import dependency, event, plan, running, trigger, use_targets

from eventbus.bus import EVENTS
from eventbus.memory import MemoryBus

HANGS_ON_13 = {"jq": "{n: (if .n == 13 then [range(1e15)] | length else .n end)}"}


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus()


@pytest.fixture
def targets(monkeypatch) -> dict[str, Target]:
    found = {name: Target() for name in ("t", "join")}
    use_targets(monkeypatch, found)
    monkeypatch.setenv("TOCSIN_PROGRAM_SECONDS", "1.5")
    return found


async def settled(bus) -> None:
    async with asyncio.timeout(60):
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
    assert "evaluating event 'a13'" in entry.letter.message
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

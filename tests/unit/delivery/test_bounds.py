"""What is done and kept at a time while actions are delivered, driven to its bounds."""

import asyncio
from typing import Any

from delivery_kit import Target, action, dispatching, down

from delivery import claims
from delivery.action import Action
from delivery.attempt import REMEMBERED
from delivery.claims import Claims
from delivery.lane import Lane, Route
from delivery.policy import PATIENT, RateLimit, Retry
from delivery.queue import ORPHANS
from eventbus.bus import STATE
from eventbus.memory import MemoryBus


async def test_a_sweep_looks_at_so_many_claims_at_a_time(monkeypatch) -> None:
    store = MemoryBus().store(STATE)
    found, busy, most = Claims(store, "s", lambda: 0.0), 0, 0
    for number in range(3 * claims.AT_ONCE):
        await found.take(action(number, claim=f"k{number}", claimed_for=10.0))
    get = store.get

    async def slow(key: str) -> Any:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0)
        busy -= 1
        return await get(key)

    monkeypatch.setattr(store, "get", slow)
    await found.sweep()
    assert most == claims.AT_ONCE


async def test_actions_without_a_trigger_are_set_aside_so_many_at_a_time(monkeypatch) -> None:
    bus, pulls = MemoryBus(), []
    consume = bus.consume

    async def noted(reader: Any, handle: Any, *, in_flight: int) -> None:
        pulls.append((reader.durable, in_flight))
        await consume(reader, handle, in_flight=in_flight)

    monkeypatch.setattr(bus, "consume", noted)
    async with dispatching(bus, t=Route(Target())) as dispatcher:
        dispatcher._want_token("gone")
        for _ in range(5):
            await asyncio.sleep(0)
    assert [in_flight for durable, in_flight in pulls if durable.endswith("gone")] == [ORPHANS]


async def test_of_failures_the_last_few_are_kept() -> None:
    retry = Retry(PATIENT, written=False)
    found: Action = action(1)
    async with dispatching(MemoryBus(), t=Route(Target(down), retry=retry)) as dispatcher:
        lane = dispatcher._lanes["t"]
        for _ in range(REMEMBERED + 3):
            await lane.enter()
            failed = await dispatcher._attempts.send(lane, found)
            lane.leave()
            assert failed is not None
            found = dispatcher._attempts.later(lane, *failed) or found
    assert len(found.failures) == REMEMBERED


async def test_of_a_trigger_with_a_rate_as_much_is_taken_as_can_start_soon() -> None:
    assert Lane("s", "t", Route(Target(), in_flight=128)).pulls == 128
    slow = Route(Target(), in_flight=128, rate=RateLimit(2.0))
    assert Lane("s", "t", slow).pulls == 8

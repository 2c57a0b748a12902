"""What a Sensor's process takes and keeps, driven to its bounds."""

import asyncio
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import pytest
from delivery_kit import Target
from sensor_kit import dependency, event, plan, running, trigger, use_targets

from delivery.action import Action
from delivery.subjects import REDRIVE, pending_durable, pending_subject
from eventbus.bus import ACTIONS, EVENTS, Message
from eventbus.memory import MemoryBus
from sensor import folding, intake, planned, runner
from sensor.intake import Intake
from sensor.telling import AT_ONCE, tell_each
from services.service import Receipt
from spine.errors import BusError
from spine.runtime import Shared
from spine.secrets import GivenSecrets
from spine.telemetry import SensorMetrics

SIMPLE = plan([dependency("a")], [trigger("t")])


def intake_of(one: Any, dispatcher: Any) -> Intake:
    metrics = SensorMetrics("ns", one.name, one.triggers)
    return Intake(one, MemoryBus(), dispatcher, metrics, None, {})


@pytest.mark.looptime
async def test_pulls_stop_at_the_events_in_flight(monkeypatch) -> None:
    use_targets(monkeypatch, {"t": Target(seconds=5.0)})
    bus = MemoryBus()
    async with running(bus, SIMPLE, in_flight=40):
        for number in range(100):
            await bus.publish(event(number))
        await asyncio.sleep(0.5)
        [info] = [one for one in await bus.readers(EVENTS) if one.durable.startswith("sensor-")]
        assert (info.in_flight, info.pending) == (40, 60)


async def test_slots_of_triggers_leave_places_to_others(monkeypatch) -> None:
    use_targets(monkeypatch, {"t0": Target()})
    slots = {}
    for count in (1, 2, 4, 100):
        one = plan([dependency("a")], [trigger(f"t{n}") for n in range(count)])
        metrics = SensorMetrics("ns", one.name, one.triggers)
        whole = runner.Runner(one, MemoryBus(), GivenSecrets(), metrics)
        async with AsyncExitStack() as stack, Shared() as shared:
            route = await whole._route(stack, shared, one.triggers["t0"])
        slots[count] = route.in_flight
    assert slots == {1: runner.MOST, 2: 112, 4: 56, 100: runner.LEAST}
    assert 2 * slots[2] == 4 * slots[4] == runner.IN_FLIGHT - runner.SPARE


async def test_what_was_done_for_events_that_come_back_is_so_much(monkeypatch) -> None:
    monkeypatch.setattr(intake, "REMEMBERED", 3)

    async def deliver(action: Action) -> None:
        if action.trigger == "u":
            raise BusError("away")

    dispatcher: Any = SimpleNamespace(deliver=deliver)
    one = intake_of(SIMPLE, dispatcher)
    for number in range(8):
        message = Message("default.src.a", b"", number, 1.0)
        actions = [
            Action(key=f"{trigger}{number}", sensor="s", trigger=trigger, kind="http", content={})
            for trigger in "tu"
        ]

        with pytest.raises(BusError):
            await one._excusing(message, one._deliver_all(actions))
    assert list(one._done) == ["t5", "t6", "t7"]
    assert list(one._excused) == [5, 6, 7]


def test_names_of_events_for_which_dependencies_are_known() -> None:
    one = plan([dependency("a")], [trigger("t")])
    for number in range(planned._KNOWN_TOPICS + 3):
        one.dependencies_of("src", f"e{number}")
    assert len(one._known) == 3


@pytest.mark.parametrize("name", ["BATCH", "GUARDED_BATCH"])
async def test_events_are_folded_so_many_at_once(name: str) -> None:
    one: Any = SimpleNamespace(safe=name == "BATCH", triggers={}, name="s")
    outlets: Any = SimpleNamespace(floor=None)
    folder = folding.Folder(one, None, None, outlets)  # type: ignore[arg-type]  # nothing is folded
    most = getattr(folding, name)
    waiting = [
        asyncio.create_task(folder.fold(event(n), Message("default.src.a", b"", n, 1.0)))
        for n in range(most + 5)
    ]
    await asyncio.sleep(0)
    assert [len(await folder._next()) for _ in range(2)] == [most, 5]
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_recipients_of_one_action_are_told_so_many_at_a_time() -> None:
    busy = most = 0

    async def tell(recipient: str, key: str) -> Receipt:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0)
        busy -= 1
        return Receipt("200 OK", {})

    to = [str(number) for number in range(3 * AT_ONCE)]
    await tell_each(
        Action(key="k", sensor="s", trigger="t", kind="notify", content={"to": to}), "to", tell
    )
    assert most == AT_ONCE


async def test_retried_dead_letters_are_so_many_at_a_time(monkeypatch) -> None:
    use_targets(monkeypatch, {"t": Target()})
    gate, bus = asyncio.Event(), MemoryBus()

    async def redrive(self: Intake, message: Message) -> None:
        await gate.wait()

    monkeypatch.setattr(Intake, "redrive", redrive)
    async with running(bus, SIMPLE):
        for _ in range(runner.REDRIVES + 5):
            await bus.append(ACTIONS, pending_subject("s", REDRIVE), b"{}")
        for _ in range(50):
            await asyncio.sleep(0)
        infos = {one.durable: one for one in await bus.readers(ACTIONS)}
        [again] = [one for name, one in infos.items() if name == pending_durable("s", REDRIVE)]
        assert (again.in_flight, again.pending) == (runner.REDRIVES, 5)
        gate.set()

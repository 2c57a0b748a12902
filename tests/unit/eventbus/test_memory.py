"""The memory bus in virtual time, beyond what every bus does."""

import asyncio

import pytest

from eventbus.bus import LEASES, Reader
from eventbus.memory import MemoryBus
from spine.errors import BusError, ConflictError, RemoteError
from spine.event import Event

READER = Reader("sensor", ("default.uploads.beep",), start="all")


def event(n: int) -> Event:
    return Event(source="uploads", subject="beep", type="t", id=str(n))


@pytest.mark.looptime
async def test_its_time_is_the_loops():
    bus, loop = MemoryBus(), asyncio.get_running_loop()
    times = []

    async def handle(message) -> None:
        times.append(loop.time())
        raise RemoteError("down", retry_after=3600)

    await bus.publish(event(1))
    begin = loop.time()
    task = asyncio.create_task(bus.consume(READER, handle, in_flight=1))
    await asyncio.sleep(7300)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [round(t - begin) for t in times] == [0, 3600, 7200]


@pytest.mark.looptime
async def test_ids_and_leases_are_forgotten_after_their_time():
    bus = MemoryBus()
    assert await bus.append("default", "default.a.b", b"", message_id="m") == 1
    assert await bus.append("default", "default.a.b", b"", message_id="m") == 1
    await asyncio.sleep(301)
    assert await bus.append("default", "default.a.b", b"", message_id="m") == 2
    store = bus.store(LEASES)
    await store.put("k", b"me", revision=None)
    with pytest.raises(ConflictError):
        await store.put("k", b"you", revision=None)
    await asyncio.sleep(10.5)
    await store.put("k", b"you", revision=None)


async def test_a_test_can_take_it_down():
    bus = MemoryBus()
    bus.down = "it is away"
    assert bus.problem == "it is away"
    with pytest.raises(BusError, match="it is away"):
        await bus.publish(event(1))
    bus.down = ""
    await bus.publish(event(1))


async def test_max_ack_pending_is_kept():
    bus = MemoryBus()
    for n in range(5):
        await bus.publish(event(n))
    running = 0

    async def handle(message) -> None:
        nonlocal running
        running += 1
        await asyncio.Event().wait()

    reader = Reader("sensor", READER.subjects, start="all", max_ack_pending=2)
    task = asyncio.create_task(bus.consume(reader, handle, in_flight=5))
    await asyncio.sleep(0.05)
    assert running == 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

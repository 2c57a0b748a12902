"""Messages begin in the order of the stream, whatever went missing before."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from delivery.inorder import ACK_WAIT, STUCK, InOrder
from delivery.lease import TERM
from eventbus.bus import EVENTS, Message, Reader
from spine.errors import BusError

pytestmark = pytest.mark.looptime

READER = Reader("d", ("default.src.a",), ack_wait=ACK_WAIT)


class Begun:
    """A handler that takes its time and notes in which order it was called."""

    def __init__(self, seconds: float = 0.1) -> None:
        self.seconds, self.sequences = seconds, []

    async def __call__(self, message: Message) -> None:
        self.sequences.append(message.sequence)
        await asyncio.sleep(self.seconds)


@asynccontextmanager
async def reading(bus, begun: Begun, in_flight: int = 16):
    task = asyncio.create_task(InOrder(bus, READER, begun, in_flight=in_flight).run())
    try:
        await asyncio.sleep(0)
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def fill(bus, count: int) -> None:
    for _ in range(count):
        await bus.append(EVENTS, "default.src.a", b"")


async def done(bus) -> None:
    async with asyncio.timeout(10_000):
        while [i for i in await bus.readers(EVENTS) if i.pending + i.in_flight]:
            await asyncio.sleep(0.1)


async def test_nothing_missing_costs_no_wait(bus) -> None:
    begun = Begun()
    async with reading(bus, begun):
        await fill(bus, 100)
        await done(bus)

    assert begun.sequences == list(range(1, 101))
    assert asyncio.get_running_loop().time() < 2


class Lossy:
    """A bus on which messages are handed out and never arrive; they come back after a while."""

    def __init__(self, bus, lost: set[int], seconds: float) -> None:
        self.bus, self.lost, self.seconds = bus, lost, seconds

    def __getattr__(self, name):
        return getattr(self.bus, name)

    async def consume(self, reader, handle, *, in_flight):
        """A slot is not taken by what was lost."""

        async def lossy(message: Message) -> None:
            if message.sequence in self.lost:
                self.lost.discard(message.sequence)
                raise BusError("lost on its way", retry_after=self.seconds)
            await handle(message)

        await self.bus.consume(reader, lossy, in_flight=in_flight)


@pytest.mark.parametrize("lost", [{1}, {5}, {3, 4, 9}, {40}, set(range(1, 41, 2))], ids=str)
@pytest.mark.parametrize("seconds", [0.5, 8.0])
async def test_what_was_lost_comes_first(bus, lost: set[int], seconds: float) -> None:
    begun = Begun()
    await bus.ensure(READER)
    await fill(bus, 40)
    async with reading(Lossy(bus, set(lost), seconds), begun, in_flight=64):
        await done(bus)

    assert begun.sequences == list(range(1, 41))


async def test_what_finds_no_room_is_made_room_for(bus) -> None:
    """All slots are taken by newer messages when it comes back."""
    begun = Begun()
    await bus.ensure(READER)
    await fill(bus, 40)
    async with reading(Lossy(bus, {1, 2}, 8.0), begun, in_flight=8):
        await done(bus)

    assert begun.sequences == list(range(1, 41))
    assert asyncio.get_running_loop().time() < 2 * STUCK


async def test_takes_over_from_one_that_died(bus) -> None:
    """Its messages come back only after a while, and not in order."""
    begun, taken = Begun(), []

    async def die(message: Message) -> None:
        taken.append(message.sequence)
        raise BusError("died", retry_after=5.0 + (message.sequence * 7) % 5)

    await bus.ensure(READER)
    await fill(bus, 30)
    first = asyncio.create_task(bus.consume(READER, die, in_flight=20))
    while len(taken) < 20:
        await asyncio.sleep(0)
    first.cancel()
    async with reading(bus, begun, in_flight=10):
        await done(bus)

    assert begun.sequences == list(range(1, 31))


class Late(Lossy):
    """It looks where the durable stands only a while after it was asked."""

    async def readers(self, stream):
        await asyncio.sleep(1)
        return await self.bus.readers(stream)


@pytest.mark.parametrize("how", ["returns", "settles"])
async def test_what_ends_while_the_bus_is_asked_does_not_stand_for_what_is_missing(
    bus, how
) -> None:
    begun: list[int] = []
    first_ends = asyncio.Event()

    async def handle(message: Message) -> None:
        begun.append(message.sequence)
        if message.sequence == 1:
            await first_ends.wait()
            if how == "returns":
                return
            await message.settle()
        await asyncio.sleep(60)

    late = Late(bus, {3}, 8.0)
    await bus.ensure(READER)
    async with reading(late, handle):
        await fill(bus, 2)
        await asyncio.sleep(10)
        assert begun == [1, 2]
        await fill(bus, 2)
        await asyncio.sleep(0.5)
        first_ends.set()
        await asyncio.sleep(20)

    assert begun == [1, 2, 3, 4]


async def test_bus_that_is_away(bus) -> None:
    begun = Begun()
    await bus.ensure(READER)
    bus.down = "away"
    async with reading(bus, begun):
        await asyncio.sleep(30)
        bus.down = ""
        await fill(bus, 5)
        await done(bus)

    assert begun.sequences == [1, 2, 3, 4, 5]


def test_messages_come_back_before_a_lease_runs_out() -> None:
    assert ACK_WAIT < TERM

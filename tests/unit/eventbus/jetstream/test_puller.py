"""What a puller takes from the bus, and what it leaves there."""

import asyncio
from typing import Any

import orjson
import pytest

from eventbus.bus import Message, Reader
from eventbus.jetstream import puller
from eventbus.jetstream.consumers import Place
from eventbus.jetstream.direct import Delivered
from eventbus.jetstream.puller import Puller


class Line:
    """A connection whose other side is the test."""

    is_up = True

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []

    def on_up(self, callback: Any) -> None: ...

    async def send(self, subject: str, data: bytes, reply: str = "") -> None:
        self.sent.append((subject, data))

    def post(self, subject: str, data: bytes) -> bool:
        self.sent.append((subject, data))
        return True

    @property
    def asked(self) -> list[int]:
        """Messages asked for, of each pull."""
        return [orjson.loads(data)["batch"] for subject, data in self.sent if ".NEXT." in subject]

    @property
    def refused(self) -> list[str]:
        return [subject for subject, data in self.sent if data == b"-NAK"]

    def give(self, number: int, size: int = 1) -> None:
        reply = f"$JS.ACK.s.d.1.{number}.{number}.1000000000.0"
        self.callback(Delivered("s.x", reply, bytes(size)))


class Consumers:
    async def ensure(self, reader: Reader) -> Place:
        return Place()


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
async def held():
    """A puller with four slots whose messages are never done, and its connection."""
    line, taken = Line(), []

    async def handle(message: Message) -> None:
        taken.append(message.sequence)
        await asyncio.Event().wait()

    one = Puller(line, Consumers(), Reader("d", ("s.x",), stream="s"), handle, 4)  # type: ignore[arg-type]  # all that it uses
    one._place = Place()
    line.callback = one._on_message
    pulling = asyncio.create_task(one._pull_on())
    await turn()
    yield one, line, taken
    tasks = [pulling, *(h.task for h in one._held.values() if h.task)]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_no_more_is_asked_for_than_can_begin(held):
    one, line, taken = held
    assert line.asked == [4]
    for number in range(1, 5):
        line.give(number)
    one._wake.set()
    await turn()
    assert taken == [1, 2, 3, 4]
    assert line.asked == [4]


async def test_what_comes_unasked_waits_and_the_rest_goes_back(held):
    one, line, taken = held
    for number in range(1, 13):  # pulls that were given up are answered after all
        line.give(number)
    await turn()
    assert taken == [1, 2, 3, 4]
    assert [h.message.sequence for h in one._waiting] == [5, 6, 7, 8]
    assert [reply.split(".")[5] for reply in line.refused] == ["9", "10", "11", "12"]


async def test_above_so_many_bytes_no_more_is_asked_for(held, monkeypatch):
    one, line, taken = held
    monkeypatch.setattr(puller, "HELD_BYTES", 100)
    one._room = 100
    for number in range(1, 4):
        line.give(number, 60)
    one._forget_pulls()  # as after its time
    one._wake.set()
    await turn()
    assert (taken, line.asked) == ([1, 2, 3], [4])

    one._held[1].task.cancel()
    one._held[2].task.cancel()
    await turn()
    assert line.asked[1:] == [3]


async def test_where_nothing_moves_a_little_more_is_taken_and_then_no_more(held, monkeypatch):
    one, _, _ = held
    monkeypatch.setattr(puller, "HELD_BYTES", 100)
    one._room, now = 100, asyncio.get_running_loop().time()
    for number in range(1, 20):
        one._stretch(now + number * 2 * puller.STILL_SECONDS)
    assert one._room == puller.STRETCHED * 100

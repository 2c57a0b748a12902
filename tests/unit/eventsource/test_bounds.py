"""What sources hold while the bus is away, driven to its bounds without a server."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from eventsource import registration
from eventsource.aws import queue as sqs
from eventsource.aws.queue import Queue, Reading
from eventsource.files import telling
from eventsource.files.telling import Teller
from eventsource.nats import core
from eventsource.nats.core import Core
from eventsource.pubsub import tokens
from eventsource.pubsub.tokens import Verifier
from eventsource.redisstream import group as redisstream
from eventsource.redisstream.group import Group
from eventsource.taking import LIMIT, Taken, Taker


class Away:
    """A bus that takes nothing until it is opened."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.begun = 0

    async def __call__(self, payload: Any, **_: Any) -> None:
        self.begun += 1
        await self.open.wait()


def taken(size: int = 1) -> Taken:
    return Taken(lambda: None, lambda: None, "it", size)  # type: ignore[arg-type,return-value]  # nobody reads it


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize(("most", "size", "kept"), [("WAITING", 1, 3), ("WAITING_BYTES", 1, 3)])
async def test_core_nats_loses_what_is_too_much_and_says_so(monkeypatch, caplog, most, size, kept):
    monkeypatch.setattr(core, most, kept)
    one = Core("a.*", "", Taker("ev", Away(), 1), lambda _: taken(size))
    for _ in range(kept + 5):
        await one._received(None)  # type: ignore[arg-type]  # it is only handed on
    assert len(one._waiting) == kept
    assert one._lost == 5
    assert "4 messages of a.* lost" in caplog.text


class Entries:
    """A Redis server with a stream that never ends."""

    def __init__(self) -> None:
        self.last = 0

    def xreadgroup(self, *asking: Any) -> Any:
        count = asking[3]
        first, self.last = self.last + 1, self.last + count
        entries = [(b"%d-0" % n, {b"a": b"1"}) for n in range(first, self.last + 1)]
        return [(b"s", entries)]

    def pipeline(self, *, transaction: bool) -> "Entries":
        self.asked: list[Any] = []
        self.xreadgroup_now, self.xreadgroup = self.xreadgroup, self.later  # type: ignore[method-assign]  # a pipe
        return self

    def later(self, *asking: Any) -> None:
        self.asked.append(asking)

    async def execute(self, *, raise_on_error: bool) -> list[Any]:
        self.xreadgroup = self.xreadgroup_now  # type: ignore[method-assign]  # as above
        return [self.xreadgroup(*asking) for asking in self.asked]


async def test_redis_streams_are_read_as_there_is_room(monkeypatch):
    async def asked(answer: Any) -> Any:
        await asyncio.sleep(0)
        return await answer if asyncio.iscoroutine(answer) else answer

    monkeypatch.setattr(redisstream, "asked", asked)
    bus = Away()
    taker = Taker("ev", bus)
    reading: Any = SimpleNamespace(group="g", streams=["s"], place=("ev",), count=10, metadata={})
    one = Group(reading, taker)
    reads: list[int] = []
    read_new = one._read_new

    async def noted(client: Any, times: int) -> bool:
        reads.append(times)
        return await read_new(client, times)

    async def nothing(*_: Any) -> None: ...

    monkeypatch.setattr(one, "_read_new", noted)
    monkeypatch.setattr(one, "_read_pending", nothing)
    client: Any = Entries()
    task = asyncio.create_task(one._read(client, lambda: None))
    for _ in range(500):
        await asyncio.sleep(0)
    assert len(one._held) == bus.begun == LIMIT
    assert max(reads) == redisstream.AHEAD
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    bus.open.set()
    await taker.settle()


async def test_sqs_is_asked_for_no_more_than_there_is_room(monkeypatch):
    monkeypatch.setattr(sqs, "MOST", 30)
    bus, asking, most, number = Away(), 0, 0, 0

    async def call(what: str, name: str, **asked: Any) -> Any:
        nonlocal asking, most, number
        asking += 1
        most = max(most, asking)
        await asyncio.sleep(0)
        asking -= 1
        messages = []
        for _ in range(asked["MaxNumberOfMessages"]):
            number += 1
            messages.append({"MessageId": str(number), "ReceiptHandle": "r", "Body": "{}"})
        return {"Messages": messages}

    reading = Reading("q", "", 1, 30, ("es", "ev"), b"", json=True, leave=False)
    one = Queue(reading, lambda: None, Taker("ev", bus))  # type: ignore[arg-type,return-value]  # nobody asks
    calls: Any = SimpleNamespace(call=call)
    task = asyncio.create_task(one._receive(calls, lambda: False))  # type: ignore[arg-type]  # the same keys for ever
    for _ in range(200):
        await asyncio.sleep(0)
    assert most <= sqs.ABREAST
    assert 30 <= len(one._held) <= 30 + sqs.ABREAST * sqs.BATCH, "calls under way may bring more"
    held = len(one._held)
    await turn()
    assert len(one._held) == held
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    bus.open.set()
    await one._taker.settle()


async def test_files_are_told_of_so_many_at_a_time():
    bus = Away()
    known: Any = SimpleNamespace(id=lambda *_: "id", put=lambda *_: None)
    teller: Any = Teller(None, bus, known, 1, lambda _: True, lambda name: name, b"{}")  # type: ignore[arg-type]  # it is not asked
    changes = [
        SimpleNamespace(name=str(n), ops=[1], mark=(), stamp="")
        for n in range(2 * telling.IN_FLIGHT)
    ]
    telling_all = asyncio.create_task(teller.tell(changes))
    await turn()
    assert bus.begun == telling.IN_FLIGHT
    bus.open.set()
    await telling_all
    assert bus.begun == 2 * telling.IN_FLIGHT


async def test_hooks_are_taken_away_so_many_at_a_time():
    busy = most = 0

    class Place:
        shown = "p"

        async def delete(self, number: int) -> None:
            nonlocal busy, most
            busy += 1
            most = max(most, busy)
            await turn()
            busy -= 1

    places = [Place() for _ in range(3 * registration.AT_ONCE)]
    hooks: Any = SimpleNamespace(_opening=lambda: places, _known={"p": 1}, _extra={})
    hooks._take_away = lambda place, gate: registration.Registration._take_away(hooks, place, gate)
    await registration.Registration.remove(hooks)
    assert most == registration.AT_ONCE


async def test_tokens_that_are_good_are_so_many(monkeypatch):
    monkeypatch.setattr(Verifier, "_claims", lambda *_: {"exp": 4_000_000_000})

    async def key(_: str) -> str:
        return "pem"

    one = Verifier("a", "e", SimpleNamespace(get=key))  # type: ignore[arg-type]  # all that it uses
    one._jwt = SimpleNamespace(decode_header=lambda _: {"kid": "k"})
    for number in range(3 * tokens._KEPT):
        await one.check(b"Bearer %d" % number)
    assert 0 < len(one._good) <= tokens._KEPT

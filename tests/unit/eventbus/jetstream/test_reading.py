"""Reading a stream: how much is asked for before it is read."""

import asyncio
from typing import Any

import orjson

from eventbus.jetstream import reading
from eventbus.jetstream.reading import _pulled


class Msg:
    subject, data, headers = "s.x", b"", None

    def __init__(self, number: int) -> None:
        self.reply = f"$JS.ACK.s.d.1.{number}.{number}.1000000000.9"


async def test_the_next_messages_are_asked_for_when_these_are_read(monkeypatch) -> None:
    monkeypatch.setattr(reading, "BATCH", 4)
    incoming: asyncio.Queue[Any] = asyncio.Queue()
    asked: list[dict[str, Any]] = []
    sent = 0

    class Line:
        async def send(self, subject: str, data: bytes, reply: str) -> None:
            nonlocal sent
            asked.append(orjson.loads(data))
            for _ in range(asked[-1]["batch"]):
                sent += 1
                incoming.put_nowait(Msg(sent))

    found = _pulled(Line(), "s.d", "inbox", incoming, 100)  # type: ignore[arg-type]  # all that it uses
    for number in range(1, 10):
        assert (await anext(found)).sequence == number
        assert incoming.qsize() < 4
    await found.aclose()
    assert len(asked) == 3
    assert {one["max_bytes"] for one in asked} == {reading.BATCH_BYTES}

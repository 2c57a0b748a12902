"""What `tocsin tail` reads ahead, and in which order it shows what is past."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from eventbus.bus import DECISIONS, EVENTS, Message
from tocsin import tail


class Streams:
    """A bus with streams that the test fills."""

    def __init__(self, **times: list[float]) -> None:
        self.times, self.read_so_far = times, 0

    async def read(self, stream: str, subjects: Any, **_: Any) -> AsyncIterator[Message]:
        for number, stored in enumerate(self.times["events" if stream == EVENTS else "actions"], 1):
            self.read_so_far += 1
            yield Message(f"{stream}.x", b"", number, stored)


async def test_the_past_is_read_as_it_is_shown() -> None:
    bus: Any = Streams(events=[1.0, 4.0, 5.0], actions=[2.0, 3.0, 6.0])
    found = tail._both(bus, ("s",), ("t",), "all", follow=False)
    first = await anext(found)
    assert (first[0], first[1].stored, bus.read_so_far) == ("event", 1.0, 2)
    rest = [(kind, message.stored) async for kind, message in found]
    assert [stored for _, stored in rest] == [2.0, 3.0, 4.0, 5.0, 6.0]
    assert {kind for kind, _ in rest} == {"event", "action"}
    assert DECISIONS != EVENTS


async def test_what_is_read_before_it_is_shown_is_so_much(monkeypatch) -> None:
    monkeypatch.setattr(tail, "AHEAD", 10)
    bus: Any = Streams(events=[float(n) for n in range(100)], actions=[])
    shown = asyncio.Event()

    async def show_one() -> None:
        async for _ in tail._both(bus, ("s",), (), "all", follow=True):
            shown.set()
            await asyncio.Event().wait()

    showing = asyncio.create_task(show_one())
    await shown.wait()
    for _ in range(50):
        await asyncio.sleep(0)
    assert bus.read_so_far == 12, "ten wait, one is shown, and one has no room"
    showing.cancel()
    await asyncio.gather(showing, return_exceptions=True)


async def test_who_takes_no_more_ends_it_without_a_word() -> None:
    bus: Any = Streams(events=[float(n) for n in range(5)], actions=[])
    found = tail._both(bus, ("s",), (), "all", follow=True)
    assert (await anext(found))[0] == "event"
    await found.aclose()
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []

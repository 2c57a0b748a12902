"""Messages in hand: bounded, brought to their end, and told of once they are safe."""

import asyncio
from typing import Any

import pytest

from eventsource import taking
from eventsource.taking import Taken, Taker
from spine.errors import BusError, EventError


class Words:
    def __init__(self, text: str) -> None:
        self.text = text

    def encode(self) -> bytes:
        return self.text.encode()


def message(text: str = "x", *, size: int = 1, known: str = "", wrong: Any = None) -> Taken:
    def form() -> Words:
        if wrong is not None:
            raise wrong
        return Words(text)

    return Taken(form, lambda: Words(f"raw {text}"), f"message {text}", size, known)


class Emitted:
    """Takes events as the runner does."""

    def __init__(self, *failures: Exception) -> None:
        self.told: list[tuple[str, str, str]] = []
        self.failures = list(failures)
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, payload: Any, **said: Any) -> None:
        await self.open.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.told.append((payload.text, said["id"], str(said.get("unusable") or "")))


async def test_done_is_said_after_the_event_is_stored():
    emitted, done = Emitted(), []
    emitted.open.clear()
    taker = Taker("ev", emitted)
    await taker.begin(message(known="7"), lambda: done.append(len(emitted.told)))
    await asyncio.sleep(0)
    assert done == []
    emitted.open.set()
    await taker.settle()
    assert (done, emitted.told) == ([1], [("x", "7", "")])


@pytest.mark.looptime
async def test_a_bus_that_is_away_is_asked_again_for_the_same_event():
    emitted, done = Emitted(*[BusError("away")] * 20), []
    taker = Taker("ev", emitted)
    await taker.begin(message(), lambda: done.append(1))
    await taker.settle()
    assert (done, len(emitted.told)) == ([1], 1)


async def test_what_cannot_be_an_event_is_set_aside_as_it_is():
    emitted, done = Emitted(), []
    taker = Taker("ev", emitted)
    await taker.begin(message(known="7", wrong=EventError("no JSON")), lambda: done.append(1))
    await taker.settle()
    assert (done, emitted.told) == ([1], [("raw x", "7", "no JSON")])


async def test_a_bug_costs_one_message(caplog):
    emitted = Emitted()
    taker = Taker("ev", emitted)
    await taker.begin(message(wrong=KeyError("oh")))
    await taker.begin(message("y"))
    await taker.settle()
    assert [text for text, _, _ in emitted.told] == ["raw x", "y"]
    assert emitted.told[0][2] == "handling message x: KeyError: 'oh'"
    assert "handling a message" in caplog.text


@pytest.mark.parametrize(("limit", "size"), [(2, 1), (100, taking.MAX_BYTES // 2)])
async def test_what_is_in_hand_is_bounded_in_number_and_bytes(limit: int, size: int):
    emitted = Emitted()
    emitted.open.clear()
    taker = Taker("ev", emitted, limit)
    for _ in range(2):
        await taker.begin(message(size=size))
    third = asyncio.create_task(taker.begin(message("third", size=size)))
    await asyncio.sleep(0)
    assert not third.done()
    emitted.open.set()
    await third
    await taker.settle()
    assert len(emitted.told) == 3
    assert taker.room == limit


@pytest.mark.looptime
async def test_the_end_waits_a_moment_and_no_longer():
    emitted, done = Emitted(), []
    emitted.open.clear()
    taker = Taker("ev", emitted)
    await taker.begin(message(), lambda: done.append(1))
    began = asyncio.get_running_loop().time()
    await taker.finish()
    assert asyncio.get_running_loop().time() - began == pytest.approx(taking.GRACE)
    assert (done, emitted.told) == ([], [])

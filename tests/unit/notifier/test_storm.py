"""Replicas that see the same, each in its own time, on a bus that is slow and loses answers; one of
them is killed again and again.

Every activation is told or a dead letter, each with one key, whatever the order in which the bus
does what it is asked.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from delivery_kit import clock, dead
from notifier_kit import CONFIG, SUBSCRIBED, Book, at_work, item, plan_of, recording

from eventbus.bus import Store
from eventbus.memory import MemoryBus
from notifier.desk import Desk
from spine.errors import BusError

pytestmark = pytest.mark.looptime

OBJECTS, TURNS = 4, 12
TURN = CONFIG.replace(
    "{{ .pod.metadata.name }} failed", "{{ .pod.metadata.name }} {{ .pod.status.turn }}"
)
RESOLVED = TURN.replace("    send: [failed]\n", "    send: [failed]\n    sendResolved: true\n")


class Weather:
    """What becomes of each call: late, refused, or done without an answer."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.bad = True

    async def __call__(self, call: Callable[[], Awaitable[Any]]) -> Any:
        chance = self._chance.random
        if self.bad:
            await self._late()
            if chance() < 0.05:
                raise BusError("asking: refused")
        found = await call()
        if self.bad:
            await self._late()
            if chance() < 0.05:
                raise BusError("asking: no answer within 5 s")
        return found

    async def _late(self) -> None:
        if self._chance.random() < 0.2:
            await asyncio.sleep(self._chance.random() * 10)

    def life(self) -> float:
        """Seconds until a replica is killed."""
        return self._chance.random() * 60

    def lag(self) -> float:
        """Seconds until a replica sees the next change."""
        return self._chance.random() * 20 if self._chance.random() < 0.3 else 0.0


class BadStore(Store):
    def __init__(self, store: Store, weather: Weather) -> None:
        self._store, self._weather = store, weather

    async def get(self, key):
        return await self._weather(lambda: self._store.get(key))

    async def put(self, key, value, *, revision):
        return await self._weather(lambda: self._store.put(key, value, revision=revision))

    async def delete(self, key, *, revision=None):
        return await self._weather(lambda: self._store.delete(key, revision=revision))

    async def keys(self, prefix=""):
        return await self._store.keys(prefix)


class BadBus(MemoryBus):
    def __init__(self, weather: Weather) -> None:
        super().__init__()
        self._weather = weather

    async def append(self, stream, subject, data, *, message_id=""):
        append = super().append
        return await self._weather(lambda: append(stream, subject, data, message_id=message_id))

    def store(self, name):
        return BadStore(super().store(name), self._weather)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("ends", [False, True], ids=["begins", "ends"])
async def test_each_activation_is_told_with_one_key(seed, ends):
    random.seed(seed)  # of which the pauses between attempts come
    weather, book = Weather(seed), Book(answer=lambda *_: asyncio.sleep(0.1))
    plan = recording(plan_of(RESOLVED if ends else TURN), hook=book)
    bus = BadBus(weather)

    async def sees(desk: Desk, number: int) -> None:
        for version in range(1, 2 * TURNS + 1):
            await asyncio.sleep(weather.lag())
            phase, turn = ("Failed", "Running")[version % 2 == 0], (version + 1) // 2
            name = f"web-{number}"
            one = item(phase, version=version, name=name, annotations=SUBSCRIBED, turn=turn)
            key = desk.records.key("Pod", one.meta.uid)
            await desk.handler.take(plan, key, "MODIFIED", one)

    async def lives() -> None:
        async with at_work(bus, plan, clock) as desk:
            async with asyncio.TaskGroup() as group:
                for number in range(OBJECTS):
                    group.create_task(sees(desk, number))
            await desk.handler.idle()

    async def dies_often() -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(weather.life()):
                    await lives()

    dying = asyncio.create_task(dies_often())
    await asyncio.gather(lives(), lives())
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    weather.bad = False
    async with at_work(bus, plan, clock):
        await asyncio.sleep(600)
    told = defaultdict(set)
    for _, text, key in book.taken:
        told[text].add(key)
    for entry in await dead(bus):  # five kills may leave no attempt with an outcome
        told[entry.letter.action.content["message"]["text"]].add(entry.letter.action.key)
    texts = [f"web-{number} {turn}" for number in range(OBJECTS) for turn in range(1, TURNS + 1)]
    expected = texts + [f"{text} no more" for text in texts if ends]
    assert {text: len(told[text]) for text in expected} == dict.fromkeys(expected, 1)

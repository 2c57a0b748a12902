"""A bus in memory that is slow, refuses, and loses answers, for storms in virtual time."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from eventbus.bus import Message, Store
from eventbus.memory import MemoryBus
from spine.errors import BusError, RemoteError


class Weather:
    """What becomes of each call: late, refused, or done without an answer."""

    def __init__(self, seed: int) -> None:
        random.seed(seed)  # of which the pauses between attempts come
        self._chance = random.Random(seed)
        self.bad = True

    async def __call__(self, call: Callable[[], Awaitable[Any]]) -> Any:
        if not self.bad:
            return await call()
        await self._late()
        if self.happens():
            raise BusError("asking: refused")
        found = await call()
        await self._late()
        if self.happens():
            raise BusError("asking: no answer within 5 s")
        return found

    def happens(self) -> bool:
        """Whether something goes wrong now."""
        return self.bad and self._chance.random() < 0.05

    async def _late(self) -> None:
        if self._chance.random() < 0.2:
            await asyncio.sleep(self._chance.random() * 10)

    def life(self) -> float:
        """Seconds until a replica is killed."""
        return self._chance.random() * 60

    def lag(self) -> float:
        """Seconds until somebody sees the next change."""
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
        self.weather = weather

    async def append(self, stream, subject, data, *, message_id=""):
        append = super().append
        return await self.weather(lambda: append(stream, subject, data, message_id=message_id))

    async def consume(self, reader, handle, *, in_flight):
        async def without_an_answer(message: Message) -> None:
            async def late() -> None:
                known = False
                while not known:
                    with suppress(BusError):
                        await self.weather(message.settle)
                        known = True

            await handle(replace(message, settle=late))
            if self.weather.happens():  # of what was settled the bus knows
                raise RemoteError("acknowledging: lost", retry_after=30)

        await super().consume(reader, without_an_answer, in_flight=in_flight)

    def store(self, name):
        return BadStore(super().store(name), self.weather)

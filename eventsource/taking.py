"""Making events of messages: so many at a time, and each is brought to its end.

What a source has taken from outside is held here until its event is on the bus, however long the
bus is away; only then is the source told, which may then acknowledge. A message that can never be
an event is set aside with the reason, and a bug costs one message, not the source.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from eventsource.source import Emit, Payload
from spine.errors import BusError, EventError
from spine.event import new_id
from spine.runtime import RECONNECT

log = logging.getLogger(__name__)

LIMIT = 1_000
"""Messages in hand at a time."""
MAX_BYTES = 64 * 1024 * 1024
"""Bytes of messages in hand, beyond which the next waits."""
GRACE = 0.5
"""Seconds that messages in hand get at the end."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that was taken from outside."""

    form: Callable[[], Payload]
    """Makes its payload; EventError: it cannot be an event."""
    as_it_is: Callable[[], Payload]
    """Makes a payload of what cannot be an event, to be set aside."""
    what: str
    """What it is called in errors."""
    size: int
    """Its bytes."""
    id: str = ""
    """The id of its event; a new one where it is empty."""


class Taker:
    """Holds messages until their events are on the bus."""

    def __init__(self, event: str, emit: Emit, limit: int = LIMIT) -> None:
        self._event, self._emit, self._limit = event, emit, limit
        self._busy: set[asyncio.Task[None]] = set()
        self._size = 0
        self._moved = asyncio.Event()

    @property
    def room(self) -> int:
        """How many messages may be begun without waiting."""
        return self._limit - len(self._busy) if self._size < MAX_BYTES else 0

    async def until_room(self) -> None:
        """Wait until a message may be begun."""
        while self.room <= 0:
            self._moved.clear()
            await self._moved.wait()

    async def begin(self, message: Taken, done: Callable[[], None] = lambda: None) -> None:
        """Begin with a message as soon as there is room; `done` is called once it is safe."""
        if self.room <= 0:
            await self.until_room()
        self.begin_now(message, done)

    def begin_now(self, message: Taken, done: Callable[[], None] = lambda: None) -> None:
        """Begin with a message whether there is room or not: its sender has a bound of its own."""
        self._size += message.size
        task = asyncio.create_task(self._work(message, done))
        self._busy.add(task)
        task.add_done_callback(self._gone)

    async def settle(self) -> None:
        """Wait until nothing is in hand."""
        while self._busy:
            await asyncio.wait(self._busy)

    async def finish(self) -> None:
        """Give what is in hand a moment, and let go of the rest."""
        if self._busy:
            await asyncio.wait(self._busy, timeout=GRACE)
        left = list(self._busy)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _work(self, message: Taken, done: Callable[[], None]) -> None:
        known = message.id or new_id()  # one id for all attempts
        try:
            try:
                await self._emit(message.form(), id=known)
            except Exception as exc:  # noqa: BLE001 -- the long way has an answer to each
                await self._insist(message, known, exc)
            done()
        finally:
            self._size -= message.size

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._busy.discard(task)
        self._moved.set()

    async def _insist(self, message: Taken, known: str, failure: Exception) -> None:
        """Bring a message to its end after a first failure."""
        unusable: EventError | None = None
        attempt = 0
        while True:
            if isinstance(failure, BusError):
                attempt += 1
                await self._wait(failure, attempt)
            elif unusable is not None:
                raise failure
            else:
                unusable = self._unusable(message, failure)
            try:
                if unusable is None:
                    return await self._emit(message.form(), id=known)
                return await self._emit(message.as_it_is(), id=known, unusable=unusable)
            except Exception as exc:  # noqa: BLE001 -- each has its answer above
                failure = exc

    async def _wait(self, failure: BusError, attempt: int) -> None:
        asked = failure.retry_after
        wait = RECONNECT.wait(attempt) if asked is None else asked
        extra = {"eventName": self._event, "error": str(failure), "wait": round(wait, 2)}
        log.debug("the bus did not take a message, trying again", extra=extra)
        await asyncio.sleep(wait)

    def _unusable(self, message: Taken, failure: Exception) -> EventError:
        """Return why a message is set aside; a bug is told of with all it says."""
        if isinstance(failure, EventError):
            return failure
        log.error("handling a message", exc_info=failure, extra={"eventName": self._event})
        return EventError(f"handling {message.what}: {type(failure).__name__}: {failure}")

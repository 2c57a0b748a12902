"""Core NATS: what is published while we listen.

The server does not wait for who is slow, so messages are taken from the connection at once and
wait here, so many of them; those beyond are lost and counted in the log. They outlive connections.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from eventsource.nats.session import opened
from eventsource.taking import GRACE, Taken, Taker
from spine.nats_server import Server

if TYPE_CHECKING:
    from nats.aio.msg import Msg

log = logging.getLogger(__name__)

WAITING = 65_536
"""Messages that wait for the bus."""
WAITING_BYTES = 64 * 1024 * 1024


class Core:
    """A subscription that outlives connections."""

    def __init__(
        self, subject: str, queue: str, taker: Taker, taken: Callable[["Msg"], Taken]
    ) -> None:
        self._subject, self._queue = subject, queue
        self._taker, self._taken = taker, taken
        self._waiting: deque[Taken] = deque()
        self._size = 0
        self._some = asyncio.Event()
        self._lost = 0

    async def session(self, server: Server, up: Callable[[], None]) -> None:
        """Listen until the connection breaks. Raises SourceError, ConfigError."""
        async with opened(server) as session:
            subscription = await session.nats.subscribe(
                self._subject, self._queue, cb=self._received
            )
            await session.flush()
            session.check()
            up()
            try:
                await session.until_over()
            except asyncio.CancelledError:
                with suppress(Exception):  # it ends anyway
                    async with asyncio.timeout(GRACE / 2):
                        await subscription.drain()  # type: ignore[no-untyped-call]  # the library has no types there
                raise

    async def pass_on(self) -> None:
        """Begin with what waits as there is room, until cancelled."""
        while True:
            self._some.clear()
            while self._waiting:
                await self._taker.until_room()
                self._next()
            await self._some.wait()

    def finish(self) -> None:
        """Begin with all that waits, for the last moments."""
        while self._waiting:
            self._next()

    def _next(self) -> None:
        one = self._waiting.popleft()
        self._size -= one.size
        self._taker.begin_now(one)

    async def _received(self, msg: "Msg") -> None:
        if len(self._waiting) >= WAITING or self._size >= WAITING_BYTES:
            self._lost += 1
            if self._lost & (self._lost - 1) == 0:  # 1, 2, 4, 8…
                log.error("the bus is too slow: %d messages of %s lost", self._lost, self._subject)
            return
        one = self._taken(msg)
        self._waiting.append(one)
        self._size += one.size
        self._some.set()

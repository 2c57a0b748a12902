"""Reading a durable strictly in the order of its stream, by whoever is the only reader.

A bus delivers in order, except for what comes back: messages that a process died with, or that
were lost with a connection, turn up again while newer ones are already handled. So a reader
that cares holds everything until the bus has nothing outstanding that is not in its hand: when
it begins, and whenever the numbers of deliveries have a gap. Then it hands on what it holds,
lowest first. Only one process may read the durable meanwhile; a lease sees to that.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from eventbus.bus import Bus, Handle, Message, Reader
from spine.errors import BusError
from spine.runtime import RECONNECT, cancelled_at_exit

log = logging.getLogger(__name__)

ACK_WAIT = 8.0
"""Seconds without a sign of life after which a message comes back: before its reader's lease, ten
seconds, has run out, so that the next reader finds all of them."""
STUCK = 3 * ACK_WAIT
"""Seconds after which what is missing has surely come back, and finds no room: begin anew."""
POLL = 0.02
"""Seconds between looks at the bus while something is missing, at first."""


class InOrder:
    """Calls a handler for the messages of a durable; the calls begin in the stream's order.

    When the call for a message begins, that of each earlier one which is not acknowledged has
    begun. A message that the handler gives back is no longer in order.
    """

    def __init__(
        self,
        bus: Bus,
        reader: Reader,
        handle: Handle,
        *,
        in_flight: int,
        begin: Callable[[], None] = lambda: None,
    ) -> None:
        self._bus, self._handle, self._in_flight = bus, handle, in_flight
        self._reader = reader
        """With an `ack_wait` of ACK_WAIT, as all who name this durable must say."""
        self._begin = begin
        """Called when nothing is in hand, before any message is."""
        self._number = 0
        self._held: dict[int, asyncio.Future[None]] = {}
        self._inside: set[int] = set()
        """Sequences of what is handled and not answered, which the bus surely counts."""
        self._answered = 0
        self._in_doubt = asyncio.Event()
        self._doubts = 0

    async def run(self) -> None:
        """Read until cancelled."""
        attempt = 0
        while True:
            try:
                await self._read()
                attempt = 0
            except BusError as exc:
                attempt += 1
                log.warning("pulling from %s", self._reader.stream, extra={"error": str(exc)})
                await asyncio.sleep(RECONNECT.wait(attempt))

    async def _read(self) -> None:
        """Read until something is missing that finds no room. Raises BusError."""
        self._number = 0
        self._inside.clear()
        self._held.clear()
        self._begin()
        self._doubt()
        window = max(self._in_flight, await self._outstanding())
        pull = self._bus.consume(self._reader, self._take, in_flight=window)
        consuming = asyncio.create_task(pull, name=f"reading {self._reader.durable} in order")
        ending = asyncio.create_task(self._end_doubts(), name="what is in doubt")
        async with cancelled_at_exit(consuming, ending):
            await asyncio.wait({consuming, ending}, return_when=asyncio.FIRST_COMPLETED)
            if consuming.done():
                consuming.result()
        log.warning("durable %s: something is missing: begun anew", self._reader.durable)

    # ------------------------------------------------------------------------ messages

    async def _take(self, message: Message) -> None:
        if message.number != self._number + 1:
            self._doubt()
        self._number = message.number
        if self._in_doubt.is_set():
            go = self._held[message.sequence] = asyncio.get_running_loop().create_future()
            try:
                await go
            finally:
                if self._held.get(message.sequence) is go:
                    del self._held[message.sequence]
        self._inside.add(message.sequence)
        message.settle = partial(self._settle, message.sequence, message.settle)
        try:
            await self._handle(message)
        finally:
            self._answer(message.sequence)

    async def _settle(self, sequence: int, settle: Callable[[], Awaitable[None]]) -> None:
        self._answer(sequence)
        await settle()

    def _answer(self, sequence: int) -> None:
        """Note that the bus may not count a message any more from now on."""
        if sequence in self._inside:
            self._inside.remove(sequence)
            self._answered += 1

    # ------------------------------------------------------------------------ doubts

    def _doubt(self) -> None:
        self._doubts += 1
        self._in_doubt.set()

    async def _outstanding(self) -> int:
        """Return how many messages the bus believes to be in hand."""
        durable = self._reader.durable
        infos = await self._bus.readers(self._reader.stream)
        return next((info.in_flight for info in infos if info.durable == durable), 0)

    async def _end_doubts(self) -> None:
        """End doubts when nothing is missing; return when that does not come."""
        loop = asyncio.get_running_loop()
        while True:
            await self._in_doubt.wait()
            since, pause = loop.time(), POLL
            while not await self._complete():
                if loop.time() - since > STUCK:
                    return
                await asyncio.sleep(pause)
                pause = min(2 * pause, 0.5)
            await self._release()

    async def _complete(self) -> bool:
        """Return whether all that is outstanding is in hand here."""
        known, answered = self._doubts, self._answered
        in_hand = len(self._held) + len(self._inside)  # before asking: the bus counts newer ones
        try:
            outstanding = await self._outstanding()
        except BusError:
            return False
        in_hand -= self._answered - answered  # the bus may not have counted these
        return outstanding <= in_hand and known == self._doubts

    async def _release(self) -> None:
        """Hand on what is held, lowest first; doubt ends when nothing more has come meanwhile."""
        known = self._doubts
        while self._held:
            for sequence in sorted(self._held):
                self._held.pop(sequence).set_result(None)
            await asyncio.sleep(0)  # they begin, in this order
            if known != self._doubts:
                return
        self._in_doubt.clear()

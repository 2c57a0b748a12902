"""JetStream: messages of a durable consumer, acknowledged after their events are on the bus.

Messages are asked for as far as there is room, by several replicas at once if there are. What is
in hand outlives connections, is kept from being delivered elsewhere, and is acknowledged on the
connection that there is by then.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import orjson

from eventsource.nats.consumer import Consumer
from eventsource.nats.session import Session, opened
from eventsource.taking import Taken, Taker
from spine.errors import SourceError
from spine.nats_server import Server
from spine.runtime import cancelled_at_exit

if TYPE_CHECKING:
    from nats.aio.msg import Msg

log = logging.getLogger(__name__)

PULL_SECONDS = 30
"""Life of a request for messages."""
BEAT_SECONDS = 5
"""How often the server says that such a request lives."""
SILENCE_SECONDS = 2.5 * BEAT_SECONDS
"""After this without a word the connection is taken for dead."""
LINGER = 0.002
"""Seconds for which acknowledgements wait for more."""
LAST_WORD = 0.2
"""Seconds for what is still to be sent at the end."""
_NANO = 1_000_000_000
_ACK, _IN_PROGRESS, _NOT_NOW = b"+ACK", b"+WPI", b"-NAK"
_HEARTBEAT, _NOBODY, _CONFLICT = "100", "503", "409"


class _Pull:
    """A request for messages that is not yet filled."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left


class Stream:
    """What a consumer brings; it outlives connections."""

    def __init__(
        self, consumer: Consumer, taker: Taker, taken: Callable[["Msg", str], Taken]
    ) -> None:
        """Call `taken` with a message and the name of its stream."""
        self._consumer, self._taker, self._taken = consumer, taker, taken
        self._held: dict[int, str] = {}
        """Sequence of each message that is not acknowledged, and where to answer."""
        self._done: list[int] = []
        self._pulls: dict[str, _Pull] = {}
        self._wake = asyncio.Event()
        self._some_done = asyncio.Event()
        self._heard = 0.0
        self._clock = asyncio.get_running_loop().time
        self._limit = taker.room

    async def session(self, server: Server, up: Callable[[], None]) -> None:
        """Receive until the connection breaks. Raises SourceError, ConfigError."""
        async with opened(server) as session:
            if await self._consumer.ensure(session, self._floor()):
                self._held.clear()  # it is another stream, which knows nothing of them
                self._done.clear()
            self._pulls.clear()
            inbox = session.nats.new_inbox()
            await session.nats.subscribe(
                f"{inbox}.*", cb=self._received, pending_msgs_limit=0, pending_bytes_limit=0
            )
            self._heard = self._clock()
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(session.until_over(), name="connection")
                    tasks.create_task(self._pull(session, inbox, up), name="pull")
                    tasks.create_task(self._acknowledge(session), name="acknowledge")
                    tasks.create_task(self._keep(session), name="keep")
            except asyncio.CancelledError:
                await self._end(session)
                raise
            except BaseExceptionGroup as group:
                remote, rest = group.split(SourceError)
                if rest is not None and remote is None:
                    raise rest.exceptions[0] from None
                assert remote is not None
                raise remote.exceptions[0] from None

    async def _end(self, session: Session) -> None:
        """Finish what is in hand while it can still be acknowledged, and give back the rest."""
        await self._taker.finish()
        with suppress(Exception):  # it comes again, after a while
            async with asyncio.timeout(LAST_WORD):
                await self._tell(session)
                for reply in self._held.values():
                    await session.publish(reply, _NOT_NOW)
                await session.flush()

    def _floor(self) -> int:
        """Return the sequence up to which everything is done."""
        waiting = self._held.keys() - set(self._done)
        return min(waiting) - 1 if waiting else self._consumer.last

    # ------------------------------------------------------------------------ in

    async def _pull(self, session: Session, inbox: str, up: Callable[[], None]) -> None:
        numbers = count()
        while True:
            self._wake.clear()
            await self._taker.until_room()
            asked = sum(pull.left for pull in self._pulls.values())
            size = 0 if self._consumer.lost.is_set() else self._taker.room - asked
            if size >= max(1, self._limit // 2 if asked else 1):
                number = str(next(numbers))
                self._pulls[number] = _Pull(size)
                request = {
                    "batch": size,
                    "expires": PULL_SECONDS * _NANO,
                    "idle_heartbeat": BEAT_SECONDS * _NANO,
                }
                await session.publish(
                    self._consumer.next_subject, orjson.dumps(request), f"{inbox}.{number}"
                )
                if number == "0":
                    await session.flush()
                    up()
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT_SECONDS):
                    await self._wake.wait()
            if self._pulls and self._clock() - self._heard > SILENCE_SECONDS:
                raise session.fault(session.refused or "no sign of life")

    async def _received(self, msg: "Msg") -> None:
        self._heard = self._clock()
        if not msg.reply.startswith("$JS.ACK."):
            self._status(msg)
            return
        for number, pull in self._pulls.items():  # the server fills the oldest first
            pull.left -= 1
            if pull.left <= 0:
                del self._pulls[number]
            break
        place = msg.metadata
        sequence = place.sequence.stream
        again = sequence in self._held
        self._held[sequence] = msg.reply
        if not again:
            self._consumer.last = max(self._consumer.last, sequence)
            self._taker.begin_now(self._taken(msg, place.stream), partial(self._finished, sequence))
        self._wake.set()

    def _status(self, msg: "Msg") -> None:
        headers = msg.headers or {}
        status, why = headers.get("Status", ""), headers.get("Description", "")
        if status == _HEARTBEAT:
            return
        self._pulls.pop(msg.subject.rpartition(".")[2], None)
        gone = status == _NOBODY or "Deleted" in why or "Not Found" in why
        if gone or (status == _CONFLICT and "MaxWaiting" in why):
            self._consumer.lost.set()
        self._wake.set()

    # ------------------------------------------------------------------------ out

    def _finished(self, sequence: int) -> None:
        self._done.append(sequence)
        self._some_done.set()
        self._wake.set()

    async def _acknowledge(self, session: Session) -> None:
        while True:
            await self._some_done.wait()
            await asyncio.sleep(LINGER)
            self._some_done.clear()
            await self._tell(session)

    async def _tell(self, session: Session) -> None:
        done, self._done = self._done, []
        while done:
            try:
                await session.publish(self._held[done[-1]], _ACK)
            except BaseException:
                self._done += done
                raise
            del self._held[done.pop()]

    async def _keep(self, session: Session) -> None:
        """Tell the server of what is in hand; go back to the durable where it is gone."""
        waiting = asyncio.create_task(self._consumer.lost.wait())
        async with cancelled_at_exit(waiting):
            while True:
                await asyncio.wait({waiting}, timeout=self._consumer.ack_wait / 3)
                if waiting.done():
                    self._consumer.lost.clear()
                    raise session.fault(f"durable {self._consumer.name} does not answer")
                for reply in list(self._held.values()):
                    await session.publish(reply, _IN_PROGRESS)

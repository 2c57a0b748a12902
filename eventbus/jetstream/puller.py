"""Taking messages of a durable: overlapped pulls, and one handler task for each message.

The puller owns `in_flight` slots. A slot is asked for (part of an outstanding pull), held (its
message is being handled), or free; free ones are asked for in bulk, so more than can start is
never taken from the bus. What is held is kept alive by one timer. The durable, the stream and the
connection may vanish at any time; the loop finds out and goes on.
"""

import asyncio
import logging
from contextlib import suppress
from functools import partial
from itertools import count

import orjson
from nats.errors import Error as NatsError

from eventbus.bus import Handle, Message, Reader
from eventbus.jetstream.api import nanoseconds
from eventbus.jetstream.connection import Connection, Listening
from eventbus.jetstream.consumers import Consumers, Place
from eventbus.jetstream.direct import Delivered
from eventbus.jetstream.replies import message_of
from eventbus.subjects import collapse, matches_any
from spine.errors import BusError, RemoteError
from spine.event import new_id
from spine.runtime import cancelled_at_exit

log = logging.getLogger(__name__)

PULL_SECONDS = 30.0
"""Life of a pull that nothing answers."""
HEARTBEAT_SECONDS = 2.5
"""The server says so often that an idle pull lives."""
SILENCE_SECONDS = 2.5 * HEARTBEAT_SECONDS
"""After this without a word outstanding pulls are taken for lost."""
PLACE_SECONDS = 10.0
"""How often the durable is looked up, to know its place and that it is there."""
TICK_SECONDS = 1.0
PULL_BYTES = 32 * 1024 * 1024
HELD_BYTES = 64 * 1024 * 1024
"""Above so many bytes in hand no more is asked for."""
STRETCHED = 3
"""Times as much is taken in the end where nothing in hand moves: it may wait for what is not."""
STILL_SECONDS = 5.0
"""Without a message finished for so long, half as much again is taken."""
BUG_SECONDS = 30.0
"""Wait before a message whose handler has a bug comes again."""
RETRY_SECONDS = 1.0
SETTLE_SECONDS = 1.0
"""Wait for the server's word that it knows of an acknowledgement, until it is sent again."""
_ACK = b"+ACK"
_NAK = b"-NAK"
_IN_PROGRESS = b"+WPI"
_GATHER_SECONDS = 0.001
"""Freed slots of slow handlers are collected so long before they are asked for."""
_FEW = 8
_CONFLICT, _NO_ANSWERER, _HEARTBEAT = "409", "503", "100"


class _Held:
    """A message in hand."""

    __slots__ = ("done", "known", "message", "reply", "since", "task")

    def __init__(self, message: Message, reply: str, now: float) -> None:
        self.message = message
        self.reply = reply
        self.since = now
        self.task: asyncio.Task[None] | None = None
        self.done = False
        """Whether its handler said so, before its end."""
        self.known: asyncio.Future[None] | None = None
        """Done when the server has said that it knows so."""


class _Pull:
    """A request for messages that the server has not filled yet."""

    __slots__ = ("left", "until")

    def __init__(self, size: int, until: float) -> None:
        self.left = size
        self.until = until


class Puller:
    """Consumes one durable; `run` does it until it is cancelled."""

    def __init__(
        self,
        connection: Connection,
        consumers: Consumers,
        reader: Reader,
        handle: Handle,
        in_flight: int,
    ) -> None:
        self._connection = connection
        self._consumers = consumers
        self._reader = reader
        self._handle = handle
        self._slots = in_flight
        self._place = Place()
        self._held: dict[int, _Held] = {}
        self._held_bytes = 0
        self._room = HELD_BYTES
        self._moved = 0.0
        """When a message was finished, or more room was given."""
        self._strays: set[asyncio.Task[None]] = set()
        """Handlers whose messages are gone from the bus; nobody waits for their answers."""
        self._waiting: list[_Held] = []
        """Messages beyond the slots, as many again: an abandoned pull was answered after all."""
        self._unsent: dict[str, bytes] = {}
        """Answers that found no connection."""
        self._pulls: dict[str, _Pull] = {}
        self._asked = 0
        self._pull_ids = count()
        self._inbox = f"_INBOX.{new_id()}."
        self._settled = f"{self._inbox}settled-"
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{reader.stream}.{reader.durable}"
        self._wake = asyncio.Event()
        self._heal = False
        self._pause = 0.0
        self._heard = 0.0
        self._stopping = False
        self._loop = asyncio.get_running_loop()
        wide = collapse(reader.subjects) != tuple(sorted(set(reader.subjects)))
        self._wanted = reader.subjects if wide else ()

    async def run(self) -> None:
        """Take and handle messages until cancelled."""
        self._place = await self._consumers.ensure(self._reader)
        listening = await self._connection.listen_directly(self._inbox + "*", self._on_message)
        self._connection.on_up(self._on_up)
        alive = self._loop.create_task(self._keep_alive(), name=f"alive {self._reader.durable}")
        looking = self._loop.create_task(self._look(), name=f"look {self._reader.durable}")
        async with cancelled_at_exit(alive, looking):
            try:
                await self._pull_on()
            finally:
                await self._stop(listening)

    # ------------------------------------------------------------------------ asking

    async def _pull_on(self) -> None:
        while True:
            if self._heal:
                await self._make_again()
            if self._connection.is_up:
                if self._unsent:
                    await self._send_unsent()
                self._drop_lost()
                await self._ask()
            await self._wake.wait()
            self._wake.clear()
            if self._slots > _FEW and not self._asked and 2 * self._free < self._slots:
                await asyncio.sleep(_GATHER_SECONDS)

    @property
    def _free(self) -> int:
        return self._slots - self._asked - len(self._held) - len(self._waiting)

    def _worth_asking(self) -> bool:
        free = self._free
        return free > 0 and (not self._asked or 2 * free >= self._slots)

    async def _ask(self) -> None:
        now = self._loop.time()
        if now < self._pause or self._heal or not self._worth_asking():
            return
        if self._held_bytes > self._room:
            self._stretch(now)
            return
        size, number = self._free, str(next(self._pull_ids))
        body = {
            "batch": size,
            "expires": nanoseconds(PULL_SECONDS),
            "idle_heartbeat": nanoseconds(HEARTBEAT_SECONDS),
            "max_bytes": PULL_BYTES,
        }
        if not self._pulls:
            self._heard = now
        self._pulls[number] = _Pull(size, now + PULL_SECONDS + HEARTBEAT_SECONDS)
        self._asked += size
        with suppress(NatsError, OSError, RemoteError):  # on_up begins anew
            await self._connection.send(self._next, orjson.dumps(body), self._inbox + number)

    def _stretch(self, now: float) -> None:
        if now - self._moved > STILL_SECONDS and self._room < STRETCHED * HELD_BYTES:
            self._room += HELD_BYTES // 2
            self._moved = now

    def _drop_lost(self) -> None:
        """Forget pulls that the server must have forgotten."""
        if not self._pulls:
            return
        now = self._loop.time()
        if now - self._heard > SILENCE_SECONDS:
            log.warning("durable %s: no sign of life from the bus", self._reader.durable)
            self._forget_pulls()
            self._heal = True
            self._wake.set()
            return
        for number in [n for n, pull in self._pulls.items() if now > pull.until]:
            self._end_pull(number)

    def _end_pull(self, number: str) -> None:
        pull = self._pulls.pop(number, None)
        if pull is not None:
            self._asked -= pull.left

    def _forget_pulls(self) -> None:
        self._pulls.clear()
        self._asked = 0

    def _on_up(self) -> None:
        if not self._stopping:
            self._forget_pulls()
            self._heal = True
            self._wake.set()

    # ------------------------------------------------------------------------ hearing

    def _on_message(self, msg: Delivered) -> None:
        if msg.subject.startswith(self._settled):  # as no stream has it
            self._on_settled(msg)
            return
        self._heard = now = self._loop.time()
        if not msg.reply.startswith("$JS.ACK."):
            self._on_status(msg)
            return
        message = message_of(msg)
        for number, pull in self._pulls.items():  # the server fills the oldest first
            pull.left -= 1
            self._asked -= 1
            if pull.left <= 0:
                del self._pulls[number]
            break
        held = self._held.get(message.sequence)
        if held is not None and held.message.stored == message.stored:
            held.reply, held.since = msg.reply, now  # delivered again while it is handled here
            self._wake.set()
            return
        message.settle = partial(self._settle, message.sequence, message.stored)
        held = _Held(message, msg.reply, now)
        if self._stopping or len(self._waiting) >= self._slots:
            self._answer(held, _NAK)
        elif self._wanted and not matches_any(self._wanted, message.subject):
            self._answer(held, _ACK)
            self._wake.set()
        elif len(self._held) < self._slots:
            self._start(held)
        else:
            self._waiting.append(held)

    def _on_settled(self, msg: Delivered) -> None:
        held = self._held.get(int(msg.subject[len(self._settled) :]))
        known = None if held is None else held.known
        if known is not None and not known.done() and not msg.headers:  # else nobody heard it
            known.set_result(None)

    def _on_status(self, msg: Delivered) -> None:
        headers = msg.headers or {}
        status, why = headers.get("Status", ""), headers.get("Description", "")
        if status == _HEARTBEAT:
            return
        self._end_pull(msg.subject[len(self._inbox) :])
        if status == _NO_ANSWERER or "Consumer Deleted" in why or "Not Found" in why:
            self._heal = True
        elif status == _CONFLICT and "MaxWaiting" in why:
            self._rest(why)
        elif status not in {"404", "408", _CONFLICT}:
            self._rest(f"{status} {why}")
        self._wake.set()

    def _rest(self, why: str) -> None:
        """Ask again only after a while."""
        log.warning("durable %s: pulling: %s", self._reader.durable, why)
        self._pause = self._loop.time() + RETRY_SECONDS

    # ------------------------------------------------------------------------ handling

    def _start(self, held: _Held) -> None:
        self._held[held.message.sequence] = held
        self._held_bytes += len(held.message.data)
        held.task = self._loop.create_task(self._work(held))

    async def _work(self, held: _Held) -> None:
        try:
            await self._handle(held.message)
            answer = _ACK
        except RemoteError as exc:
            wait = RETRY_SECONDS if exc.retry_after is None else exc.retry_after
            answer = _nak(wait)
        except asyncio.CancelledError:
            answer = _NAK
        except Exception:
            subject, sequence = held.message.subject, held.message.sequence
            log.exception("handling message %d of %s: a bug", sequence, subject)
            answer = _nak(BUG_SECONDS)
        if self._held.get(held.message.sequence) is not held:
            return  # its stream is gone
        if held.known is None or not held.known.done():
            self._answer(held, _ACK if held.done else answer)
        del self._held[held.message.sequence]
        self._held_bytes -= len(held.message.data)
        self._freed()

    async def _settle(self, sequence: int, stored: float) -> None:
        """Acknowledge what is in hand until the server says that it knows, or its stream is gone.

        A server that was killed may not know that it had handed the message out, and says nothing.
        It does so again soon, and then there is another place to answer to.
        """
        held = self._held.get(sequence)
        if held is None or held.message.stored != stored:
            return
        held.done = True
        held.known = self._loop.create_future()
        answer_to = f"{self._settled}{sequence}"
        while self._held.get(sequence) is held and not held.known.done():
            asked = (
                self._connection.is_up
                and not self._heal  # so it is the stream it came from
                and self._connection.post(held.reply, _ACK, answer_to)
            )
            pause = SETTLE_SECONDS if asked else SETTLE_SECONDS / 10
            await asyncio.wait((held.known,), timeout=pause)

    def _freed(self) -> None:
        self._room, self._moved = HELD_BYTES, self._loop.time()
        if self._waiting and not self._stopping:
            self._start(self._waiting.pop(0))
        elif self._worth_asking():
            self._wake.set()

    def _answer(self, held: _Held, answer: bytes) -> None:
        if not self._connection.post(held.reply, answer):
            self._unsent[held.reply] = answer

    async def _send_unsent(self) -> None:
        unsent, self._unsent = self._unsent, {}
        for reply, answer in unsent.items():
            with suppress(NatsError, OSError, RemoteError):  # it comes again after ack_wait
                await self._connection.send(reply, answer)

    async def _keep_alive(self) -> None:
        """Tell the server of everything in hand well before it would deliver it elsewhere."""
        every = self._reader.ack_wait / 4
        while True:
            await asyncio.sleep(every)
            self._wake.set()
            now = self._loop.time()
            old = [h for h in (*self._held.values(), *self._waiting) if now - h.since > every / 2]
            with suppress(NatsError, OSError, RemoteError):
                for number, held in enumerate(old):
                    await self._connection.send(held.reply, _IN_PROGRESS)
                    if number % 100 == 99:  # noqa: PLR2004 -- about a millisecond of work
                        await asyncio.sleep(0)

    # ------------------------------------------------------------------------ healing

    async def _look(self) -> None:
        """Wake the loop now and then; look up the durable less often."""
        last = self._loop.time()
        while True:
            await asyncio.sleep(TICK_SECONDS)
            if self._loop.time() - last > PLACE_SECONDS:
                last = self._loop.time()
                self._heal = True
            self._wake.set()

    async def _make_again(self) -> None:
        """See to it that the durable exists; it may have gone with its stream."""
        if not self._connection.is_up:
            return
        known = self._place
        try:
            place = await self._consumers.heal(self._reader, known)
        except BusError as exc:
            log.warning("%s", exc)
            self._rest("the durable is not there")
            return
        self._heal = False
        if place.created != known.created:
            self._forget_pulls()
        if place.stream_created != known.stream_created:
            self._abandon()
        self._place = place

    def _abandon(self) -> None:
        """Let go of what came from a stream that is gone; its handlers may finish."""
        for held in self._held.values():
            if held.task is not None:
                self._strays.add(held.task)
                held.task.add_done_callback(self._strays.discard)
        self._held.clear()
        self._waiting.clear()
        self._unsent.clear()
        self._held_bytes = 0

    # ------------------------------------------------------------------------ the end

    async def _stop(self, listening: Listening) -> None:
        """Give back what is not finished."""
        self._stopping = True
        for held in self._waiting:
            self._answer(held, _NAK)
        self._waiting.clear()
        tasks = [h.task for h in self._held.values() if h.task is not None] + list(self._strays)
        for task in tasks:
            task.cancel()
        await self._connection.unlisten(listening, drain=2.0)
        while tasks:
            await asyncio.gather(*tasks, return_exceptions=True)
            tasks = [t for t in tasks if not t.done()]
        for held in self._held.values():  # cancelled before they had begun
            self._answer(held, _NAK)
        self._held.clear()
        self._connection.off_up(self._on_up)
        if self._connection.is_up:
            await self._send_unsent()
            with suppress(NatsError, OSError, TimeoutError, RemoteError):
                await self._connection.client.flush(2)


def _nak(seconds: float) -> bytes:
    if seconds <= 0:
        return _NAK
    return b'-NAK {"delay": %d}' % nanoseconds(seconds)

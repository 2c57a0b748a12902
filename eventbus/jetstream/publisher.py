"""Publishing with many messages in flight over one connection.

Each message carries a `Nats-Msg-Id`, so it may be sent again after a lost answer or a lost
connection and is still stored once. Whatever was begun ends: with the server's
acknowledgement, or with an error after `GIVE_UP_SECONDS`. A full window makes callers wait in
the order in which they came, which is the back-pressure that reaches the senders of events.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import count

import msgspec
from nats.errors import BadSubjectError, MaxPayloadError
from nats.errors import Error as NatsError

from eventbus.jetstream import api
from eventbus.jetstream.connection import Connection, Listening
from eventbus.jetstream.direct import Delivered
from spine.errors import BusError, ConflictError, EventError, RemoteError
from spine.event import new_id

log = logging.getLogger(__name__)

WINDOW = 1024
"""Messages in flight; above some hundreds the server, not the way to it, is the limit."""
WINDOW_BYTES = 64 * 1024 * 1024
"""Bytes in flight, so that a burst of large events does not fill the memory."""
ACK_SECONDS = 2.0
"""After this without an answer a message is sent again."""
GIVE_UP_SECONDS = 12.0
"""After this the caller is told: longer than a cluster takes to choose a leader, and not much
longer than a webhook's sender waits for its answer."""
TEND_SECONDS = 0.25
_HEADER_ROOM = 256
"""Bytes of a message kept for its headers."""


class Ack(msgspec.Struct):
    """The server's answer to a stored message."""

    seq: int = 0
    stream: str = ""
    duplicate: bool = False
    error: "_Refusal | None" = None


class _Refusal(msgspec.Struct):
    code: int = 0
    err_code: int = 0
    description: str = "refused"


_decode = msgspec.json.Decoder(Ack).decode


class Window:
    """Lets so many messages and bytes pass at a time, first come first served."""

    def __init__(self, count: int = WINDOW, size: int = WINDOW_BYTES) -> None:
        self._count = count
        self._size = self._whole = size
        self._waiting: deque[tuple[asyncio.Future[None], int]] = deque()

    def _fits(self, size: int) -> bool:
        return self._count > 0 and (self._size >= size or self._size == self._whole)

    def took(self, size: int) -> bool:
        """Take room that is there; return False where it has to be waited for."""
        if self._waiting or not self._fits(size):
            return False
        self._count -= 1
        self._size -= size
        return True

    async def take(self, size: int) -> None:
        """Wait for room."""
        if self.took(size):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, size))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(size)  # it was our turn just as we were cancelled
            else:
                self._waiting.remove((turn, size))
                self._admit()
            raise

    def give(self, size: int) -> None:
        """Return room."""
        self._count += 1
        self._size += size
        if self._waiting:
            self._admit()

    def _admit(self) -> None:
        while self._waiting and self._fits(self._waiting[0][1]):
            turn, size = self._waiting.popleft()
            if turn.done():  # cancelled, and its task has not run yet
                self._waiting.appendleft((turn, size))
                return
            self._count -= 1
            self._size -= size
            turn.set_result(None)


class _Sent(msgspec.Struct, eq=False):
    """A message that waits for its acknowledgement."""

    stream: str
    subject: str
    data: bytes
    headers: dict[str, str]
    reply: str
    last: float
    """When it was sent."""
    until: float
    done: "asyncio.Future[Ack]"
    missing: bool = False
    """Whether the server said that no stream takes it."""
    untaken: bool = False
    """Whether it ever said so."""


class Publisher:
    """Stores messages; `ensure_stream` is called when one turns out to be missing."""

    def __init__(
        self, connection: Connection, ensure_stream: Callable[[str], Awaitable[object]]
    ) -> None:
        self._connection = connection
        self._ensure_stream = ensure_stream
        self._window = Window()
        self._sent: dict[str, _Sent] = {}
        self._tokens = count()
        self._prefix = f"_INBOX.{new_id()}."
        self._listening: Listening | None = None
        self._look = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        """Set while something is on its way: when it is looked at."""
        self._reconnected = False
        self._making: set[str] = set()
        """Streams that are looked for."""
        self._unmade: dict[str, str] = {}
        """Why that was in vain the last time."""
        self._loop = asyncio.get_running_loop()

    @property
    def max_payload(self) -> int:
        """Bytes of data that fit into one message."""
        return self._connection.max_payload - _HEADER_ROOM

    async def open(self) -> None:
        """Begin to listen for acknowledgements."""
        self._listening = await self._connection.listen_directly(self._prefix + "*", self._on_ack)
        self._connection.on_up(self._on_up)

    def close(self) -> None:
        """Tell everybody who still waits that nobody will answer."""
        for sent in self._sent.values():
            if not sent.done.done():
                sent.done.set_exception(
                    BusError(f"publishing to {sent.subject}: the bus was closed")
                )

    async def publish(
        self,
        stream: str,
        subject: str,
        data: bytes,
        *,
        message_id: str = "",
        expect: int | None = None,
    ) -> Ack:
        """Store a message. `expect` is the last sequence that its subject must have.

        Raises EventError for one that is too large, ConflictError where `expect` is wrong, and
        BusError when it is not known to be stored.
        """
        size = len(data)
        if size > self.max_payload:
            raise EventError(
                f"publishing {size} bytes to {subject}: the bus takes {self.max_payload}",
                hint="raise max_payload of the nats-server, or send less",
            )
        headers = {"Nats-Msg-Id": message_id or new_id()}
        if expect is not None:
            headers["Nats-Expected-Last-Subject-Sequence"] = str(expect)
        if not self._window.took(size):
            await self._window.take(size)
        token = str(next(self._tokens))
        try:
            self._fail_while_away(subject)
            done: asyncio.Future[Ack] = self._loop.create_future()
            reply, now = self._prefix + token, self._loop.time()
            until = now + GIVE_UP_SECONDS
            sent = _Sent(stream, subject, data, headers, reply, now, until, done)
            self._sent[token] = sent
            if self._timer is None:
                self._timer = self._loop.call_later(TEND_SECONDS, self._look.set)
            if not self._connection.post_with(subject, data, reply, headers):
                await self._send(sent)
            return await done
        finally:
            self._sent.pop(token, None)
            self._window.give(size)

    def _fail_while_away(self, subject: str) -> None:
        """Tell at once what waiting would tell later: the bus has been away for too long."""
        if not self._connection.is_up and self._connection.down_for > GIVE_UP_SECONDS:
            raise BusError(f"publishing to {subject}: {self._connection.problem}")

    async def _send(self, sent: _Sent) -> None:
        if not self._connection.is_up:
            return  # sent when the connection is back
        # A connection that is lost meanwhile is no error: the message is sent over the next one.
        try:
            await self._connection.send(sent.subject, sent.data, sent.reply, sent.headers)
        except (BadSubjectError, MaxPayloadError) as exc:
            if not sent.done.done():
                sent.done.set_exception(EventError(f"publishing to {sent.subject!r}: {exc}"))
        except (NatsError, OSError, RemoteError) as exc:
            log.debug("publishing to %s: %s", sent.subject, exc)

    def _on_ack(self, message: Delivered) -> None:
        sent = self._sent.get(message.subject[len(self._prefix) :])
        if sent is None or sent.done.done():
            return
        if not message.data:
            sent.missing = sent.untaken = True  # status 503: nobody took it
            self._look.set()
            return
        try:
            ack = _decode(message.data)
        except msgspec.DecodeError as exc:
            sent.done.set_exception(
                BusError(f"publishing to {sent.subject}: something else answers there: {exc}")
            )
            return
        if ack.error is None:
            sent.done.set_result(ack)
        else:
            self._refused(sent, ack.error)

    def _refused(self, sent: _Sent, why: _Refusal) -> None:
        if why.err_code == api.UNAVAILABLE or "in process" in why.description:
            return  # temporary: sent again when its time is up
        what = f"publishing to {sent.subject}: {why.description}"
        if why.err_code in api.WRONG_SEQUENCES:
            sent.done.set_exception(ConflictError(what, retry_after=0))
        elif why.err_code == api.TOO_LARGE:
            sent.done.set_exception(
                EventError(what, hint=f"the stream {sent.stream} limits the size of messages")
            )
        else:
            sent.done.set_exception(BusError(what))

    def _on_up(self) -> None:
        self._reconnected = True
        self._look.set()

    async def tend(self) -> None:
        """Send again what needs it and fail what is late, until cancelled."""
        async with asyncio.TaskGroup() as making:
            while True:
                await self._look.wait()
                self._look.clear()
                try:
                    await self._round(making)
                except Exception:
                    log.exception("tending what was published")
                if self._timer is not None:
                    self._timer.cancel()
                    self._timer = None
                if self._sent:
                    self._timer = self._loop.call_later(TEND_SECONDS, self._look.set)
                    await asyncio.sleep(TEND_SECONDS / 10)  # a burst of problems is one round

    async def _round(self, making: asyncio.TaskGroup) -> None:
        now = self._loop.time()
        everything, self._reconnected = self._reconnected, False
        for sent in list(self._sent.values()):
            if sent.done.done():
                continue
            if now > sent.until:
                self._late(sent, self._why(sent))
            elif sent.missing:
                if sent.stream not in self._making:
                    self._making.add(sent.stream)
                    making.create_task(self._make(sent.stream), name=f"making {sent.stream}")
            elif everything or now - sent.last > ACK_SECONDS:
                sent.last = now
                await self._send(sent)

    def _why(self, sent: _Sent) -> str:
        if sent.untaken:
            return self._unmade.get(sent.stream, "no stream takes it")
        return self._connection.problem or "no acknowledgement"

    async def _make(self, stream: str) -> None:
        """Create a stream that is missing, and have what it did not take sent again.

        A cluster without a leader cannot be asked, and takes a while to say so.
        """
        try:
            await self._ensure_stream(stream)
            self._unmade.pop(stream, None)
        except RemoteError as exc:
            log.warning("%s", exc)
            self._unmade[stream] = exc.message
        finally:
            self._making.discard(stream)
        for sent in self._sent.values():
            if sent.missing and sent.stream == stream:
                sent.missing, sent.last = False, 0.0
        self._look.set()

    @staticmethod
    def _late(sent: _Sent, why: str) -> None:
        sent.done.set_exception(
            BusError(f"publishing to {sent.subject}: not stored in {GIVE_UP_SECONDS:g} s: {why}")
        )

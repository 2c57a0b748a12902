"""Streaming pull: messages come in while we live, and none is lost when we do not.

A message is held from its arrival until the server knows that it is done: its lease is extended
however long the bus takes, and a second delivery of it is not a second event. It is acknowledged
after its event is stored. What is held is bounded, and the server is told so. A stream that is
cut, as Google does every half hour, is opened again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from eventsource.pubsub.connection import Connection, PubSubError
from eventsource.pubsub.message import Received
from eventsource.pubsub.subscription import SUBSCRIBER
from spine.errors import BusError, SourceError
from spine.runtime import RECONNECT, cancelled_at_exit

log = logging.getLogger(__name__)

LEASE = 20
"""Seconds for which the server lends a message, from 10 to 600: so long does it take until another
process gets what a crashed one had in hand."""
MAX_BYTES = 64 * 1024 * 1024
"""Bytes of messages that are held at a time."""
BATCH = 1_000
"""Messages that are acknowledged or extended in one call."""
LINGER = 0.05
"""Seconds for which messages that are done wait for more, to be acknowledged together."""
BEAT = 30.0
"""Seconds between signs of life on the stream, for what stands in between."""
HEALTHY = 10.0
"""Seconds of a stream after which its end is nothing to wonder at."""
PATIENCE = 5
"""Streams in a row that end at once before the event counts as down."""
GRACE = 0.5
"""Seconds that messages under way get at the end, and their acknowledgement another four."""
_ROUTINE = frozenset(
    {"UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "ABORTED", "CANCELLED", "UNKNOWN"}
    | {"RESOURCE_EXHAUSTED"}
)
"""Ends of a stream after which another is opened."""


class _Held:
    """A message that was taken and that the server does not yet know to be done."""

    __slots__ = ("ack_id", "done", "extended", "id", "size")

    def __init__(self, id: str, ack_id: str, size: int, now: float) -> None:
        self.id, self.ack_id, self.size, self.extended = id, ack_id, size, now
        self.done = False


class Puller:
    """Receives the messages of a subscription."""

    def __init__(
        self,
        connection: Connection,
        subscription: str,
        take: Callable[[Received], Awaitable[None]],
        limit: int,
    ) -> None:
        """Call `take` for each message, for at most `limit` at a time; BusError: once more."""
        self._connection, self._subscription, self._take = connection, subscription, take
        self._limit = limit
        self._held: dict[str, _Held] = {}
        self._size = 0
        self._room = asyncio.Event()
        self._done: list[_Held] = []
        self._some_done = asyncio.Event()
        self._busy: set[asyncio.Task[None]] = set()
        self._leaving = False
        """Whether nothing more is begun."""
        self._clock = asyncio.get_running_loop().time

    async def run(self, listening: Callable[[], None]) -> None:
        """Receive until cancelled. Raises SourceError where another stream would not help."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._receive(listening), name="pull")
                tasks.create_task(self._extend(), name="extend leases")
                tasks.create_task(self._acknowledge(), name="acknowledge")
        except BaseExceptionGroup as group:
            errors = group.split(SourceError)
            if errors[0] is None or errors[1] is not None:
                raise
            raise errors[0].exceptions[0] from None
        finally:
            await self._finish()

    # ------------------------------------------------------------------------ in

    async def _receive(self, listening: Callable[[], None]) -> None:
        import grpc.aio

        failures = 0
        while True:
            began = self._clock()
            failure: PubSubError | None = None
            try:
                await self._stream(listening)
            except grpc.aio.AioRpcError as exc:
                doing = f"pulling from {self._subscription}"
                failure = self._connection.fault(exc, doing, f"{SUBSCRIBER} on the subscription")
            failures = 0 if self._clock() - began > HEALTHY else failures + 1
            if failure is not None and (
                failure.status not in _ROUTINE or failure.hint or failures > PATIENCE
            ):
                raise failure
            extra = {"subscription": self._subscription, "error": str(failure or "")}
            log.debug("the stream of messages ended, opening another", extra=extra)
            await asyncio.sleep(RECONNECT.wait(failures) if failures else 0)

    async def _stream(self, listening: Callable[[], None]) -> None:
        """Take what one stream brings. Raises AioRpcError."""
        call = self._connection.pull(self._subscription)
        beating = asyncio.create_task(self._beat(call), name="beat")
        try:
            async with cancelled_at_exit(beating):
                await call.write(self._first())
                listening()
                await self._listen(call)
        finally:
            call.cancel()

    async def _listen(self, call: Any) -> None:
        """Take what comes; when cancelled, say so, and wait until the server has ended the stream.

        Else what is given back could be sent to this stream again, and nobody would get it until
        its lease is over.
        """
        import grpc.aio

        async def read() -> None:
            async for answer in call:
                for one in answer.received_messages:
                    await self._start(one)

        reading = asyncio.create_task(read(), name="read")
        async with cancelled_at_exit(reading):
            try:
                await asyncio.shield(reading)
            except asyncio.CancelledError:
                self._leaving = True
                self._room.set()
                with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError, TimeoutError):
                    async with asyncio.timeout(GRACE):
                        await call.done_writing()
                        await asyncio.wait((reading,))
                raise

    def _first(self) -> Any:
        return self._connection.request(
            "StreamingPull",
            subscription=self._subscription,
            stream_ack_deadline_seconds=LEASE,
            max_outstanding_messages=self._limit,
            max_outstanding_bytes=MAX_BYTES,
        )

    async def _beat(self, call: Any) -> None:
        import grpc.aio

        nothing = self._connection.request("StreamingPull")
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):  # its reader will tell
            while True:
                await asyncio.sleep(BEAT)
                await call.write(nothing)

    async def _start(self, one: Any) -> None:
        """Begin with a message; wait while as many as may be are under way."""
        message, now = one.message, self._clock()
        held = self._held.get(message.message_id)
        if held is not None:  # its lease has run out meanwhile
            held.ack_id, held.extended = one.ack_id, now
            return
        while not self._leaving and (len(self._held) >= self._limit or self._size >= MAX_BYTES):
            self._room.clear()
            await self._room.wait()
        held = _Held(message.message_id, one.ack_id, len(message.data), now)
        self._held[held.id] = held
        self._size += held.size
        if self._leaving:  # it is given back with the others
            return
        when = message.publish_time
        received = Received(held.id, message.data, message.attributes, when.seconds, when.nanos)
        task = asyncio.create_task(self._work(held, received))
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)

    async def _work(self, held: _Held, message: Received) -> None:
        attempt = 0
        while True:
            try:
                await self._take(message)
                break
            except BusError as exc:
                attempt += 1
                wait = RECONNECT.wait(attempt) if exc.retry_after is None else exc.retry_after
                extra = {"message": message.id, "error": str(exc), "wait": round(wait, 2)}
                log.debug("the bus did not take a message, trying again", extra=extra)
            await asyncio.sleep(wait)
        held.done = True
        self._done.append(held)
        self._some_done.set()

    # ------------------------------------------------------------------------ out

    async def _acknowledge(self) -> None:
        while True:
            await self._some_done.wait()
            if len(self._done) < BATCH:
                await asyncio.sleep(LINGER)
            self._some_done.clear()
            while self._done:
                batch, self._done = self._done[:BATCH], self._done[BATCH:]
                await self._tell(batch)
                for held in batch:
                    self._forget(held)

    async def _tell(self, batch: list[_Held]) -> None:
        """Acknowledge messages; those of which we cannot tell come again as the same events."""
        until = self._clock() + LEASE
        for wait in RECONNECT.waits():
            try:
                await self._ask("Acknowledge", batch)
            except PubSubError as exc:
                extra = {"messages": len(batch), "error": str(exc)}
                log.warning("messages were not acknowledged", extra=extra)
                if exc.status not in _ROUTINE or self._clock() > until:
                    return
            else:
                return
            await asyncio.sleep(wait)

    def _forget(self, held: _Held) -> None:
        del self._held[held.id]
        self._size -= held.size
        self._room.set()

    async def _ask(self, method: str, batch: list[_Held], **more: Any) -> None:
        ids = [held.ack_id for held in batch]
        await self._connection.ask(method, subscription=self._subscription, ack_ids=ids, **more)

    async def _extend(self) -> None:
        while True:
            await asyncio.sleep(LEASE / 6)
            now = self._clock()
            old = [held for held in self._held.values() if now - held.extended > LEASE / 3]
            for start in range(0, len(old), BATCH):
                batch = old[start : start + BATCH]
                try:
                    await self._ask("ModifyAckDeadline", batch, ack_deadline_seconds=LEASE)
                except PubSubError as exc:
                    log.debug("messages were not kept", extra={"error": str(exc)})
                else:
                    for held in batch:
                        held.extended = now

    async def _finish(self) -> None:
        """Let what is under way end, acknowledge what is done, and give the rest back."""
        if self._busy:
            await asyncio.wait(self._busy, timeout=GRACE)
        for task in self._busy:
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)
        done = [held for held in self._held.values() if held.done]
        rest = [held for held in self._held.values() if not held.done]
        with suppress(PubSubError, TimeoutError):
            async with asyncio.timeout(GRACE * 8):
                for start in range(0, len(done), BATCH):
                    await self._ask("Acknowledge", done[start : start + BATCH])
                for start in range(0, len(rest), BATCH):
                    batch = rest[start : start + BATCH]
                    await self._ask("ModifyAckDeadline", batch, ack_deadline_seconds=0)
        self._held.clear()

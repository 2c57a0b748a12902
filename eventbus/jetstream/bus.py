"""The JetStream bus: the contract of `eventbus.bus`, put together from the parts beside it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from typing_extensions import override

from eventbus.bus import EVENTS, Bus, Handle, Message, Reader, ReaderInfo, Store
from eventbus.jetstream import reading
from eventbus.jetstream.api import NO_MESSAGE, NO_STREAM, Api, ApiError
from eventbus.jetstream.connection import RECONNECT, Connection
from eventbus.jetstream.consumers import Consumers, reader_info
from eventbus.jetstream.dialing import Options
from eventbus.jetstream.kv import Bucket
from eventbus.jetstream.publisher import Publisher
from eventbus.jetstream.puller import Puller
from eventbus.jetstream.pulse import Pulse
from eventbus.jetstream.streams import Streams
from eventbus.jetstream.watch import Watch
from eventbus.settings import StreamSettings
from eventbus.subjects import check_subject, event_subject
from spine.errors import BusError
from spine.event import Event, encode, message_id
from spine.runtime import cancelled_at_exit

log = logging.getLogger(__name__)

_SEQUENCE_NOT_FOUND = 10043


class JetStreamBus(Bus):
    """A connected bus; `connect` makes one."""

    def __init__(
        self, connection: Connection, settings: StreamSettings | None, *, provision: bool
    ) -> None:
        self._connection = connection
        self._api = Api(connection)
        self._streams = Streams(self._api, settings, provision=provision)
        self._consumers = Consumers(self._api, self._streams)
        self._publisher = Publisher(connection, self._streams.ensure)
        self._watch = Watch(self._api, self._consumers)
        self._pulse = Pulse(self._api)
        self._stores: dict[str, Bucket] = {}

    @asynccontextmanager
    async def opened(self, give_up_after: float | None) -> AsyncIterator["JetStreamBus"]:
        """Make what is missing on the server and keep the publisher going."""
        await self._publisher.open()
        tending = asyncio.create_task(self._publisher.tend(), name="bus publisher")
        watching = asyncio.create_task(self._watch.run(), name="bus watch")
        try:
            async with cancelled_at_exit(tending, watching):
                await self._prepare(give_up_after)
                beating = asyncio.create_task(self._pulse.run(), name="bus pulse")
                async with cancelled_at_exit(beating):
                    yield self
        finally:
            self._publisher.close()

    async def _prepare(self, give_up_after: float | None) -> None:
        """Make what is missing; a cluster that just starts may take a while to do it."""
        loop, attempt = asyncio.get_running_loop(), 0
        until = float("inf") if give_up_after is None else loop.time() + give_up_after
        while True:
            attempt += 1
            try:
                return await self._streams.ensure_all()
            except BusError as exc:
                if loop.time() > until:
                    raise
                log.warning("preparing the bus: %s", exc, extra={"attempt": attempt})
            await asyncio.sleep(RECONNECT.wait(attempt))

    @property
    @override
    def problem(self) -> str:
        return self._connection.problem or self._pulse.problem

    @property
    def api(self) -> Api:
        """The server's own API, for what other programs keep on it."""
        return self._api

    @property
    def held(self) -> str:
        """Why events are not taken just now (a reader is too far behind); empty when they are."""
        return self._watch.held

    @property
    @override
    def evicted(self) -> int:
        return self._watch.evicted

    @property
    @override
    def max_payload(self) -> int:
        return self._publisher.max_payload

    @override
    async def publish(self, event: Event) -> None:
        if self._watch.held:
            raise BusError(
                f"publishing event {event.id}: {self._watch.held}",
                hint="bring its reader up, or delete the durable if nobody wants it any more",
                retry_after=1.0,
            )
        if self._pulse.problem:
            raise BusError(f"publishing event {event.id}: {self._pulse.problem}", retry_after=1.0)
        subject = event_subject(event.source, event.subject)
        ack = await self._publisher.publish(
            EVENTS, subject, encode(event), message_id=message_id(event)
        )
        self._watch.stored(ack.seq)

    @override
    async def append(self, stream: str, subject: str, data: bytes, *, message_id: str = "") -> int:
        check_subject(subject)
        ack = await self._publisher.publish(stream, subject, data, message_id=message_id)
        return ack.seq

    @override
    async def ensure(self, reader: Reader) -> None:
        await self._consumers.ensure(reader)

    @override
    async def consume(self, reader: Reader, handle: Handle, *, in_flight: int) -> None:
        await Puller(self._connection, self._consumers, reader, handle, in_flight).run()

    @override
    def read(
        self,
        stream: str,
        subjects: Sequence[str] = (),
        *,
        start: str | float = "all",
        follow: bool = False,
    ) -> AsyncIterator[Message]:
        return reading.read(self._api, stream, subjects, start, follow=follow)

    @override
    async def get(self, stream: str, sequence: int) -> Message | None:
        return await reading.get(self._api, stream, sequence)

    @override
    async def delete(self, stream: str, sequence: int) -> None:
        body = {"seq": sequence, "no_erase": True}
        what = f"deleting message {sequence} of stream {stream}"
        try:
            await self._api.call(f"STREAM.MSG.DELETE.{stream}", body, what=what)
        except ApiError as exc:
            gone = exc.reason in {NO_MESSAGE, NO_STREAM, _SEQUENCE_NOT_FOUND}
            if not gone and "no message found" not in exc.message:
                raise

    @override
    async def counts(self, stream: str) -> Mapping[str, int]:
        return await self._api.subjects(stream)

    @override
    async def readers(self, stream: str) -> list[ReaderInfo]:
        return [reader_info(info) async for info in self._consumers.durables(stream)]

    @override
    async def remove_reader(self, stream: str, durable: str) -> None:
        await self._consumers.remove(stream, durable)

    @override
    def store(self, name: str) -> Store:
        if name not in self._stores:
            self._stores[name] = Bucket(name, self._api, self._publisher, self._streams.ensure)
        return self._stores[name]


@asynccontextmanager
async def connect(
    options: Callable[[], Options],
    *,
    settings: StreamSettings | None = None,
    provision: bool = False,
    give_up_after: float | None = None,
) -> AsyncIterator[JetStreamBus]:
    """Connect, create what is missing, and yield the bus.

    `options` is called for each connection, so that changed credentials are taken. Waits for the
    server for ever, or raises BusError after `give_up_after` seconds.
    """
    async with Connection(options, give_up_after=give_up_after) as connection:
        bus = JetStreamBus(connection, settings, provision=provision)
        async with bus.opened(give_up_after):
            yield bus

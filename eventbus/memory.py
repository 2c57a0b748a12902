"""The bus in memory: what every bus must do, without a server. For tests.

All its time is the loop's, so a test in virtual time needs no waiting.
"""

import asyncio
import logging
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from typing_extensions import override

from eventbus.bus import (
    ACTIONS,
    EVENTS,
    LEASES,
    Bus,
    Handle,
    Message,
    Reader,
    ReaderInfo,
    Store,
)
from eventbus.subjects import check_durable, check_subject, event_subject, matches_any
from spine.errors import BusError, ConflictError, EventError, RemoteError
from spine.event import Event, encode, message_id

log = logging.getLogger(__name__)

DUPLICATE_SECONDS = 300.0
LEASE_SECONDS = 10.0
BUG_SECONDS = 30.0
RETRY_SECONDS = 1.0


class _Clock:
    """Unix time that moves with the loop's clock, and so with virtual time."""

    def __init__(self) -> None:
        self._start: float | None = None

    def now(self) -> float:
        loop_now = asyncio.get_running_loop().time()
        if self._start is None:
            self._start = time.time() - loop_now
        return self._start + loop_now


@dataclass(slots=True)
class _Stream:
    messages: dict[int, Message] = field(default_factory=dict)
    last: int = 0
    ids: dict[str, tuple[int, float]] = field(default_factory=dict)
    """Message ids with the sequence and the time of each."""
    durables: dict[str, "_Durable"] = field(default_factory=dict)


@dataclass(slots=True)
class _Durable:
    reader: Reader
    position: int
    """Sequence up to which all was looked at."""
    handed: int = 0
    """Deliveries so far."""
    taken: dict[int, int] = field(default_factory=dict)
    """Handed out and not acknowledged: deliveries of each sequence."""
    settled: set[int] = field(default_factory=set)
    """Those of `taken` whose handlers say that they are done."""
    back: dict[int, float] = field(default_factory=dict)
    """Those of `taken` that came back, with the time at which they may be taken again."""


class MemoryBus(Bus):
    """Streams, durables and stores that live as long as the object."""

    def __init__(self, *, max_payload: int = 8 * 1024 * 1024) -> None:
        self._max_payload = max_payload
        self._streams: dict[str, _Stream] = defaultdict(_Stream)
        self._stores: dict[str, MemoryStore] = {}
        self._clock = _Clock()
        self._changed: set[asyncio.Event] = set()
        self.down = ""
        """Set by a test: why everything fails just now."""

    @property
    @override
    def problem(self) -> str:
        return self.down

    @property
    @override
    def max_payload(self) -> int:
        return self._max_payload

    def _check(self, what: str) -> None:
        if self.down:
            raise BusError(f"{what}: {self.down}")

    def _notify(self) -> None:
        for event in self._changed:
            event.set()

    # ------------------------------------------------------------------------ writing

    @override
    async def publish(self, event: Event) -> None:
        subject = event_subject(event.source, event.subject)
        await self.append(EVENTS, subject, encode(event), message_id=message_id(event))

    @override
    async def append(self, stream: str, subject: str, data: bytes, *, message_id: str = "") -> int:
        check_subject(subject)
        self._check(f"publishing to {subject}")
        if len(data) > self._max_payload:
            raise EventError(
                f"publishing {len(data)} bytes to {subject}: the bus takes {self._max_payload}"
            )
        kept, now = self._streams[stream], self._clock.now()
        await asyncio.sleep(0)  # as a real bus, let others run
        known = kept.ids.get(message_id) if message_id else None
        if known and now - known[1] < DUPLICATE_SECONDS:
            return known[0]
        kept.last += 1
        headers: Mapping[str, str] = {"Nats-Msg-Id": message_id} if message_id else {}
        kept.messages[kept.last] = Message(subject, data, kept.last, now, headers=headers)
        if message_id:
            kept.ids[message_id] = (kept.last, now)
        self._notify()
        return kept.last

    # ------------------------------------------------------------------------ consuming

    @override
    async def ensure(self, reader: Reader) -> None:
        check_durable(reader.durable)
        self._check(f"creating durable {reader.durable}")
        stream = self._streams[reader.stream]
        durable = stream.durables.get(reader.durable)
        if durable is not None:
            durable.reader = replace(reader, start=durable.reader.start)
        else:
            stream.durables[reader.durable] = _Durable(reader, self._begin(stream, reader))
        self._notify()

    @staticmethod
    def _begin(stream: _Stream, reader: Reader) -> int:
        if reader.stream == ACTIONS:
            return 0
        if reader.after is not None:
            return reader.after
        if reader.start == "all":
            return 0
        if reader.start == "new":
            return stream.last
        assert not isinstance(reader.start, str)
        early = [n for n, m in stream.messages.items() if m.stored < reader.start]
        return max(early, default=0)

    @override
    async def consume(self, reader: Reader, handle: Handle, *, in_flight: int) -> None:
        await self.ensure(reader)
        stream = self._streams[reader.stream]
        durable = stream.durables[reader.durable]
        running: set[asyncio.Task[None]] = set()
        changed = asyncio.Event()
        self._changed.add(changed)
        try:
            while True:
                changed.clear()
                if stream.durables.get(reader.durable) is not durable:
                    await self.ensure(reader)  # somebody removed it
                    durable = stream.durables[reader.durable]
                while len(running) < in_flight and (message := self._next(stream, durable)):
                    work = self._work(stream, durable, message, handle)
                    task = asyncio.create_task(work)
                    running.add(task)
                    task.add_done_callback(running.discard)
                    task.add_done_callback(lambda _: changed.set())
                await self._until(changed, durable)
        finally:
            self._changed.discard(changed)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            self._notify()

    async def _until(self, changed: asyncio.Event, durable: _Durable) -> None:
        """Wait for a change, or for the next message that comes back."""
        due = min(durable.back.values(), default=None)
        wait = None if due is None else max(due - self._clock.now(), 0.001)
        try:
            async with asyncio.timeout(wait):
                await changed.wait()
        except TimeoutError:
            return

    def _next(self, stream: _Stream, durable: _Durable) -> Message | None:
        if self.down:
            return None
        now = self._clock.now()
        for sequence, due in sorted(durable.back.items()):
            if due <= now:
                del durable.back[sequence]
                if message := stream.messages.get(sequence):
                    return self._handed(stream, durable, message)
                del durable.taken[sequence]
        if len(durable.taken) >= durable.reader.max_ack_pending:
            return None
        while durable.position < stream.last:
            durable.position += 1
            message = stream.messages.get(durable.position)
            if message and matches_any(durable.reader.subjects, message.subject):
                return self._handed(stream, durable, message)
        return None

    def _handed(self, stream: _Stream, durable: _Durable, message: Message) -> Message:
        deliveries = durable.taken.get(message.sequence, 0) + 1
        durable.taken[message.sequence] = deliveries
        durable.handed += 1
        pending = self._pending(stream, durable)
        return replace(
            message,
            deliveries=deliveries,
            pending=pending,
            number=durable.handed,
            settle=partial(self._settle, stream, durable, message.sequence),
        )

    async def _settle(self, stream: _Stream, durable: _Durable, sequence: int) -> None:
        durable.settled.add(sequence)
        while self.down:  # noqa: ASYNC110 -- a test sets a plain text
            await asyncio.sleep(RETRY_SECONDS)
        self._done(stream, durable, sequence)
        await asyncio.sleep(0)  # as a real bus, let others run

    @staticmethod
    def _done(stream: _Stream, durable: _Durable, sequence: int) -> None:
        durable.taken.pop(sequence, None)
        if durable.reader.stream == ACTIONS:
            stream.messages.pop(sequence, None)

    async def _work(
        self, stream: _Stream, durable: _Durable, message: Message, handle: Handle
    ) -> None:
        sequence, again = message.sequence, 0.0
        try:
            await handle(message)
        except RemoteError as exc:
            again = RETRY_SECONDS if exc.retry_after is None else exc.retry_after
        except asyncio.CancelledError:
            again = 0.0
        except Exception:
            log.exception("handling message %d of %s: a bug", sequence, message.subject)
            again = BUG_SECONDS
        else:
            durable.settled.add(sequence)
        if sequence in durable.settled:
            durable.settled.discard(sequence)
            self._done(stream, durable, sequence)
            return
        durable.back[sequence] = self._clock.now() + again
        self._notify()

    # ------------------------------------------------------------------------ reading

    @override
    async def read(
        self,
        stream: str,
        subjects: Sequence[str] = (),
        *,
        start: str | float = "all",
        follow: bool = False,
    ) -> AsyncIterator[Message]:
        kept = self._streams[stream]
        last, at = kept.last, self._begin(kept, Reader("", (), start=start))
        changed = asyncio.Event()
        self._changed.add(changed)
        try:
            while follow or at < last:
                changed.clear()
                while at < (kept.last if follow else last):
                    at += 1
                    message = kept.messages.get(at)
                    if message and matches_any(subjects, message.subject):
                        yield message
                if follow:
                    await changed.wait()
        finally:
            self._changed.discard(changed)

    @override
    async def get(self, stream: str, sequence: int) -> Message | None:
        self._check(f"reading message {sequence} of stream {stream}")
        return self._streams[stream].messages.get(sequence)

    @override
    async def delete(self, stream: str, sequence: int) -> None:
        self._check(f"deleting message {sequence} of stream {stream}")
        self._streams[stream].messages.pop(sequence, None)

    @override
    async def counts(self, stream: str) -> Mapping[str, int]:
        self._check(f"counting the messages of stream {stream}")
        return Counter(one.subject for one in self._streams[stream].messages.values())

    @override
    async def readers(self, stream: str) -> list[ReaderInfo]:
        kept = self._streams[stream]
        return [
            ReaderInfo(
                durable=name,
                pending=self._pending(kept, durable),
                in_flight=len(durable.taken),
                acknowledged=min(durable.taken, default=durable.position + 1) - 1,
                metadata=dict(durable.reader.metadata),
                subjects=durable.reader.subjects,
            )
            for name, durable in kept.durables.items()
        ]

    @staticmethod
    def _pending(stream: _Stream, durable: _Durable) -> int:
        return sum(
            sequence > durable.position and matches_any(durable.reader.subjects, m.subject)
            for sequence, m in stream.messages.items()
        )

    @override
    async def remove_reader(self, stream: str, durable: str) -> None:
        self._streams[stream].durables.pop(durable, None)
        self._notify()

    @override
    def store(self, name: str) -> Store:
        if name not in self._stores:
            keep = LEASE_SECONDS if name == LEASES else None
            self._stores[name] = MemoryStore(name, self._clock, keep)
        return self._stores[name]


class MemoryStore(Store):
    """Values that live as long as the bus; those of LEASES expire."""

    def __init__(self, name: str, clock: _Clock, keep: float | None) -> None:
        self._name = name
        self._clock = clock
        self._keep = keep
        self._values: dict[str, tuple[bytes, int, float]] = {}
        self._revision = 0

    def _live(self, key: str) -> tuple[bytes, int, float] | None:
        found = self._values.get(key)
        if found and self._keep is not None and self._clock.now() - found[2] > self._keep:
            del self._values[key]
            return None
        return found

    @override
    async def get(self, key: str) -> tuple[bytes, int] | None:
        await asyncio.sleep(0)
        found = self._live(key)
        return None if found is None else found[:2]

    @override
    async def put(self, key: str, value: bytes, *, revision: int | None) -> int:
        await asyncio.sleep(0)
        found = self._live(key)
        if (found[1] if found else None) != revision:
            raise ConflictError(
                f"writing key {key!r} of bucket {self._name}: changed by another", retry_after=0
            )
        self._revision += 1
        self._values[key] = (value, self._revision, self._clock.now())
        return self._revision

    @override
    async def delete(self, key: str, *, revision: int | None = None) -> None:
        await asyncio.sleep(0)
        found = self._values.get(key)
        if found is not None and revision in {None, found[1]}:
            del self._values[key]

    @override
    async def keys(self, prefix: str = "") -> list[str]:
        await asyncio.sleep(0)
        return sorted(
            key for key in list(self._values) if key.startswith(prefix) and self._live(key)
        )

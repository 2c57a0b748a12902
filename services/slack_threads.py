"""Threads of Slack: which message is the first of those with one grouping key.

They are kept in the bus's store, by service, channel and key, so that they outlive a restart and
all replicas know them. A thread that nobody has written to for a month begins anew; of too many the
ones written to longest ago are forgotten. Of two first messages at a time, one waits for the other.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

import msgspec
from typing_extensions import override

from spine.errors import RemoteError, TriggerError
from spine.runtime import Memory

PARTS = 64
"""Values that threads are spread over, so that each stays small."""
THREADS = 256
"""Threads in each of them; 64 parts of 256 entries of about 80 bytes are 1.3 MB at most."""
DAYS = 30
"""Days after which a thread that is not written to is forgotten."""
_DAY = 86400


class _Entry(msgspec.Struct, array_like=True):
    channel: str
    ts: str
    day: int
    """Day since 1970 of the latest message."""


_Entries = dict[str, _Entry]


class Thread:
    """A thread, held by one message at a time."""

    def __init__(self, part: Memory, key: str, entry: _Entry | None, today: int) -> None:
        self._part, self._key, self._today = part, key, today
        self.place = None if entry is None else (entry.channel, entry.ts)
        """Channel and timestamp of its first message, None where there is none yet."""

    async def begin(self, channel: str, ts: str) -> list[str]:
        """Remember the first message; return what went wrong with that: it is posted already."""
        try:
            await self.write(_Entry(channel, ts, self._today))
        except RemoteError as exc:
            return [f"the thread is not kept, the next message begins another: {exc}"]
        return []

    async def write(self, entry: _Entry) -> None:
        """Keep an entry. Raises BusError."""

        def change(data: bytes | None) -> bytes:
            entries = _read(data)
            entries.pop(self._key, None)
            entries[self._key] = entry
            return msgspec.msgpack.encode(_trimmed(entries, self._today))

        await self._part.edit(change)


class Threads:
    """The threads of one service."""

    def __init__(
        self, memory: Memory | None, service: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._memory, self._service = memory or _Here(), service
        self._clock = clock
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def one(self, channel: str, key: str) -> AsyncIterator[Thread]:
        """Yield a thread; whoever asks for the same waits until the block ends.

        Raises TriggerError where it cannot be read.
        """
        digest = hashlib.sha256(f"{self._service}\0{channel}\0{key}".encode()).hexdigest()
        name = digest[:24]
        part = self._memory.part(f"threads-{int(digest[:8], 16) % PARTS}")
        lock = self._locks.setdefault(name, asyncio.Lock())
        async with lock:
            today = int(self._clock() // _DAY)
            try:
                entry = _read(await part.get()).get(name)
                if entry is not None and entry.day < today - DAYS:
                    entry = None
                thread = Thread(part, name, entry, today)
                if entry is not None and entry.day < today:
                    await thread.write(_Entry(entry.channel, entry.ts, today))
            except RemoteError as exc:
                raise TriggerError(f"looking up the thread of {channel!r}: {exc}") from exc
            yield thread


def _read(data: bytes | None) -> _Entries:
    if not data:
        return {}
    try:
        return msgspec.msgpack.decode(data, type=dict[str, _Entry])
    except msgspec.MsgspecError:
        return {}  # of another version: threads begin anew


def _trimmed(entries: _Entries, today: int) -> _Entries:
    """Return the entries that are kept: of the last days, the latest so many."""
    kept = {key: entry for key, entry in entries.items() if entry.day >= today - DAYS}
    for key in list(kept)[: max(0, len(kept) - THREADS)]:
        del kept[key]
    return kept


class _Here(Memory):
    """Keeps values as long as the process lives, where nothing else does."""

    def __init__(self) -> None:
        self._value: bytes | None = None
        self._parts: dict[str, _Here] = {}

    @override
    async def get(self) -> bytes | None:
        return self._value

    @override
    async def put(self, value: bytes) -> None:
        self._value = value

    @override
    async def edit(self, change: Callable[[bytes | None], bytes]) -> None:
        self._value = change(self._value)

    @override
    def part(self, name: str) -> "_Here":
        return self._parts.setdefault(name, _Here())

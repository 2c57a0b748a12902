"""One member of a consumer group: what it reads, keeps, claims and acknowledges.

What is in hand outlives connections. Entries are read as far as there is room; those in hand are
kept from being claimed by others, however long the bus is away. Old servers are refused where
they cannot do that: XAUTOCLAIM came with Redis 6.2.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

from eventsource.bodies import event_id
from eventsource.redisstream.entry import StreamEntry, values
from eventsource.sessions import asked
from eventsource.taking import Taken, Taker
from spine.errors import ConfigError, SourceError

log = logging.getLogger(__name__)

BLOCK = 0.5
"""Seconds that the server waits for an entry before it says that there is none: a cancellation that
the library swallows while it connects takes effect after the answer."""
AHEAD = 20
"""Reads that travel together."""
BATCH = 500
"""Entries that are acknowledged, kept or claimed in one call."""
LINGER = 0.005
"""Seconds for which entries that are done wait for more, to be acknowledged together."""
LAST_WORD = 0.3
"""Seconds for the acknowledgements at the end."""
RETIRED = 86_400
"""Seconds after which a member that has nothing in hand is taken off the group."""
PREFIX = "tocsin-"
"""How the names of our members begin; they end with that of their machine."""

Client = Any
"""The client of the library, whose types are those of every protocol at once."""
Opening = Callable[[], AbstractAsyncContextManager[Client]]
Key = tuple[str, str]
"""Stream and id of an entry."""
Entries = Iterable[tuple[bytes | None, Mapping[bytes, bytes]]]


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read, and how."""

    group: str
    streams: tuple[str, ...]
    place: tuple[str, ...]
    """What the ids of events are made of, beside stream and entry."""
    metadata: bytes
    """The member of payloads with its comma, or nothing."""
    count: int
    """Entries of each stream that are taken in one go."""
    claim_after: float
    """Seconds without a sign of life of a member after which its entries are taken over."""


class Group:
    """A member of a group on some streams."""

    def __init__(self, reading: Reading, taker: Taker) -> None:
        self._reading, self._taker = reading, taker
        self._name, self._streams = reading.group, reading.streams
        self._member = PREFIX + "-".join((*reading.place, socket.gethostname()))
        self._held: set[Key] = set()
        """Entries that the server does not yet know to be done."""
        self._done: list[Key] = []
        self._some_done = asyncio.Event()
        self._seen: dict[str, str] = {}
        """How far each stream was read."""

    async def session(self, opening: Opening, up: Callable[[], None]) -> None:
        """Read until the connection breaks. Raises SourceError."""
        async with opening() as client:
            for stream in self._streams:
                await self._ensure(client, stream)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._read(client, up), name="read streams")
                    tasks.create_task(self._acknowledge(client), name="acknowledge")
                    tasks.create_task(self._keep(client), name="keep and claim")
            except BaseExceptionGroup as group:
                _raise_plainly(group)

    async def finish(self, opening: Opening) -> None:
        """Acknowledge what is done, if that works at once."""
        if not self._done:
            return
        with suppress(SourceError, ConfigError, TimeoutError):
            async with asyncio.timeout(LAST_WORD), opening() as client:
                await self._tell(client)

    # ------------------------------------------------------------------------ the group

    async def _ensure(self, client: Client, stream: str) -> None:
        """Make the group, and the stream, where they are missing."""
        from redis.exceptions import ResponseError

        start = await self._start(client, stream)
        try:
            await asked(client.xgroup_create(stream, self._name, start, mkstream=True))
        except ResponseError as exc:
            if "BUSYGROUP" not in str(exc):
                raise
        else:
            extra = {"stream": stream, "group": self._name, "start": start}
            log.info("made the consumer group", extra=extra)
        if stream not in self._seen:
            found = await asked(client.xinfo_groups(stream))
            own = [_text(g["last-delivered-id"]) for g in found if _text(g["name"]) == self._name]
            self._seen[stream] = own[0] if own else "0-0"

    async def _start(self, client: Client, stream: str) -> str:
        """Return where a group begins: with what is new, or after what this process has seen."""
        from redis.exceptions import ResponseError

        seen = self._seen.get(stream)
        if seen is None:
            return "$"
        try:
            newest = _text((await asked(client.xinfo_stream(stream)))["last-generated-id"])
        except ResponseError as exc:
            if "no such key" not in str(exc).lower():
                raise
            newest = "0-0"
        if _order(newest) < _order(seen):  # another stream of the same name
            self._seen[stream] = seen = "0-0"
        return seen

    # ------------------------------------------------------------------------ in

    async def _read(self, client: Client, up: Callable[[], None]) -> None:
        from redis.exceptions import ResponseError

        for stream in self._streams:
            await self._read_pending(client, stream)
        up()
        more = False
        while True:
            await self._taker.until_room()
            times = self._taker.room // (self._reading.count * len(self._streams)) if more else 1
            try:
                more = await self._read_new(client, max(1, min(times, AHEAD)))
            except ResponseError as exc:
                if not str(exc).startswith(("NOGROUP", "UNBLOCKED")):
                    raise
                log.warning("the consumer group is gone, making it again: %s", exc)
                for stream in self._streams:
                    await self._ensure(client, stream)

    async def _read_new(self, client: Client, times: int) -> bool:
        """Begin with entries that nobody had yet; return whether there are probably more.

        Several reads travel together where there are many entries: that costs as one does.
        """
        count = min(self._reading.count, self._taker.room)
        asking = (self._name, self._member, dict.fromkeys(self._streams, ">"), count)
        if times == 1:
            answers = [await asked(client.xreadgroup(*asking, int(BLOCK * 1000)))]
        else:  # and none of them waits: several that travel together do not end when cancelled
            pipe = client.pipeline(transaction=False)
            for _ in range(times):
                pipe.xreadgroup(*asking)
            answers = await asked(pipe.execute(raise_on_error=False))
        full = False
        for found in answers:
            if isinstance(found, Exception):
                raise found
            full = any(len(entries) == count for _, entries in found)
            for name, entries in found:
                stream = _text(name)
                self._seen[stream] = _text(entries[-1][0])
                self._begin(stream, entries)
        return full

    async def _read_pending(self, client: Client, stream: str) -> None:
        """Begin with what this member had in hand before it was started anew."""
        after = "0-0"
        while True:
            await self._taker.until_room()
            count = min(self._reading.count, self._taker.room)
            found = await asked(
                client.xreadgroup(self._name, self._member, {stream: after}, count=count)
            )
            entries = found[0][1] if found else []
            if not entries:
                return
            self._begin(stream, entries)
            after = _text(entries[-1][0])

    def _begin(
        self, stream: str, entries: Iterable[tuple[bytes | None, Mapping[bytes, bytes]]]
    ) -> None:
        for raw, fields in entries:
            key = (stream, _text(raw))
            if raw is None or key in self._held:  # None: claimed, and deleted meanwhile
                continue
            self._held.add(key)
            if fields:
                self._taker.begin_now(self._taken(key, fields), partial(self._finished, key))
            else:
                log.warning("entry %s of stream %s was deleted before it was read", *reversed(key))
                self._finished(key)

    def _taken(self, key: Key, fields: Mapping[bytes, bytes]) -> Taken:
        stream, entry = key
        content = values(fields)
        payload = StreamEntry(stream, entry, content, self._reading.metadata)
        return Taken(
            form=lambda: payload,
            as_it_is=lambda: payload,
            what=f"entry {entry} of stream {stream}",
            size=len(content),
            id=event_id((*self._reading.place, stream, entry), content),
        )

    # ------------------------------------------------------------------------ out

    def _finished(self, key: Key) -> None:
        self._done.append(key)
        self._some_done.set()

    async def _acknowledge(self, client: Client) -> None:
        while True:
            await self._some_done.wait()
            if len(self._done) < BATCH:
                await asyncio.sleep(LINGER)
            self._some_done.clear()
            await self._tell(client)

    async def _tell(self, client: Client) -> None:
        """Acknowledge what is done; where that fails, the next connection does it."""
        try:
            while self._done:
                batch = self._done[:BATCH]
                for stream, ids in _by_stream(batch).items():
                    await asked(client.xack(stream, self._name, *ids))
                del self._done[: len(batch)]
                self._held.difference_update(batch)
        finally:
            if self._done:
                self._some_done.set()

    async def _keep(self, client: Client) -> None:
        """Keep what is in hand from being claimed, and claim what others have left."""
        while True:
            for stream in self._streams:
                await self._claim(client, stream)
                await self._retire(client, stream)
            for _ in range(4):
                await asyncio.sleep(self._reading.claim_after / 4)
                await self._touch(client)

    async def _touch(self, client: Client) -> None:
        done = set(self._done)
        for stream, ids in _by_stream(self._held - done).items():
            for start in range(0, len(ids), BATCH):
                await asked(
                    client.xclaim(
                        stream, self._name, self._member, 0, ids[start : start + BATCH], justid=True
                    )
                )

    async def _claim(self, client: Client, stream: str) -> None:
        after = "0-0"
        while True:
            await self._taker.until_room()
            found = await asked(
                client.xautoclaim(
                    stream,
                    self._name,
                    self._member,
                    int(self._reading.claim_after * 1000),
                    after,
                    count=min(BATCH, self._taker.room),
                )
            )
            after = _text(found[0])
            self._begin(stream, found[1])
            if after == "0-0":
                return

    async def _retire(self, client: Client, stream: str) -> None:
        """Take members of ours that are long gone and have nothing in hand off the group."""
        for one in await asked(client.xinfo_consumers(stream, self._name)):
            name = _text(one["name"])
            old = one["idle"] > RETIRED * 1000 and not one["pending"]
            if old and name.startswith(PREFIX) and name != self._member:
                await asked(client.xgroup_delconsumer(stream, self._name, name))


def _by_stream(keys: Iterable[Key]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for stream, entry in keys:
        found.setdefault(stream, []).append(entry)
    return found


def _order(id: str) -> tuple[int, int]:
    """Return the id of an entry as what it is ordered by."""
    moment, _, number = id.partition("-")
    return int(moment), int(number or 0)


def _text(raw: Any) -> str:
    return raw.decode(errors="surrogateescape") if isinstance(raw, bytes) else str(raw)


def _raise_plainly(group: BaseExceptionGroup[BaseException]) -> NoReturn:
    """Raise what ended a session, or all of it where a bug of ours is among it."""
    from redis.exceptions import RedisError

    remote, rest = group.split((RedisError, OSError, SourceError))
    if rest is not None:
        raise group
    found: BaseException | None = remote
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    raise found or group

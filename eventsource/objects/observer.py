"""From what the API server tells to events: each change of an object once, in its order.

The first list of a new EventSource tells every object as added, as Argo Events does. After that
only what differs from what is remembered is told: over restarts, over lists that had to be made
again, and when the server tells the same thing twice.
"""

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from eventsource.objects.body import Bodies, Observed, outline, without_managed_fields
from eventsource.objects.selection import Facts, Passes, moment
from eventsource.objects.snapshot import Known, Snapshot
from eventsource.source import Emit
from spine.errors import BusError
from spine.kube import Change, Page
from spine.kube.versions import newer
from spine.kube.watch import Item
from spine.lang import EvaluationError, paths
from spine.lang.gjson import Document

log = logging.getLogger(__name__)

GRACE = 0.5
"""Seconds that events on their way get at the end."""
IN_FLIGHT = 256
"""Events on their way to the bus at a time."""
SEEN = 1_000
"""Places that are kept until all that was seen before them is told."""
ADD, UPDATE, DELETE = "ADD", "UPDATE", "DELETE"
_NULL = msgspec.Raw(b"null")
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an EventSource wants to hear of."""

    place: tuple[str, str]
    """Names of EventSource and event, part of the ids of events."""
    kind: tuple[str, str, str]
    """Group, version and plural, as they stand in payloads."""
    types: frozenset[str]
    passes: Passes
    on_change: tuple[str, ...]
    metadata: dict[str, str]


@dataclass(slots=True, eq=False)
class Observer:
    """Tells changes of objects. `drain` waits until all that was seen is on the bus."""

    wanted: Wanted
    emit: Emit
    snapshot: Snapshot
    bodies: Bodies = field(default_factory=Bodies)
    _lookups: list[Any] = field(init=False)
    _slots: asyncio.Semaphore = field(init=False)
    _busy: dict[str, asyncio.Task[None]] = field(init=False, default_factory=dict)
    """Object -> the task that tells its latest event."""
    _under_way: set[asyncio.Task[None]] = field(init=False, default_factory=set)
    """Those, and the ones that they wait for."""
    _seen: deque[tuple[str, list[asyncio.Task[None]]]] = field(init=False, default_factory=deque)
    _ahead: dict[str, Known] = field(init=False, default_factory=dict)
    """What is known of objects whose latest event is not on the bus yet."""
    _listed: set[str] = field(init=False, default_factory=set)
    _failed: BaseException | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._lookups = [paths.compile(path).get for path in self.wanted.on_change]
        self._slots = asyncio.Semaphore(IN_FLIGHT)

    # ------------------------------------------------------------------------ in

    async def page(self, page: Page, *, quiet: bool = False) -> None:
        """Take a page of a list; quiet: of a state that was told before."""
        if page.first:
            self._listed = set()
        for item in page.items:
            self._listed.add(item.meta.uid)
            await self._present(item, quiet=quiet)
        if page.last:
            if not quiet:
                there = {*self.snapshot.uids(), *self._ahead}
                for uid in there - self._listed:
                    await self._gone(uid, None)
            self._reached(page.version)

    async def change(self, change: Change) -> None:
        """Take a change."""
        if change.type == "DELETED":
            await self._gone(change.item.meta.uid, change.item)
        elif change.type != "BOOKMARK":
            await self._present(change.item)
        self._reached(change.version)

    async def drain(self) -> None:
        """Wait until everything is on the bus. Raises what went wrong."""
        while self._busy:
            await asyncio.wait(set(self._busy.values()))
        self._advance()
        self._raise()

    async def finish(self) -> None:
        """Give what is on its way a moment; the rest is told by who comes next."""
        tasks = [*self._under_way]
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ------------------------------------------------------------------------ what it means

    async def _present(self, item: Item, *, quiet: bool = False) -> None:
        meta = item.meta
        known = self._known(meta.uid)
        if known is not None and not newer(meta.resource_version, known.version):
            if known.version == meta.resource_version and self._told(UPDATE):
                self.bodies.put(meta.uid, without_managed_fields(item.raw))
            return
        if known is not None and known.gone:
            known = None
        raw = without_managed_fields(item.raw)
        document = Document(raw)
        values = tuple(self._value(get, document) for get in self._lookups)
        kind = ADD if known is None else UPDATE
        facts = Facts(meta.name, meta.creation_timestamp, lambda: _event_time(kind, item))
        passes = self.wanted.passes(facts, document)
        old = self.bodies.get(meta.uid) if kind == UPDATE else None
        if self._told(UPDATE):
            self.bodies.put(meta.uid, raw)
        before = known.values if known is not None and known.values else values
        changes = self._changes(before, values) if kind == UPDATE else b""
        counts = passes and self._told(kind) and (not self._lookups or kind == ADD or changes)
        update = Known(meta.resource_version, values, passes, msgspec.Raw(outline(raw)))
        payload = None if quiet or not counts else self._payload(kind, raw, old, changes)
        await self._tell(meta.uid, kind, payload, update)

    async def _gone(self, uid: str, item: Item | None) -> None:
        known = self._known(uid)
        if item is None:
            if known is None or known.gone:
                return
            version, raw, passes = known.version, bytes(known.outline), known.told
        else:
            version, raw = item.meta.resource_version, without_managed_fields(item.raw)
            if known is not None and known.gone and not newer(version, known.version):
                return
            facts = Facts(
                item.meta.name, item.meta.creation_timestamp, lambda: _event_time(DELETE, item)
            )
            passes = self.wanted.passes(facts, Document(raw))
        self.bodies.pop(uid)
        payload = self._payload(DELETE, raw, None, b"") if passes and self._told(DELETE) else None
        await self._tell(uid, DELETE, payload, Known(version, (), False, _NULL, gone=True))

    def _known(self, uid: str) -> Known | None:
        return self._ahead.get(uid) or self.snapshot.get(uid)

    def _told(self, kind: str) -> bool:
        return kind in self.wanted.types

    def _payload(self, kind: str, raw: bytes, old: bytes | None, changes: bytes) -> Observed:
        wanted = self.wanted
        return Observed(kind, raw, old, wanted.kind, wanted.metadata, changes)

    def _id(self, kind: str, uid: str, version: str) -> str:
        """Return the id of an event: equal whenever the same thing is observed."""
        parts = (*self.wanted.place, uid, version, kind)
        return hashlib.blake2b("\x00".join(parts).encode(), digest_size=16).hexdigest()

    def _value(self, get: Any, document: Document) -> msgspec.Raw:
        try:
            found = get(document)
        except EvaluationError:
            return _NULL
        return _NULL if found is None else msgspec.Raw(found.raw.encode())

    def _changes(self, before: Sequence[msgspec.Raw], now: Sequence[msgspec.Raw]) -> bytes:
        """Return the JSON of what differs; empty where nothing does."""
        found = [
            {"path": path, "old": old, "new": new}
            for path, old, new in zip(self.wanted.on_change, before, now, strict=True)
            if not _equal(bytes(old), bytes(new))
        ]
        return _encode(found) if found else b""

    # ------------------------------------------------------------------------ out

    async def _tell(self, uid: str, kind: str, payload: Observed | None, now: Known) -> None:
        """Emit an event after those of the same object; return once it has a place.

        What is known of the object is remembered after its event is on the bus, and in order.
        """
        self._raise()
        before = self._busy.get(uid)
        if payload is None and before is None:
            self.snapshot.put(uid, now)
            return
        await self._slots.acquire()
        self._ahead[uid] = now
        task = asyncio.create_task(self._emit(self._busy.get(uid), uid, kind, payload, now))
        self._busy[uid] = task
        self._under_way.add(task)
        task.add_done_callback(lambda done: self._done(uid, done))

    async def _emit(
        self,
        before: "asyncio.Task[None] | None",
        uid: str,
        kind: str,
        payload: Observed | None,
        now: Known,
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
        if self._failed is None:
            if payload is not None:
                await self.emit(payload, id=self._id(kind, uid, now.version))
            self.snapshot.put(uid, now)

    def _done(self, uid: str, task: asyncio.Task[None]) -> None:
        self._slots.release()
        self._under_way.discard(task)
        if self._busy.get(uid) is task:
            del self._busy[uid], self._ahead[uid]
        if task.cancelled():
            self._failed = self._failed or BusError("telling of a change: it was stopped")
        elif task.exception() is not None:
            self._failed = self._failed or task.exception()
        self._advance()

    def _reached(self, version: str) -> None:
        """Note a place that may be gone on from once all that was seen before it is told."""
        if version:
            if len(self._seen) >= SEEN:  # whoever may go on from the new one may from this one
                self._seen.pop()
            self._seen.append((version, list(self._busy.values())))
            self._advance()

    def _advance(self) -> None:
        if self._failed is not None:
            return
        while self._seen and all(task.done() for task in self._seen[0][1]):
            self.snapshot.version = self._seen.popleft()[0]

    def _raise(self) -> None:
        if self._failed is not None:
            raise self._failed


def _equal(one: bytes, other: bytes) -> bool:
    return one == other or msgspec.json.decode(one) == msgspec.json.decode(other)


class _Manager(msgspec.Struct):
    operation: str = ""
    time: str | None = None


class _Managed(msgspec.Struct, rename="camel"):
    managed_fields: list[_Manager] = []
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None


class _Object(msgspec.Struct):
    metadata: _Managed


def _event_time(kind: str, item: Item) -> datetime:
    """Return when a change happened, as far as the object tells."""
    metadata = msgspec.json.decode(item.raw, type=_Object).metadata
    if kind == DELETE:
        gone = metadata.deletion_timestamp
        return moment(gone) if gone else datetime.now(UTC)
    created = moment(metadata.creation_timestamp or "")
    if kind == ADD:
        return created
    updates = [m.time for m in metadata.managed_fields if m.operation == "Update" and m.time]
    return max((moment(time) for time in updates), default=created)

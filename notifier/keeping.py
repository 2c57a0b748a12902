"""Keeps what is remembered of objects in the bus's store: one key for each object.

Every record is written over the revision it was read at, so of several replicas one is the first
and the others look again. Records of this process are at hand in memory; what other replicas
wrote is met as a conflict.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from delivery.patience import surely
from delivery.subjects import token
from eventbus.bus import STATE, Bus, Store
from notifier.state import ObjectState, decode, encode
from spine.errors import ConflictError

AT_ONCE = 64
"""Records that are removed at a time."""


def kind_token(api_version: str, kind: str, place: str = "") -> str:
    """Return what stands for a kind in the keys of records, by its group.

    `place` is the namespace of a configuration of its own.
    """
    found = token(f"{kind}.{api_version.rpartition('/')[0]}")
    return f"{found}/{token(place)}" if place else found


@dataclass(slots=True)
class Record:
    """What is remembered of one object, and the revision at which it was read."""

    state: ObjectState = field(default_factory=ObjectState)
    revision: int | None = None
    """None where nothing is stored."""


class Records:
    """The records of one Notifier."""

    def __init__(self, bus: Bus, notifier: str) -> None:
        self._store: Store = bus.store(STATE)
        self._prefix = f"notified/.{token(notifier)}."
        self._known: set[str] = set()
        self._at_hand: dict[str, Record] = {}
        self.fresh = True
        """Whether nothing was remembered when this process came up."""

    def key(self, kind: str, uid: str) -> str:
        """Return where an object is remembered; `kind` is the token of what watches it."""
        return f"{self._prefix}{kind}.{token(uid)}"

    async def load(self) -> None:
        """Learn which objects are remembered. Raises BusError."""
        self._known = set(await self._store.keys(self._prefix))
        self.fresh = not self._known

    def has(self, key: str) -> bool:
        """Return whether an object is remembered."""
        return key in self._known or key in self._at_hand

    def at_hand(self, key: str) -> Record | None:
        """Return a record without asking the store: an empty one where none is stored."""
        found = self._at_hand.get(key)
        return Record() if found is None and key not in self._known else found

    async def get(self, key: str) -> Record:
        """Return what is remembered of an object, to be changed and put back."""
        record = self.at_hand(key)
        return record if record is not None else await self.again(key)

    async def again(self, key: str) -> Record:
        """Read a record anew: somebody else has changed it. Waits for the bus."""

        async def read() -> Record:
            found = await self._store.get(key)
            if found is None:
                return Record()
            return Record(decode(found[0]), found[1])

        record = await surely(read)
        if record.revision is None:
            self._at_hand.pop(key, None)
            self._known.discard(key)
        else:
            self._keep(key, record)
        return record

    async def put(self, key: str, record: Record) -> bool:
        """Store a record; return False where a replica was faster. Waits for the bus."""
        data = encode(record.state)

        async def write() -> bool:
            try:
                record.revision = await self._store.put(key, data, revision=record.revision)
            except ConflictError:
                return False
            return True

        if not await surely(write):
            return False
        self._keep(key, record)
        return True

    def _keep(self, key: str, record: Record) -> None:
        self._at_hand[key] = record
        self._known.add(key)

    async def edit(self, key: str, change: Callable[[ObjectState], bool]) -> None:
        """Change a stored record, once more if somebody was faster; no change: no write."""
        while True:
            record = await self.again(key)
            if not change(record.state) or await self.put(key, record):
                return

    # ------------------------------------------------------------------------ gone

    async def forget(self, key: str) -> None:
        """Remove what is remembered of an object that is gone."""
        self._at_hand.pop(key, None)
        if key in self._known:
            self._known.discard(key)
            await surely(lambda: self._store.delete(key))

    async def forget_others(self, kind: str, present: Collection[str]) -> None:
        """Remove what is remembered of objects of a kind that are not among the keys present."""
        prefix = f"{self._prefix}{kind}."
        gone = [key for key in self._known if key.startswith(prefix) and key not in present]
        for at in range(0, len(gone), AT_ONCE):
            await asyncio.gather(*(self.forget(key) for key in gone[at : at + AT_ONCE]))

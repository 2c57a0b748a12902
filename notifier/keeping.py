"""Keeps what is remembered of objects in the bus's store: one key for each object.

Every record is written over the revision it was read at, so of several replicas one is the first
and the others look again. Records of this process are at hand in memory; what other replicas
wrote is met as a conflict.
"""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field

from delivery.patience import surely
from delivery.subjects import token
from eventbus.bus import STATE, Bus
from notifier.state import ObjectState, Phase, decode, encode
from spine.errors import ConflictError

AT_ONCE = 64
"""Records that are removed at a time."""
GONE = 10_000
"""Objects that are gone and still kept in mind, for messages of them that are under way."""
SPARE = 1024
"""Bytes of what the bus takes left for what travels beside a record."""


def name_on_bus(namespace: str, name: str) -> str:
    """Return how a Notifier is called on a bus, which namespaces may share."""
    return f"{namespace}/{name}"


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


_Stored = tuple[bytes, int]
"""A record as it is stored, and its revision."""
Change = Callable[[ObjectState], bool]
"""Changes what is remembered; returns whether it did."""


@dataclass(slots=True)
class _Edits:
    """What wants to change one record."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: list["_Edit"] = field(default_factory=list)
    users: int = 0


@dataclass(slots=True, eq=False)
class _Edit:
    change: Change
    done: bool = False


class Records:
    """The records of one Notifier."""

    def __init__(self, bus: Bus, notifier: str) -> None:
        """`notifier` is its name on the bus, which no other one there has."""
        self._bus, self._store = bus, bus.store(STATE)
        self._prefix = f"notified/.{token(notifier)}."
        self._adopting = f"adopting/.{token(notifier)}"
        self._known: set[str] = set()
        self._at_hand: dict[str, _Stored] = {}
        self._gone: dict[str, dict[str, int]] = {}
        self._edits: dict[str, _Edits] = {}
        self.fresh = True
        """Whether nothing was remembered when the Notifier came up for the first time."""

    def key(self, kind: str, uid: str) -> str:
        """Return where an object is remembered; `kind` is the token of what watches it."""
        return f"{self._prefix}{kind}.{token(uid)}"

    async def load(self) -> None:
        """Learn which objects are remembered. Raises BusError."""
        self._known = set(await self._store.keys(self._prefix))
        self.fresh = not self._known or await self._store.get(self._adopting) is not None

    def has(self, key: str) -> bool:
        """Return whether an object is remembered."""
        return key in self._known or key in self._at_hand

    def at_hand(self, key: str) -> Record | None:
        """Return a record without asking the store: an empty one where none is stored."""
        found = self._at_hand.get(key)
        if found is not None:
            return Record(decode(found[0]), found[1])
        return None if key in self._known else self._none(key)

    def _none(self, key: str) -> Record:
        """Return the record of an object that is not remembered.

        One that was gone and is back goes on counting, so that no key of a message comes twice.
        """
        numbers = self._gone.get(key, {})
        return Record(ObjectState(phases={one: Phase(number=n) for one, n in numbers.items()}))

    async def get(self, key: str) -> Record:
        """Return what is remembered of an object, to be changed and put back."""
        record = self.at_hand(key)
        return record if record is not None else await self.again(key)

    async def again(self, key: str) -> Record:
        """Read a record anew: somebody else may have changed it. Waits for the bus."""
        before = self._at_hand.get(key)
        found = await surely(lambda: self._store.get(key))
        if (later := self._later(key, before, found)) is not None:
            return Record(decode(later[0]), later[1])
        if found is None:
            self._at_hand.pop(key, None)
            self._known.discard(key)
            return self._none(key)
        if key not in self._gone:
            self._keep(key, found)
        return Record(decode(found[0]), found[1])

    def _later(self, key: str, before: _Stored | None, found: _Stored | None) -> _Stored | None:
        """Return what came to hand while an older one was on its way, None where nothing did."""
        kept = self._at_hand.get(key)
        if kept is None or kept is before or (found is not None and kept[1] <= found[1]):
            return None
        return kept

    def too_large(self, state: ObjectState) -> str:
        """Return why a record cannot be stored; empty where it can."""
        size, most = len(encode(state)), self._bus.max_payload - SPARE
        if size <= most:
            return ""
        return f"remembering who was told takes {size} bytes, and the bus takes {most}"

    async def put(self, key: str, record: Record) -> bool:
        """Store a record; return False where a replica was faster. Waits for the bus.

        Raises EventError for one that is too large.
        """
        data, before = encode(record.state), self._at_hand.get(key)

        async def write() -> bool:
            try:
                record.revision = await self._store.put(key, data, revision=record.revision)
            except ConflictError:
                return False
            return True

        if not await surely(write):
            return False
        assert record.revision is not None
        stored = data, record.revision
        if self._later(key, before, stored) is None:
            self._keep(key, stored)
        return True

    def _keep(self, key: str, stored: _Stored) -> None:
        self._at_hand[key] = stored
        self._known.add(key)
        self._gone.pop(key, None)

    async def edit(self, key: str, change: Change) -> None:
        """Change a stored record, once more if somebody was faster; no change: no write.

        What comes while a change is stored is stored together, so a thousand messages of one
        object are confirmed with a few writes. A change may be asked more than once.
        """
        edits, mine = self._edits.setdefault(key, _Edits()), _Edit(change)
        edits.waiting.append(mine)
        edits.users += 1
        try:
            async with edits.lock:
                if not mine.done:
                    await self._write(key, edits)
        finally:
            edits.users -= 1
            if mine in edits.waiting:
                edits.waiting.remove(mine)
            if not edits.users:
                self._edits.pop(key, None)

    async def _write(self, key: str, edits: _Edits) -> None:
        record, fresh = self.at_hand(key), False
        while True:
            if record is None or record.revision is None:
                record, fresh = await self.again(key), True
            together = list(edits.waiting)
            changed = [one for one in together if one.change(record.state)]
            if changed and await self.put(key, record):
                break
            if not changed and fresh:
                break
            record = None
        for one in together:
            one.done = True
            if one in edits.waiting:
                edits.waiting.remove(one)

    # ------------------------------------------------------------------------ the first time

    async def adopt(self) -> None:
        """Note that conditions are being taken as told, for replicas that come up meanwhile."""
        with suppress(ConflictError):
            await self._store.put(self._adopting, b"1", revision=None)

    async def adopted(self) -> None:
        """Note that this is over. Waits for the bus."""
        await surely(lambda: self._store.delete(self._adopting))

    # ------------------------------------------------------------------------ gone

    async def refresh(self, kind: str) -> None:
        """Read the records of a kind anew when they are needed: changes may have been missed."""
        for prefix in self.of(kind):
            found = await surely(lambda one=prefix: self._store.keys(one))  # type: ignore[misc]  # bound at once
            for key in [one for one in self._at_hand if one.startswith(prefix)]:
                del self._at_hand[key]
            self._known.update(found)

    def known(self, kind: str) -> set[str]:
        """Return the keys of the objects of a kind that are remembered."""
        prefixes = self.of(kind)
        return {key for key in self._known if key.startswith(prefixes)}

    def of(self, kind: str) -> tuple[str, str]:
        """Return what the keys of a kind begin with: of all configurations."""
        return f"{self._prefix}{kind}.", f"{self._prefix}{kind}/"

    def is_gone(self, key: str) -> bool:
        """Return whether an object was seen to go."""
        return key in self._gone

    async def forget(self, key: str) -> None:
        """Remove what is remembered of an object that is gone."""
        record = self.at_hand(key)
        numbers = {k: one.number for k, one in record.state.phases.items()} if record else {}
        if numbers or key not in self._gone:
            self._gone[key] = numbers
        if len(self._gone) > GONE:
            del self._gone[next(iter(self._gone))]
        self._at_hand.pop(key, None)
        if key in self._known:
            self._known.discard(key)
            await surely(lambda: self._store.delete(key))

    async def forget_all(self, keys: Collection[str]) -> None:
        """Remove what is remembered of many objects."""
        gone = list(keys)
        for at in range(0, len(gone), AT_ONCE):
            await asyncio.gather(*(self.forget(key) for key in gone[at : at + AT_ONCE]))

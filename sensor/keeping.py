"""Keeping: the states of triggers in the bus's store, shared by all replicas.

One value for each trigger, written with compare-and-set, and under keys of their own what is
large and never changes. Such a body is written before a value names it and deleted after none
does, so a crash leaves at most bodies that nobody names; they are swept later.
"""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from delivery.subjects import token
from eventbus.bus import Store
from sensor.gathering import Gathering, seal
from sensor.plan import Plan
from sensor.state import State, TriggerState, body_keys, glance, join, split
from spine.errors import BusError, ConflictError

log = logging.getLogger(__name__)

LONG = 512
"""Counted events in a state above which it is asked which of them may be forgotten."""
INLINE = 256 * 1024
"""Bytes of small events that are stored within the state of a trigger."""
LOOSE = 64 * 1024
"""Bytes of gathered events that are stored within it: they are written anew with each more."""
TRIM = 0.2
"""Seconds between questions what may be forgotten."""
LITTER = 10_000
"""Bodies that wait to be deleted; of more, the next start finds the rest."""
AT_ONCE = 256
"""Bodies deleted at a time."""
ORPHANED = 60.0
"""Seconds after which a part that no state names is nobody's: a write takes less."""
PART = "part"
"""Beginning of the keys of parts."""

T = TypeVar("T")


@dataclass(slots=True)
class _Kept:
    """What is known of a trigger's stored state."""

    state: TriggerState = field(default_factory=TriggerState)
    revision: int | None = None
    bodies: frozenset[str] = frozenset()


class Keeper:
    """The stored states of one Sensor's triggers. `clean` must be running."""

    def __init__(self, plan: Plan, store: Store, floor: Callable[[], Awaitable[int]]) -> None:
        """`floor` gives the sequence up to which no event will be delivered again."""
        self._plan, self._store, self._floor = plan, store, floor
        self.heads = {name: self._head(name) for name, one in plan.triggers.items() if one.stateful}
        """Trigger -> key of its state."""
        self._kept: dict[str, _Kept] = {}
        self._parts: dict[str, dict[str, bytes]] = {}
        """Trigger -> bodies of parts that were known of a state that is not up to date."""
        self._trimmed = 0.0
        self._garbage: list[str] = []
        """Keys of bodies that no state names any more."""
        self._littered = asyncio.Event()

    def _head(self, trigger: str) -> str:
        return f"{token(self._plan.name)}.{token(trigger)}"

    @property
    def state(self) -> State:
        """What is known to be stored."""
        return State({name: kept.state for name, kept in self._kept.items()})

    # ------------------------------------------------------------------------ reading

    def doubt(self, trigger: str = "") -> None:
        """Read a state again before it is used; without a name, all."""
        for name in [trigger] if trigger else list(self._kept):
            kept = self._kept.pop(name, None)
            if kept is not None:
                held = (*kept.state.gathered.values(), *kept.state.released.values())
                self._parts[name] = {part.key: part.body for one in held for part in one.sealed}

    async def load(self) -> None:
        """Read the states that are not known. Raises BusError."""
        missing = self.heads.keys() - self._kept.keys()
        for name, kept in zip(
            missing, await every([self._read(self.heads[name], name) for name in missing]),
            strict=True,
        ):  # fmt: skip
            self._kept[name] = kept
            self._parts.pop(name, None)

    async def _read(self, head: str, trigger: str) -> _Kept:
        found = await self._store.get(head)
        while found is not None:
            value, revision = found
            named = body_keys(value)
            read = await self._bodies(head, trigger, named)
            if len(read) < len(named):  # somebody may have fired and deleted them meanwhile
                found = await self._store.get(head)
                if found is None or found[1] != revision:
                    continue
                log.error("%d events of trigger %s are gone", len(named) - len(read), trigger)
            return _Kept(join(value, read), revision, frozenset(read))
        return _Kept()

    async def _bodies(self, head: str, trigger: str, named: frozenset[str]) -> dict[str, bytes]:
        known = self._parts.get(trigger, {})
        keys = sorted(named - known.keys())
        bodies = await every([self._store.get(f"{head}.{key}") for key in keys])
        read = {key: body[0] for key, body in zip(keys, bodies, strict=True) if body is not None}
        return read | {key: known[key] for key in named & known.keys()}

    async def glance(self, trigger: str) -> tuple[dict[str, Gathering], frozenset[str]]:
        """Return what is gathered, without its events, and which firings are unfinished.

        Where others have stored something since, the state is no longer known. Raises BusError.
        """
        kept = self._kept.get(trigger)
        found = await self._store.get(self.heads[trigger])
        if kept is not None and kept.revision == (None if found is None else found[1]):
            return kept.state.gathered, frozenset(kept.state.released)
        self.doubt(trigger)
        return glance(found[0]) if found is not None else ({}, frozenset())

    # ------------------------------------------------------------------------ writing

    async def write(self, state: State, changed: frozenset[str]) -> frozenset[str]:
        """Store states; return the triggers whose state somebody else changed meanwhile.

        Raises BusError.
        """
        if changed:
            state = await self._trim(state)
        order = sorted(changed)
        won = await every([self._write_one(name, state.of(name)) for name in order])
        return frozenset(name for name, good in zip(order, won, strict=True) if not good)

    async def _write_one(self, trigger: str, state: TriggerState) -> bool:
        kept, head = self._kept[trigger], self.heads[trigger]
        state = compact(state)
        value, bodies = split(state, INLINE)
        new = bodies.keys() - kept.bodies
        await every([self._add(f"{head}.{key}", bodies[key]) for key in new])
        try:
            revision = await self._store.put(head, value, revision=kept.revision)
        except ConflictError:
            self.doubt(trigger)
            self._discard(head, [key for key in new if key.startswith(PART)])
            return False
        self._kept[trigger] = _Kept(state, revision, frozenset(bodies))
        self._discard(head, kept.bodies - bodies.keys())
        return True

    async def _add(self, key: str, body: bytes) -> None:
        with suppress(ConflictError):  # bodies never change: an earlier attempt left it
            await self._store.put(key, body, revision=None)

    async def _trim(self, state: State) -> State:
        """Forget counted events that are never delivered again, once there are many."""
        now = asyncio.get_running_loop().time()
        marks = sum(len(c.above) for t in state.triggers.values() for c in t.counted.values())
        if marks < LONG * len(self.heads) or now - self._trimmed < TRIM:
            return state
        self._trimmed = now
        floor = await self._floor()
        return State({name: one.trim(floor) for name, one in state.triggers.items()})

    # ------------------------------------------------------------------------ tidying up

    def _discard(self, head: str, bodies: Iterable[str]) -> None:
        self._garbage += [f"{head}.{key}" for key in bodies]
        del self._garbage[LITTER:]
        if self._garbage:
            self._littered.set()

    async def clean(self) -> None:
        """Delete bodies that are not needed any more; what is left is swept at the next start."""
        while True:
            await self._littered.wait()
            keys, self._garbage = self._garbage[:AT_ONCE], self._garbage[AT_ONCE:]
            if not self._garbage:
                self._littered.clear()
            with suppress(BusError):
                await every([self._store.delete(key) for key in keys])

    async def left_behind(self) -> dict[str, tuple[TriggerState, int]]:
        """Return states, with their revisions, of triggers that hold nothing any more.

        Such a trigger had `debounce` or `batch` before the Sensor was edited. Raises BusError.
        """
        found = {}
        idle = {name: self._head(name) for name in self._plan.triggers.keys() - self.heads.keys()}
        there = set(await self._store.keys(f"{token(self._plan.name)}."))
        for name, head in idle.items():
            if head in there:
                kept = await self._read(head, name)
                if kept.revision is not None:
                    found[name] = kept.state, kept.revision
        return found

    async def remove(self, trigger: str, revision: int) -> None:
        """Delete the state of a trigger that was left behind. Raises BusError."""
        with suppress(ConflictError):
            await self._store.delete(self._head(trigger), revision=revision)

    async def sweep(self) -> None:
        """Delete what triggers left behind that are gone, and bodies that no state names.

        All states must be loaded. Parts are left to `sweep_parts`. Raises BusError.
        """
        floor = await self._floor()
        named, heads = self._named(), set(self.heads.values())
        for key in await self._store.keys(f"{token(self._plan.name)}."):
            _, trigger, *body = key.split(".")
            head = f"{token(self._plan.name)}.{trigger}"
            if trigger.startswith("@") or key in named or key in heads:
                continue
            if head in heads and (
                body[0].startswith(PART) or int(body[0].partition("-")[0]) > floor
            ):
                continue  # another replica may be about to name it
            await self._store.delete(key)

    async def sweep_parts(self) -> None:
        """Delete parts that no state names, neither now nor after a while. Raises BusError."""
        prefix = f"{token(self._plan.name)}."
        before = [key for key in await self._store.keys(prefix) if f".{PART}" in key]
        await asyncio.sleep(ORPHANED)
        named = set()
        for head in self.heads.values():
            found = await self._store.get(head)
            if found is not None:
                named |= {f"{head}.{key}" for key in body_keys(found[0])}
        for key in before:
            if key not in named:
                await self._store.delete(key)

    def _named(self) -> set[str]:
        return {f"{self.heads[n]}.{b}" for n, kept in self._kept.items() for b in kept.bodies}


def compact(state: TriggerState, room: int = LOOSE) -> TriggerState:
    """Return a state of which at most some bytes of gathered events are stored within.

    Keys of parts are never used again: whatever is under one was written for this state.
    """
    gathered, released = dict(state.gathered), dict(state.released)
    places = [(_loose(group[key]), group, key) for group in (gathered, released) for key in group]
    left = sum(size for size, _, _ in places)
    if left <= room:
        return state
    for size, group, key in sorted(places, key=lambda place: place[0], reverse=True):
        if left <= room // 2:
            break
        group[key] = seal(group[key], f"{PART}-{uuid.uuid4().hex}")
        left -= size
    return msgspec.structs.replace(state, gathered=gathered, released=released)


def _loose(held: Gathering) -> int:
    return sum(one.size for one in held.loose)


async def every(steps: Sequence[Awaitable[T]]) -> list[T]:
    """Do all, to the end, and return the results; raise the first error."""
    results = await asyncio.gather(*steps, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results  # type: ignore[return-value]  # no exception is left in it

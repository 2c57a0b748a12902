"""What is known of the files of a folder, over restarts: kept in the store of the bus.

A file is known by its mark, which changes with it. A mark is taken over once the events of the
change are on the bus, so what is remembered is never ahead of what was told, and after a crash
the rest is found by comparing. A change that is found twice has the same event id; the count of
writes that goes into it makes sure that a change that happens twice has not.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import msgspec

from eventsource.bodies import event_id
from eventsource.remembering import HEAD, PARTS, keep_written, number_of
from spine.runtime import Env, Memory

log = logging.getLogger(__name__)

M = TypeVar("M", bound=tuple[int, ...])

MOST = 100_000
"""Files that are remembered; of a fuller folder nothing is."""


class _Head(msgspec.Struct):
    purpose: str
    """What is watched; marks of another folder are worth nothing."""
    writes: int
    """Times that it was written."""
    whole: bool = True
    """Whether the parts hold all files of this folder."""


_encode = msgspec.json.Encoder().encode
_decode_head = msgspec.json.Decoder(_Head).decode


class Known(Generic[M]):
    """Marks by name. Without a memory nothing is kept."""

    def __init__(
        self, place: tuple[str, str], memory: Memory | None, purpose: str, mark: type[M]
    ) -> None:
        """`place` is EventSource and event; `purpose` says what is watched."""
        self._place, self._memory, self._purpose = place, memory, purpose
        self._decode_part = msgspec.json.Decoder(dict[str, mark]).decode  # type: ignore[valid-type]  # a type at run time
        self.marks: dict[str, M] = {}
        self._parts: list[dict[str, M]] = [{} for _ in range(PARTS)]
        self._dirty: set[int] = set()
        self._writes = 0
        self._made: Counter[str] = Counter()
        self._begun = self._whole = self._told = False

    async def load(self) -> bool:
        """Read what was remembered; return whether there is anything. Raises BusError."""
        head = await self._memory.part(HEAD).get() if self._memory is not None else None
        if head is None or self._memory is None:
            return False
        try:
            told = _decode_head(head)
            self._writes = told.writes
            if told.purpose != self._purpose or not told.whole:
                return False
            raw = await asyncio.gather(*(self._part(n).get() for n in range(PARTS)))
            self._parts = [{} if one is None else self._decode_part(one) for one in raw]
        except msgspec.DecodeError as exc:
            extra = {"error": str(exc)}
            log.warning("starting anew: what was remembered is unreadable", extra=extra)
            return False
        self.marks = {name: mark for part in self._parts for name, mark in part.items()}
        self._begun = self._whole = True
        return True

    def _part(self, number: int) -> Memory:
        assert self._memory is not None
        return self._memory.part(str(number))

    def begin(self, marks: dict[str, M]) -> None:
        """Take what is there for known, and nothing else."""
        self.marks = dict(marks)
        self._parts = [{} for _ in range(PARTS)]
        for name, mark in marks.items():
            self._parts[number_of(name)][name] = mark
        self._dirty, self._begun, self._whole = set(range(PARTS)), True, False

    def put(self, name: str, mark: M | None) -> None:
        """Take over how a file is now; None: it is gone."""
        number = number_of(name)
        if mark is None:
            self.marks.pop(name, None)
            self._parts[number].pop(name, None)
        else:
            self.marks[name] = self._parts[number][name] = mark
        self._dirty.add(number)

    def id(self, op: int, name: str, mark: M | None) -> str | None:
        """Return the id of an event that is to come; None where none would be the same again."""
        if mark is None or self._memory is None:
            return None
        parts = (*self._place, name, f"{op} {self._writes} {' '.join(map(str, mark))}")
        made = event_id(parts)
        self._made[made] += 1
        count = self._made[made]
        return made if count == 1 else event_id((*parts, str(count)))

    async def run(self) -> None:
        """Write what changed, until cancelled; then once more."""
        if self._memory is not None:
            await keep_written(self.write)

    async def write(self) -> None:
        """Write what changed since the last time. Raises BusError."""
        if self._memory is None or not self._begun or not self._dirty:
            return
        if len(self.marks) > MOST:
            await self._give_up(self._memory)
            return
        dirty, self._dirty = self._dirty, set()
        made, self._made = self._made, Counter()
        pieces = [(number, _encode(self._parts[number])) for number in sorted(dirty)]
        try:
            # The count comes first: the ids that were made until now belong to the marks before.
            await self._write_head(self._memory, whole=self._whole)
            for number, piece in pieces:
                await self._part(number).put(piece)
            if not self._whole:
                await self._write_head(self._memory, whole=True)
        except BaseException:
            self._dirty |= dirty
            self._made += made
            raise

    async def _write_head(self, memory: Memory, *, whole: bool) -> None:
        self._writes += 1
        await memory.part(HEAD).put(_encode(_Head(self._purpose, self._writes, whole)))
        self._whole = whole

    async def _give_up(self, memory: Memory) -> None:
        """Remember nothing for as long as there are too many files."""
        if self._whole or not self._told:
            extra = {"files": len(self.marks), "limit": MOST}
            log.warning("nothing is remembered: the folder holds too many files", extra=extra)
            self._dirty, self._told = set(range(PARTS)), True
            await self._write_head(memory, whole=False)


async def ran_before(env: Env) -> bool:
    """Return whether the source of this event ran in this process already."""
    runs = await env.shared.get(("runs", env.name), _no_run)
    runs.append(None)
    return len(runs) > 1


@asynccontextmanager
async def _no_run() -> AsyncIterator[list[None]]:
    yield []

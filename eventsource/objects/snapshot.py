"""What is remembered of watched objects over restarts, in the store of the bus.

Of each object: the version that was told last, the values that `onChange` compares, and an
outline for the case that it is gone when we are back. It is kept in parts, so that one change
writes a small piece; and the place of the watch is written after the parts, so that what is
remembered is never behind it.
"""

import asyncio
import logging

import msgspec

from eventsource.remembering import HEAD, PARTS, keep_written, number_of
from spine.kube.versions import newer
from spine.runtime import Memory

log = logging.getLogger(__name__)


class Known(msgspec.Struct, frozen=True, array_like=True):
    """What is remembered of one object."""

    version: str
    """resourceVersion that was told last."""
    values: tuple[msgspec.Raw, ...]
    """JSON of the values that `onChange` compares; `null` where there is none."""
    told: bool
    """Whether it passed the filter when it was last seen."""
    outline: msgspec.Raw
    """Its kind and metadata."""
    gone: bool = False
    """Whether it was deleted in that version; kept until the watch goes on behind it."""


class _Head(msgspec.Struct):
    version: str
    """Where the watch goes on."""
    paths: tuple[str, ...]
    """Paths of `onChange` that the values belong to."""


_decode_part = msgspec.json.Decoder(dict[str, Known]).decode
_decode_head = msgspec.json.Decoder(_Head).decode
_encode = msgspec.json.Encoder().encode


class Snapshot:
    """Objects by uid. `run` writes what changed; without a memory nothing is kept."""

    def __init__(self, memory: Memory | None, paths: tuple[str, ...]) -> None:
        self._memory, self._paths = memory, paths
        self._parts: list[dict[str, Known]] = [{} for _ in range(PARTS)]
        self._dirty: set[int] = set()
        self.version = ""
        """Where the watch goes on; empty before the first."""
        self._written = ""

    async def load(self) -> None:
        """Read what an earlier process has left. Raises BusError."""
        head = await self._memory.part(HEAD).get() if self._memory is not None else None
        if head is None or self._memory is None:
            return
        try:
            told = _decode_head(head)
            raw = await asyncio.gather(*(self._part(n).get() for n in range(PARTS)))
            self._parts = [{} if one is None else _decode_part(one) for one in raw]
        except msgspec.DecodeError as exc:
            log.warning(
                "starting anew: what was remembered is unreadable", extra={"error": str(exc)}
            )
            self._parts = [{} for _ in range(PARTS)]
            return
        self.version = self._written = told.version
        if told.paths != self._paths:  # values of other paths: take those of now
            self._forget_values()

    def _part(self, number: int) -> Memory:
        assert self._memory is not None
        return self._memory.part(str(number))

    def _forget_values(self) -> None:
        for part in self._parts:
            for uid, known in part.items():
                part[uid] = msgspec.structs.replace(known, values=())

    def get(self, uid: str) -> Known | None:
        """Return what is known of an object."""
        return self._parts[number_of(uid)].get(uid)

    def put(self, uid: str, known: Known) -> None:
        """Remember an object."""
        number = number_of(uid)
        self._parts[number][uid] = known
        self._dirty.add(number)

    def uids(self) -> list[str]:
        """Return the objects that are known to be there."""
        return [uid for part in self._parts for uid, one in part.items() if not one.gone]

    def _prune(self) -> None:
        """Forget what was deleted before the place that is written.

        Were it forgotten at once, and the watch went on before, it would seem to be new.
        """
        for number, part in enumerate(self._parts):
            for uid in [uid for uid, one in part.items() if one.gone]:
                if not newer(part[uid].version, self._written):
                    del part[uid]
                    self._dirty.add(number)

    async def run(self) -> None:
        """Write what changed, until cancelled; then once more."""
        if self._memory is not None:
            await keep_written(self.write)

    async def write(self) -> None:
        """Write what changed since the last time. Raises BusError."""
        if self._memory is None or not self.version:
            return
        version, dirty = self.version, sorted(self._dirty)
        if not dirty and version == self._written:
            return
        self._dirty.clear()
        try:
            for number in dirty:
                await self._part(number).put(_encode(self._parts[number]))
            await self._memory.part(HEAD).put(_encode(_Head(version, self._paths)))
        except BaseException:
            self._dirty.update(dirty)
            raise
        self._written = version
        self._prune()
